"""What training goes on from: its own state in one file, or another adapter's weights.

The state is whole or not there, and enough to go on bit for bit: safetensors with the small values as JSON in its
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

from auto_lora._errors import DataError, ModelError, TrainingError, UsageError
from auto_lora._runs import read_json, write_bytes
from auto_lora._settings import NOT_IN_GGUF, TrainingConfig

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


def check_adapter(folder: str | Path, config: TrainingConfig) -> Path:
    """The weights file of a PEFT adapter folder that a run with `config` can start from.

    Raises:
        ModelError: the folder holds no adapter in safetensors, or one that a GGUF cannot hold.
        UsageError: its rank, alpha or target modules are not the config's.
    """
    weights = Path(folder) / "adapter_model.safetensors"
    try:
        saved = read_json(Path(folder) / "adapter_config.json")
        there = weights.is_file() and saved["peft_type"] == "LORA"
    except (DataError, KeyError, TypeError):
        there = False
    if not there:
        raise ModelError(
            f"{folder} holds no LoRA adapter of PEFT",
            "give a folder with adapter_config.json and adapter_model.safetensors",
        )
    odd = [k for k in NOT_IN_GGUF if saved.get(k) not in (None, False, {}, [], "none")]
    if odd:
        raise ModelError(
            f"the adapter {folder} has {odd[0]}: {NOT_IN_GGUF[odd[0]]}", "start from a plain LoRA"
        )
    for key, flag, ours in (
        ("r", "--lora-r", config.lora_r),
        ("lora_alpha", "--lora-alpha", config.lora_alpha),
    ):
        if saved.get(key) != ours:
            raise UsageError(
                f"the adapter {folder} has {key} {saved.get(key)}, the run {ours}",
                f"give {flag} {saved.get(key)}",
            )
    if bool(saved.get("alora_invocation_tokens")) != config.activated:
        way, flag = ("is not", "leave --activated out") if config.activated else ("is", "give --activated")
        raise UsageError(f"the adapter {folder} {way} activated, unlike the run's", flag)
    targets = saved.get("target_modules")
    if isinstance(targets, list) and set(targets) != set(config.target_modules):
        named = ",".join(sorted(targets))
        raise UsageError(
            f"the adapter {folder} has the target modules {named}, the run {','.join(config.target_modules)}",
            f"give --target-modules {named}",
        )
    return weights


def load_adapter(
    folder: str | Path, weights: Mapping[str, torch.nn.Parameter], config: TrainingConfig
) -> None:
    """Puts the weights of a PEFT adapter folder into a model's adapter; nothing is changed where they do not fit.

    Args:
        weights: the trained parameters by name, as PEFT has them in a model.

    Raises:
        ModelError: it cannot be read, or is an adapter of another base: other modules or shapes.
        UsageError: see `check_adapter`.
    """
    path = check_adapter(folder, config)
    ours = {name.replace(".default.", "."): weight for name, weight in weights.items()}
    try:
        with safe_open(path, framework="pt") as file:
            saved = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path} cannot be read: {error}", "copy the adapter again") from None
    wrong = min(saved.keys() ^ ours.keys(), default="")
    if wrong:
        where = (
            "of the adapter is not in this base" if wrong in saved else "of this base is not in the adapter"
        )
        raise ModelError(f"{folder} is of another base model: {wrong} {where}", "give its own base model")
    for name, weight in ours.items():
        if saved[name].shape != weight.shape:
            raise ModelError(
                f"{folder} is of another base model: {name} is {_by(saved[name])}, here {_by(weight)}",
                "give its own base model",
            )
    with torch.no_grad():
        for name, weight in ours.items():
            weight.copy_(saved[name])


def _by(tensor: torch.Tensor) -> str:
    return " x ".join(map(str, tensor.shape))


def random_state() -> list[torch.Tensor]:
    """This process's generators: the processor's, then each GPU's."""
    return [torch.get_rng_state(), *(torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [])]


def restore_random_state(states: list[torch.Tensor]) -> None:
    if states:
        torch.set_rng_state(states[0])
    if states[1:] and len(states) - 1 == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(states[1:])
