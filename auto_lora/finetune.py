"""Stage 4: trains a LoRA with PEFT on shared-prefix groups.

The loop: AdamW, warm-up and cosine, clipping, early stopping on the validation loss, the best epoch kept.
Loss and validation come from `_shared_prefix.run_group`. A step's examples are shared out over the
processes of `accelerate launch` or `torchrun`, so its result does not depend on how many there are.
Checkpoints are taken by the clock; a run that goes on from one ends in the same adapter, bit for bit.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from auto_lora._activation import BasePrefixes
from auto_lora._adapter_folder import check_adapter, save_adapter
from auto_lora._attach import attach_lora
from auto_lora._base_model import Base
from auto_lora._checkpoint import Position, load_checkpoint, random_state, read_position, save_checkpoint
from auto_lora._errors import TrainingError
from auto_lora._memory import (
    Shape,
    at_once,
    fitting_all,
    free_bytes,
    give_back_freed_memory,
    is_out_of_memory,
    release_memory,
)
from auto_lora._processes import Processes, wants_sharding
from auto_lora._progress import Quiet, Reporter
from auto_lora._runs import FREE, dumps, write_json
from auto_lora._schedule import auto_learning_rate, plan_steps, warmup_cosine
from auto_lora._settings import TrainingConfig
from auto_lora._shared_prefix import StepSums, forget_masks, is_packed, run_group
from auto_lora.encode import Example, PrefixGroup, ToolCallingDataset

CHECKPOINT = "checkpoint.safetensors"
TRIM_STEPS = 4  # optimizer steps after which freed memory goes back to the system


@dataclass
class TrainResult:
    """What training did.

    `history` has one entry an epoch: epoch, train_loss, validation_loss, validation_exact
    (share of examples whose every target token is the arg-max), seconds. `losses` has the mean
    training loss of every optimizer step.
    """

    directory: Path
    history: list[dict[str, float]] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    best_epoch: int = 0
    examples_per_second: float = 0.0
    seconds: float = 0.0
    learning_rate: float = 0.0
    precision: str = ""
    micro_group: int = 0
    gradient_checkpointing: bool = False
    processes: int = 1

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "directory": self.directory.name}


class LoRATrainer:
    """Trains one adapter.

    Args:
        config: LoRA and training settings.
        base: a loaded base; its weights stay untouched and are reused by the next trainer.
        reporter: where progress goes.
        processes: those that train together; default: as the launcher started them.
    """

    def __init__(
        self,
        config: TrainingConfig,
        base: Base,
        reporter: Reporter | None = None,
        processes: Processes | None = None,
    ) -> None:
        self.config = config
        self.base = base
        self.processes = processes or Processes()
        self.reporter = (reporter or Quiet()) if self.processes.first else Quiet()
        self.sharded = config.shard_base or wants_sharding()
        self.micro = config.batch_size
        self.own: int | None = None
        self.checkpointing = bool(config.gradient_checkpointing)
        self.prefixes = BasePrefixes(keep=0) if self.sharded else BasePrefixes()
        self.invocation: tuple[int, ...] = ()

    def train(
        self,
        train: ToolCallingDataset,
        validation: ToolCallingDataset,
        directory: str | Path,
        *,
        resume: bool = False,
    ) -> TrainResult:
        """Trains, keeps the epoch with the lowest validation loss and writes the adapter.

        Writes `adapter_model.safetensors`, `adapter_config.json` and `training.json`; a checkpoint
        lies beside them until training is done.

        Args:
            resume: go on from the checkpoint in `directory`, if there is one.

        Raises:
            TrainingError: out of memory with the smallest micro-group, a loss that is not finite, or
                a checkpoint of another run.
        """
        config, directory = self.config, Path(directory)
        torch.manual_seed(config.seed + self.processes.rank)
        self.invocation = train.invocation
        self._fit_into_memory([*train.groups, *validation.groups])
        at, run = Position(), _fingerprint(config, train)
        if resume and (directory / CHECKPOINT).is_file():
            saved = read_position(directory / CHECKPOINT)
            if saved.pop("run") != run:
                raise TrainingError(
                    f"{directory / CHECKPOINT} is of another run", "start anew with --overwrite"
                )
            at = Position.from_json(saved)
            self._as_before(at)
        peft_model = self._attach()
        try:
            result = self._loop(peft_model, train, validation, directory, at, run)
        finally:
            peft_model.unload()
            del peft_model
            forget_masks()
            release_memory()
        if self.processes.first:
            write_json(directory / "training.json", result.to_json())
            (directory / CHECKPOINT).unlink(missing_ok=True)
        return result

    def _fit_into_memory(self, groups: Sequence[PrefixGroup]) -> None:
        """Sets the micro-group, and checkpointing where the setting leaves it open, by the memory model."""
        model, wanted = self.base.model, self.config.gradient_checkpointing
        embedding = model.get_input_embeddings().weight
        device = embedding.device.type
        shape = Shape.of(model.config, self.config.lora_r, model.dtype.itemsize)
        free = free_bytes(device)
        batch = self.config.batch_size
        lengths = [len(e.own) for group in groups for e in group.examples]
        # Not the longest for all: eight long ones at once took 5.0 GiB where eight usual ones take 3.4.
        self.own = (
            max(lengths) if self.sharded else max(sum(lengths) // len(lengths), -(-max(lengths) // batch))
        )
        packed = is_packed(embedding)
        most = at_once(batch, self.own, packed)
        lists = [(len(g.prefix), max(len(e.own) for e in g.examples)) for g in groups]
        micro, twice, step = fitting_all(
            shape,
            lists,
            self.own,
            most,
            free,
            packed=packed,
            checkpointing=wanted,
            activated=bool(self.invocation),
        )
        everyone = self.processes.gather((micro, twice))
        self.micro = min(e[0] for e in everyone)
        self.checkpointing = any(e[1] for e in everyone)
        if self.micro < most or self.checkpointing:
            self.reporter.say(
                f"  micro-groups of {self.micro}{', activations computed twice' if self.checkpointing else ''}: "
                f"about {step / 2**30:.1f} GiB of {free / 2**30:.1f} GiB free"
            )

    def _as_before(self, at: Position) -> None:
        """Takes the micro-group of a checkpoint, where there is still room for it."""
        if self.micro < at.micro or self.checkpointing > at.checkpointing:
            self.reporter.say(
                f"  less memory than before: micro-groups of {self.micro}, not {at.micro}; "
                "what is trained will differ a little from a run without a break"
            )
        self.micro = min(self.micro, at.micro)
        self.checkpointing |= at.checkpointing

    def _attach(self) -> Any:
        return attach_lora(
            self.base,
            self.config,
            checkpointing=self.checkpointing,
            sharded=self.sharded,
            processes=self.processes,
        )

    def _loop(
        self,
        peft_model: Any,
        train: ToolCallingDataset,
        validation: ToolCallingDataset,
        directory: Path,
        at: Position,
        run: str,
    ) -> TrainResult:
        config, processes = self.config, self.processes
        named = {n: p for n, p in peft_model.named_parameters() if p.requires_grad}
        shape = peft_model.get_base_model().config
        rate = config.learning_rate or auto_learning_rate(shape.model_type, shape.hidden_size)
        optimizer = torch.optim.AdamW(named.values(), lr=rate, weight_decay=config.weight_decay)
        factor = warmup_cosine(
            config.num_epochs * len(plan_steps(train.groups, config, 1)), config.warmup_ratio
        )
        if at.global_step:
            load_checkpoint(directory / CHECKPOINT, named, optimizer, processes.rank)
            self.reporter.say(f"  going on after {at.seen} of {config.num_epochs * len(train)} examples")
        before, started, saved_at = at.seconds, time.monotonic(), time.monotonic()

        def save() -> None:
            nonlocal saved_at
            at.seconds = before + time.monotonic() - started
            at.micro, at.checkpointing = self.micro, self.checkpointing
            states = processes.gather(random_state())
            if processes.first:
                save_checkpoint(directory / CHECKPOINT, named, optimizer, states, {**asdict(at), "run": run})
            saved_at = time.monotonic()

        patience = config.early_stopping_patience
        fresh = 0
        with self.reporter.task("training", config.num_epochs * len(train), at.seen) as task:
            while at.epoch <= config.num_epochs and not (patience and at.stale >= patience):
                peft_model.train()
                for step in plan_steps(train.groups, config, at.epoch)[at.step :]:
                    for group in optimizer.param_groups:
                        group["lr"] = rate * factor(at.global_step)
                    sums = self._step(peft_model, step, named, optimizer)
                    at.took(sums)
                    fresh += sums.examples
                    if at.global_step % TRIM_STEPS == 0:
                        give_back_freed_memory()
                    pace = fresh / (time.monotonic() - started)
                    task.advance(
                        sums.examples, f"epoch {at.epoch}  loss {sums.mean_loss:.3f}  {pace:.2f} examples/s"
                    )
                    due = time.monotonic() - saved_at >= config.checkpoint_seconds
                    if processes.size > 1:  # the first process's clock counts
                        due = processes.gather(due)[0]
                    if due:
                        save()
                trained = time.monotonic() - started
                checked = self.validate(peft_model, validation)
                _check_finite("validation loss", checked.loss)
                if at.ended(checked, before + time.monotonic() - started) and processes.first:
                    save_adapter(peft_model, directory, self.invocation)
                save()
        return TrainResult(
            directory,
            at.history,
            at.losses,
            at.best_epoch,
            fresh / trained if fresh else 0.0,
            before + time.monotonic() - started,
            rate,
            self.base.precision,
            self.micro,
            self.checkpointing,
            processes.size,
        )

    def _step(
        self,
        peft_model: Any,
        step: list[PrefixGroup],
        named: dict[str, torch.nn.Parameter],
        optimizer: torch.optim.Optimizer,
    ) -> StepSums:
        """One update; out of memory halves the micro-group and takes the same step again."""
        weights = list(named.values())
        sums = None
        while sums is None:
            try:
                sums = self._gradients(peft_model.get_base_model(), step)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                reason = " ".join(str(error).split())[:200]
            if sums is None:  # here the failed step's tensors are gone with the exception
                optimizer.zero_grad(set_to_none=self.sharded)
                release_memory()
                if self.micro == 1 or (self.sharded and self.processes.size > 1):
                    raise TrainingError(
                        f"out of memory: {reason}",
                        "add --gradient-checkpointing, lower --max-seq-length, or --load-in-4bit on a GPU",
                    )
                self.micro //= 2
                self.reporter.say(f"  out of memory: going on with micro-groups of {self.micro}")
        self.processes.add_gradients(weights)
        if self._divides_late():
            for weight in weights:
                if weight.grad is not None:
                    weight.grad /= _targets(step)
        sums = self._sum(sums)
        norm = torch.nn.utils.clip_grad_norm_(weights, self.config.max_grad_norm)
        _check_finite("training loss", sums.loss)
        _check_finite("gradient", float(norm))
        optimizer.step()
        optimizer.zero_grad(set_to_none=self.sharded)
        return sums

    def _gradients(self, model: Any, step: list[PrefixGroup]) -> StepSums:
        """Gradients of this process's share of a step, divided by all its targets (in fp16 by `_step`)."""
        tokens = 1 if self._divides_late() else _targets(step)
        sums = StepSums()
        for group in self._share(step):
            sums += self._run(model, group, tokens)
        return sums

    def _divides_late(self) -> bool:
        """fp16 loses small gradients: of the loss divided by 10,000 targets they were 6 % off, 0.1 % undivided."""
        return bool(self.base.model.dtype == torch.float16)

    def validate(self, model: Any, dataset: ToolCallingDataset) -> StepSums:
        """Teacher-forced loss and greedy exactness: one shared-prefix forward over the data set."""
        model.eval()
        base = model.get_base_model() if hasattr(model, "get_base_model") else model
        sums = StepSums()
        for group in self._share(dataset.groups):
            sums += self._run(base, group, None)
        return self._sum(sums)

    def _run(self, model: Any, group: PrefixGroup, tokens: int | None) -> StepSums:
        read = self.prefixes.of(model, group.prefix) if self.invocation else None
        return run_group(
            model, group, self.micro, tokens, budget=self._budget(), sharded=self.sharded, read=read
        )

    def _budget(self) -> int | None:
        """Tokens per micro-group; none with split layers: processes must then run as many micro-groups."""
        return None if self.own is None or self.sharded else self.micro * self.own

    def _share(self, groups: Sequence[PrefixGroup]) -> list[PrefixGroup]:
        """This process's examples of each group, dealt out by length.

        Sharded layers are gathered by all processes together, so each then runs as many examples:
        one without targets fills the gap.
        """
        rank, size = self.processes.rank, self.processes.size
        if size == 1:
            return list(groups)
        mine = []
        for group in groups:
            dealt = sorted(group.examples, key=lambda e: len(e.own))
            own: list[Example] = dealt[rank::size]
            if self.sharded and len(own) < -(-len(dealt) // size):
                own.append(replace(dealt[0], own_target=bytes(len(dealt[0].own))))
            if own:
                mine.append(PrefixGroup(group.prefix, tuple(own)))
        return mine

    def _sum(self, sums: StepSums) -> StepSums:
        total = StepSums()
        for part in self.processes.gather(asdict(sums)):
            total += StepSums(**part)
        return total


def _targets(step: Sequence[PrefixGroup]) -> int:
    return sum(e.targets for group in step for e in group.examples)


def _check_finite(what: str, value: float) -> None:
    if not math.isfinite(value):
        raise TrainingError(f"the {what} is not finite", "lower --learning-rate or use --mixed-precision no")


def _fingerprint(config: TrainingConfig, train: ToolCallingDataset) -> str:
    """Equal for runs that take the same steps."""
    free = (*FREE, "checkpoint_seconds", "num_threads")
    settings = {k: v for k, v in config.to_dict().items() if k not in free}
    if config.init_adapter:  # by its weights: a run's folder may be moved
        weights = check_adapter(config.init_adapter, config).read_bytes()
        settings["init_adapter"] = hashlib.sha256(weights).hexdigest()
    digest = hashlib.sha256(dumps(settings).encode())
    for example in train.examples:
        digest.update(f"{example.head} {example.own.tolist()} {example.own_target.hex()}".encode())
    return digest.hexdigest()
