"""The first of several processes fails within a training, while the others wait for its gradients: for torchrun.

python -m torch.distributed.run --standalone --nproc-per-node 2 -m tests.fail_first
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import torch

from auto_lora import AutoLoRACreator, TrainingConfig, training_jobs, workflow
from auto_lora._errors import OutputError
from auto_lora._progress import Quiet


class NoData:
    """As ToolCallingDataset, of no conversations."""

    dropped: ClassVar = {}
    groups = (SimpleNamespace(prefix=()),)

    def __init__(self, *_, **__):
        pass

    def __len__(self):
        return 0


class Creator(AutoLoRACreator):
    """Its story is one training, which cannot write its checkpoint."""

    async def _lead(self, processes, resume, overwrite):
        def train(*_, **__):
            raise OutputError("the disk is full")

        base = SimpleNamespace(precision="float32")
        trainer = SimpleNamespace(
            config=self.config, base=base, train=train, processes=processes, reporter=Quiet()
        )
        training_jobs.ToolCallingDataset = NoData
        training_jobs.lead(trainer, None, [], [], Path())


def take_part(config, processes):
    assert processes.hear()["do"] == "train"
    weight = torch.nn.Parameter(torch.zeros(3))
    processes.add_gradients([weight])  # which the first never adds to


if __name__ == "__main__":
    workflow.follow = take_part
    asyncio.run(Creator(TrainingConfig()).create_adapter())
