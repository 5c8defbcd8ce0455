"""The processes of one run, as `accelerate launch` or `torchrun` started them; without either, one.

The first process runs the pipeline and writes; the others wait for training jobs (`hear`) and take
their share of every step. Gradients are summed once a step by hand: a step has many backward passes,
on each of which DistributedDataParallel's own hooks would send all gradients again.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import torch

_PATIENCE = timedelta(days=7)  # others wait while the first process writes data and scores


class Processes:
    """This process among the others.

    Attributes:
        rank: 0 is the first, which writes.
        size: how many there are.
        others_hear: the others wait for the first one's next job; in a training they wait for its gradients.
    """

    def __init__(self) -> None:
        from accelerate import Accelerator, InitProcessGroupKwargs

        self.accelerator = Accelerator(
            cpu=not torch.cuda.is_available(),
            mixed_precision="no",
            kwargs_handlers=[InitProcessGroupKwargs(timeout=_PATIENCE)],
        )
        self.rank: int = self.accelerator.process_index
        self.size: int = self.accelerator.num_processes
        self.others_hear = True
        # Jobs go over gloo: a process that waits in NCCL would keep its GPU busy.
        self._jobs = torch.distributed.new_group(backend="gloo", timeout=_PATIENCE) if self.size > 1 else None

    @property
    def first(self) -> bool:
        return self.rank == 0

    def tell(self, job: dict[str, Any]) -> None:
        """Hands a job to the other processes."""
        if self.size > 1:
            torch.distributed.broadcast_object_list([job], src=0, group=self._jobs)

    def hear(self) -> dict[str, Any]:
        """Waits for the first process's next job."""
        job: list[dict[str, Any]] = [{}]
        torch.distributed.broadcast_object_list(job, src=0, group=self._jobs)
        return job[0]

    def gather(self, value: Any) -> list[Any]:
        """Every process's value, in order of rank."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        torch.distributed.all_gather_object(values, value, group=self._jobs)
        return values

    def add_gradients(self, weights: Sequence[torch.nn.Parameter]) -> None:
        """Replaces each gradient by its sum over the processes; a missing one counts as zero."""
        if self.size == 1:
            return
        parts = [(w.grad if w.grad is not None else torch.zeros_like(w)).flatten() for w in weights]
        whole = self.accelerator.reduce(torch.cat(parts), reduction="sum")
        for weight, part in zip(weights, whole.split([w.numel() for w in weights]), strict=True):
            weight.grad = part.view_as(weight)


def wants_sharding() -> bool:
    """Whether `accelerate launch` was told to use FSDP."""
    return os.environ.get("ACCELERATE_USE_FSDP", "").lower() == "true"


def shard(model: Any, weights: Sequence[torch.nn.Parameter]) -> None:
    """Splits each frozen decoder layer over the processes (FSDP2); the trained `weights` stay whole.

    Source: PyTorch `torch.distributed.fsdp.fully_shard`. A layer is gathered when it runs.
    Embedding and output head stay whole, since they may be one tensor.
    """
    from torch.distributed.fsdp import fully_shard

    for layer in model.get_decoder().layers:
        inside = {id(p) for p in layer.parameters()}
        fully_shard(layer, ignored_params={w for w in weights if id(w) in inside})
