"""What training goes on from: its state in one file.

It is whole or not there, and enough to go on bit for bit: safetensors with the small values as JSON in its
header. It holds the adapter, AdamW's moments, every process's random states, and the position in the data.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from auto_lora._errors import TrainingError
from auto_lora._runs import write_bytes
from auto_lora._shared_prefix import StepSums

_MOMENTS = ("exp_avg", "exp_avg_sq", "step")


@dataclass
class Position:
    """How far a run is, and how: all that a checkpoint holds beside tensors.

    `epoch` and `step` are the next ones to take; `sums` are those of the epoch so far; `micro` and `checkpointing` are the
    trainer's, by which dropout and rounding go.
    """

    epoch: int = 1
    step: int = 0
    global_step: int = 0
    seen: int = 0
    seconds: float = 0.0
    sums: StepSums = field(default_factory=StepSums)
    history: list[dict[str, float]] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    best_loss: float | None = None
    best_epoch: int = 0
    stale: int = 0
    micro: int = 0
    checkpointing: bool = False

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Position:
        return cls(**{**value, "sums": StepSums(**value["sums"])})

    def took(self, sums: StepSums) -> None:
        """Notes a step."""
        self.sums += sums
        self.losses.append(round(sums.mean_loss, 5))
        self.step, self.global_step, self.seen = (
            self.step + 1,
            self.global_step + 1,
            self.seen + sums.examples,
        )

    def ended(self, checked: StepSums, seconds: float) -> bool:
        """Notes the end of an epoch with what validation gave; whether it is the best so far."""
        self.history.append(
            {
                "epoch": self.epoch,
                "train_loss": round(self.sums.mean_loss, 5),
                "validation_loss": round(checked.mean_loss, 5),
                "validation_exact": round(checked.exact / checked.examples, 4),
                "seconds": round(seconds, 1),
            }
        )
        best = self.best_loss is None or checked.mean_loss < self.best_loss
        if best:
            self.best_loss, self.best_epoch, self.stale = checked.mean_loss, self.epoch, 0
        else:
            self.stale += 1
        self.epoch, self.step, self.sums = self.epoch + 1, 0, StepSums()
        return best


def save_checkpoint(
    path: Path,
    weights: Mapping[str, torch.nn.Parameter],
    optimizer: torch.optim.Optimizer,
    random_states: list[list[torch.Tensor]],
    position: Mapping[str, Any],
) -> None:
    """Writes the checkpoint in place of the one before.

    Args:
        weights: the trained parameters by name, in the optimizer's order.
        random_states: per process, as `random_state` gives them.
        position: where in the data, and what was measured so far; JSON values.

    Raises:
        OutputError: the folder cannot be written or is full.
    """
    tensors = {f"weight/{n}": w.detach() for n, w in weights.items()}
    for name, weight in weights.items():
        for key in _MOMENTS:
            if weight in optimizer.state:
                tensors[f"{key}/{name}"] = optimizer.state[weight][key].detach()
    for rank, states in enumerate(random_states):
        tensors |= {f"random/{rank}/{i}": state for i, state in enumerate(states)}
    held = {n: t.cpu().contiguous() for n, t in tensors.items()}
    write_bytes(path, save(held, {"position": json.dumps(dict(position))}))


def read_position(path: Path) -> dict[str, Any]:
    """A checkpoint's position alone.

    Raises:
        TrainingError: it cannot be read.
    """
    try:
        with safe_open(path, framework="pt") as file:
            return json.loads(file.metadata()["position"])
    except (SafetensorError, OSError, RuntimeError, TypeError, KeyError, ValueError) as error:
        raise TrainingError(f"{path} cannot be read: {error}", "start anew with --overwrite") from None


def load_checkpoint(
    path: Path, weights: Mapping[str, torch.nn.Parameter], optimizer: torch.optim.Optimizer, rank: int
) -> None:
    """Puts a checkpoint's state back.

    Raises:
        TrainingError: it cannot be read, or is of another adapter.
    """
    try:
        with safe_open(path, framework="pt") as file:
            names = set(file.keys())
            if {n for n in names if n.startswith("weight/")} != {f"weight/{n}" for n in weights}:
                raise TrainingError(f"{path} is of another adapter", "start anew with --overwrite")
            for name, weight in weights.items():
                with torch.no_grad():
                    weight.copy_(file.get_tensor(f"weight/{name}"))
                if f"step/{name}" in names:
                    optimizer.state[weight] = {
                        key: file.get_tensor(f"{key}/{name}").to(weight.device if key != "step" else "cpu")
                        for key in _MOMENTS
                    }
            kept = sum(n.startswith(f"random/{rank}/") for n in names)
            restore_random_state([file.get_tensor(f"random/{rank}/{i}") for i in range(kept)])
    except (SafetensorError, OSError, RuntimeError) as error:
        raise TrainingError(f"{path} cannot be read: {error}", "start anew with --overwrite") from None


def random_state() -> list[torch.Tensor]:
    """This process's generators: the processor's, then each GPU's."""
    return [torch.get_rng_state(), *(torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [])]


def restore_random_state(states: list[torch.Tensor]) -> None:
    if states:
        torch.set_rng_state(states[0])
    if states[1:] and len(states) - 1 == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(states[1:])
