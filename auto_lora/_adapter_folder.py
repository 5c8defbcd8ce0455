"""An adapter as PEFT keeps it: a folder with its weights and its settings."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from auto_lora._errors import DataError, ModelError, UsageError
from auto_lora._runs import read_json, write_bytes, write_json
from auto_lora._settings import NOT_IN_GGUF, TrainingConfig


@contextmanager
def asking_peft() -> Iterator[None]:
    """For as long as this lasts PEFT may ask under an old name: 0.21 does so of transformers 5.23, which warns the user."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing", category=FutureWarning)
        yield


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


def save_adapter(peft_model: Any, directory: Path, invocation: Sequence[int] = ()) -> None:
    """Writes the adapter as PEFT does, each file whole or not at all; `invocation`: what activates it."""
    from peft import get_peft_model_state_dict

    # Not model.state_dict(): under FSDP that reshards, and here in the first process only.
    trained = {n: p for n, p in peft_model.named_parameters() if p.requires_grad}
    named = get_peft_model_state_dict(peft_model, state_dict=trained, save_embedding_layers=False)
    tensors = {k: v.detach().float().cpu().contiguous() for k, v in named.items()}
    write_bytes(directory / "adapter_model.safetensors", save(tensors, {"format": "pt"}))
    settings = peft_model.peft_config["default"].to_dict()
    settings["inference_mode"] = True
    settings["alora_invocation_tokens"] = list(invocation) or None
    settings["target_modules"] = sorted(settings["target_modules"])
    write_json(directory / "adapter_config.json", settings)
