"""What training goes on from: its state in one file.

It is whole or not there, and enough to go on bit for bit: safetensors with the small values as JSON in its
header. It holds the adapter, AdamW's moments, every process's random states, and the position in the data.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from auto_lora._errors import TrainingError
from auto_lora._runs import write_bytes

_MOMENTS = ("exp_avg", "exp_avg_sq", "step")


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


def load_checkpoint(
    path: Path, weights: Mapping[str, torch.nn.Parameter], optimizer: torch.optim.Optimizer, rank: int
) -> dict[str, Any]:
    """Puts a checkpoint's state back and returns its position.

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
            restore_random_state(
                [file.get_tensor(n) for n in sorted(names) if n.startswith(f"random/{rank}/")]
            )
            return json.loads(file.metadata()["position"])
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
