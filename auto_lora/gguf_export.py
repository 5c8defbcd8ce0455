"""Stage 5: a PEFT adapter becomes a GGUF adapter.

With LLAMA_CPP_PATH set, llama.cpp's own `convert_lora_to_gguf.py` does it; without, the same file
is written here on the `gguf` library, for the architectures in `_gguf.SUPPORTED`. A test holds
both to the same tensors and metadata.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from auto_lora._errors import ExportError, MissingPartError
from auto_lora._gguf import SUPPORTED, check_supported, read_header
from auto_lora._runs import read_json, write_bytes
from auto_lora._settings import NOT_IN_GGUF

_PREFIX = "base_model.model."
# What a subprocess needs of the environment: no keys or tokens of the user's.
_KEPT = (
    "PATH",
    "HOME",
    "TMPDIR",
    "TEMP",
    "TMP",
    "LANG",
    "LC_ALL",
    "SYSTEMROOT",
    "LD_LIBRARY_PATH",
    "VIRTUAL_ENV",
)


@dataclass(frozen=True)
class BaseShape:
    """What the exporter needs to know of the base model."""

    architecture: str
    n_layers: int
    n_heads: int
    n_kv_heads: int


def export_adapter(
    directory: str | Path,
    base: str | Path,
    out_path: str | Path | None = None,
    *,
    llama_cpp_path: str | Path | None = None,
    outtype: str = "f16",
) -> Path:
    """Writes a PEFT adapter folder as one GGUF file.

    Args:
        directory: folder with `adapter_model.safetensors` and `adapter_config.json`.
        base: the base model, a GGUF file or a folder with `config.json`.
        out_path: default `adapter.gguf` in the folder.
        llama_cpp_path: a llama.cpp checkout; default: LLAMA_CPP_PATH; none: the own exporter.
        outtype: "f16" or "f32".

    Returns:
        The path written.

    Raises:
        ExportError: no adapter there, not one for this base, or what GGUF cannot carry.
        MissingPartError: LLAMA_CPP_PATH holds no converter.
    """
    directory = Path(directory)
    out_path = Path(out_path or directory / "adapter.gguf")
    settings = _read_settings(directory)
    checkout = llama_cpp_path or os.environ.get("LLAMA_CPP_PATH")
    if checkout:
        data = _run_converter(find_converter(checkout), directory, Path(base), outtype)
    else:
        data = _convert(directory, settings, base_shape(base), outtype)
    return write_bytes(out_path, data)


def base_shape(base: str | Path) -> BaseShape:
    """Architecture and head counts of a GGUF file or of a transformers folder or hub id."""
    if Path(base).is_file():
        header = read_header(base)
        check_supported(header)
        return BaseShape(header.architecture, header.n_layers, header.n_heads, header.n_kv_heads)
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(str(base))
    except (OSError, ValueError) as error:
        raise ExportError(
            f"the base model {base} is not there: {error}", "give the base with --model-path"
        ) from None
    if config.model_type not in SUPPORTED:
        raise ExportError(
            f"{config.model_type} adapters cannot be exported here",
            f"set LLAMA_CPP_PATH to a llama.cpp checkout, or choose one of: {', '.join(SUPPORTED)}",
        )
    return BaseShape(
        config.model_type, config.num_hidden_layers, config.num_attention_heads, config.num_key_value_heads
    )


def find_converter(checkout: str | Path, name: str = "convert_lora_to_gguf.py") -> Path:
    """llama.cpp's conversion script in a checkout.

    Raises:
        MissingPartError: it is not there.
    """
    path = Path(checkout) / name
    if not path.is_file():
        raise MissingPartError(
            f"LLAMA_CPP_PATH is {checkout}, which holds no {name}",
            "point it at a llama.cpp source checkout, or unset it to use the built-in exporter",
        )
    return path


def convert_base(model: str, out_path: Path, llama_cpp_path: str | Path | None = None) -> Path:
    """Writes a transformers model folder as GGUF (bf16) with llama.cpp's `convert_hf_to_gguf.py`.

    Raises:
        MissingPartError: LLAMA_CPP_PATH is not set or holds no converter.
        ExportError: the converter failed; its last lines are quoted.
    """
    if out_path.is_file():
        return out_path
    checkout = llama_cpp_path or os.environ.get("LLAMA_CPP_PATH")
    if not checkout:
        raise MissingPartError(
            f"{model} has no GGUF to serve",
            "give one with --model-path FILE.gguf, or set LLAMA_CPP_PATH so that it can be converted",
        )
    script = find_converter(checkout, "convert_hf_to_gguf.py")
    folder = model
    if not Path(model).is_dir():
        from huggingface_hub import snapshot_download

        folder = snapshot_download(model)
    temporary = out_path.with_name(f".{out_path.name}.part")
    out_path.parent.mkdir(parents=True, exist_ok=True)
    try:
        _run(
            [sys.executable, str(script), folder, "--outfile", str(temporary), "--outtype", "bf16"],
            script.name,
        )
        os.replace(temporary, out_path)
    finally:
        temporary.unlink(missing_ok=True)
    return out_path


def write_base_config(base: str | Path, directory: Path) -> Path:
    """Gives llama.cpp's script what its `--base` wants: config.json and tokenizer of a GGUF.

    Returns the folder: `directory` for a GGUF, the base itself when it is a folder.
    """
    if Path(base).is_dir():
        return Path(base)
    from transformers import AutoConfig, AutoTokenizer

    names = {"llama": "LlamaForCausalLM", "qwen2": "Qwen2ForCausalLM", "qwen3": "Qwen3ForCausalLM"}
    if Path(base).is_file():
        folder, file = os.path.split(os.path.abspath(base))
        config = AutoConfig.from_pretrained(folder, gguf_file=file)
        tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=file)
    else:
        config, tokenizer = AutoConfig.from_pretrained(str(base)), AutoTokenizer.from_pretrained(str(base))
    config.architectures = config.architectures or [names[config.model_type]]
    config.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return directory


def _read_settings(directory: Path) -> dict[str, Any]:
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        if not (directory / name).is_file():
            raise ExportError(f"{directory} holds no {name}", "give the folder of a PEFT LoRA adapter")
    settings: dict[str, Any] = read_json(directory / "adapter_config.json")
    if settings.get("peft_type") != "LORA":
        raise ExportError(
            f"{directory} holds a {settings.get('peft_type')} adapter", "only LoRA can be exported"
        )
    for key, reason in NOT_IN_GGUF.items():
        if settings.get(key) not in (None, False, "none", [], {}):
            raise ExportError(f"the adapter uses {key}: {reason}", f"train it again without {key}")
    return settings


def _convert(directory: Path, settings: Mapping[str, Any], base: BaseShape, outtype: str) -> bytes:
    """The GGUF file's bytes, laid out as llama.cpp's `convert_lora_to_gguf.py` does."""
    import gguf
    from safetensors.numpy import load_file

    arch = {gguf.MODEL_ARCH_NAMES[a]: a for a in gguf.MODEL_ARCH_NAMES}[base.architecture]
    names = gguf.get_tensor_name_map(arch, base.n_layers)
    dtype = {"f16": np.float16, "f32": np.float32}[outtype]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "adapter.gguf"
        writer = gguf.GGUFWriter(path, base.architecture)
        writer.add_type(gguf.GGUFType.ADAPTER)
        writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
        writer.add_name(directory.resolve().name)
        writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, float(settings["lora_alpha"]))
        writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
        for name, tensor in load_file(directory / "adapter_model.safetensors").items():
            writer.add_tensor(*_tensor(name, tensor, names, base, dtype))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return path.read_bytes()


def _tensor(name: str, tensor: np.ndarray, names: Any, base: BaseShape, dtype: Any) -> tuple[str, np.ndarray]:
    """A PEFT tensor under its GGUF name; B of llama's q and k in ggml's rotary order."""
    module, _, half = name.removeprefix(_PREFIX).removesuffix(".weight").rpartition(".lora_")
    known = names.get_name(module) if module else None
    if known is None or half not in ("A", "B"):
        raise ExportError(
            f"the adapter's tensor {name} has no place in a {base.architecture} GGUF",
            "is it for another base?",
        )
    if half == "B" and base.architecture == "llama" and module.endswith(("q_proj", "k_proj")):
        tensor = permute(tensor, base.n_heads if module.endswith("q_proj") else base.n_kv_heads)
    return f"{known}.weight.lora_{half.lower()}", np.ascontiguousarray(
        tensor.astype(np.float32).astype(dtype)
    )


def permute(weight: np.ndarray, heads: int) -> np.ndarray:
    """Rows of q/k from transformers' half-split rotary order to ggml's interleaved one.

    Source: llama.cpp conversion/llama.py, `LlamaModel.permute`.
    """
    if weight.shape[0] % (2 * heads):
        raise ExportError("the adapter's q or k rows do not fit the base's heads", "is it for another base?")
    split = weight.reshape(heads, 2, weight.shape[0] // heads // 2, *weight.shape[1:])
    return split.swapaxes(1, 2).reshape(weight.shape)


def _run_converter(script: Path, directory: Path, base: Path, outtype: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        base_folder = write_base_config(base, Path(folder) / "base")
        out = Path(folder) / "adapter.gguf"
        argv = [
            sys.executable,
            str(script),
            "--base",
            str(base_folder),
            "--outfile",
            str(out),
            "--outtype",
            outtype,
        ]
        _run([*argv, str(directory)], script.name)
        return out.read_bytes()


def _run(argv: list[str], name: str) -> None:
    """Runs a script with the running interpreter; its last lines explain a failure."""
    environment = {k: v for k, v in os.environ.items() if k in _KEPT} | {"HF_HUB_OFFLINE": "1"}
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        tail = "\n".join(done.stderr.strip().splitlines()[-8:])
        raise ExportError(
            f"{name} failed with exit code {done.returncode}:\n{tail}",
            "unset LLAMA_CPP_PATH to use the built-in exporter",
        )
