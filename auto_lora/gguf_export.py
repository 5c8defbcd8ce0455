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
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from auto_lora._errors import ExportError, MissingPartError, ModelError
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
    "USERPROFILE",
    "LD_LIBRARY_PATH",
    "VIRTUAL_ENV",
)
OUTTYPES = ("f16", "f32")
# Settings of foreign PEFT adapters, beyond those that this project's own settings can name.
_FOREIGN = {
    "lora_bias": "a GGUF adapter holds no biases",
    "trainable_token_indices": "a GGUF adapter holds no trained token embeddings",
    "layer_replication": "the base GGUF does not repeat its layers",
    "target_parameters": "only linear layers have a place in a GGUF adapter here",
    "use_qalora": "llama.cpp does not pool the inputs of A",
}
# These change the base's own weights at the start; PEFT writes True once they are converted back.
_CHANGES_BASE = ("pissa", "olora", "corda", "loftq")


@dataclass(frozen=True)
class BaseShape:
    """What the exporter needs to know of the base model."""

    architecture: str
    n_layers: int
    n_heads: int
    n_kv_heads: int
    hidden_size: int
    feed_forward: int


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
        ModelError: the base is not a GGUF that can be read.
        MissingPartError: LLAMA_CPP_PATH holds no converter.
    """
    if outtype not in OUTTYPES:
        raise ExportError(f"outtype is {outtype!r}", f"choose one of: {', '.join(OUTTYPES)}")
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
    if _is_gguf(base):
        header = read_header(base)
        check_supported(header)
        return BaseShape(
            header.architecture,
            header.n_layers,
            header.n_heads,
            header.n_kv_heads,
            header.hidden_size,
            header.feed_forward,
        )
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(str(base))
    except (OSError, ValueError) as error:
        raise _no_base(base, error) from None
    if config.model_type not in SUPPORTED:
        raise ExportError(
            f"{config.model_type} adapters cannot be exported here",
            f"set LLAMA_CPP_PATH to a llama.cpp checkout, or choose one of: {', '.join(SUPPORTED)}",
        )
    return BaseShape(
        config.model_type,
        config.num_hidden_layers,
        config.num_attention_heads,
        config.num_key_value_heads,
        config.hidden_size,
        config.intermediate_size,
    )


def _is_gguf(base: str | Path) -> bool:
    """Whether a base is meant as a GGUF file, also when that file is missing."""
    return Path(base).is_file() or Path(base).suffix == ".gguf"


def _no_base(base: str | Path, error: Exception) -> ExportError:
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return ExportError(f"the base model {base} cannot be read: {reason}", "give the base with --model-path")


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
        ModelError: the hub does not give the model.
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

        try:
            folder = snapshot_download(model)
        except (OSError, ValueError) as error:  # the hub's own errors are of these
            reason = " ".join(str(error).split())[:300]
            raise ModelError(
                f"the base model {model} cannot be downloaded: {reason}",
                f"check --model-name, download it (hf download {model}), or give --model-path FILE.gguf",
            ) from None
    temporary = out_path.with_name(f".{out_path.name}.part")
    out_path.parent.mkdir(parents=True, exist_ok=True)
    try:
        _run(
            [sys.executable, str(script), folder, "--outfile", str(temporary), "--outtype", "bf16"],
            script.name,
            "give a GGUF of the same model with --model-path",
        )
        os.replace(temporary, out_path)
    finally:
        temporary.unlink(missing_ok=True)
    return out_path


def write_base_config(base: str | Path, directory: Path) -> Path:
    """Gives llama.cpp's script what its `--base` wants: config.json and tokenizer of a GGUF.

    Returns the folder: `directory` for a GGUF, the base itself when it is a folder.

    Raises:
        ModelError: the base is not a GGUF that can be read.
        ExportError: transformers finds or knows no such base.
    """
    if Path(base).is_dir():
        return Path(base)
    from transformers import AutoConfig, AutoTokenizer

    names = {"llama": "LlamaForCausalLM", "qwen2": "Qwen2ForCausalLM", "qwen3": "Qwen3ForCausalLM"}
    source, extra = str(base), {}
    if _is_gguf(base):
        check_supported(read_header(base))
        source, file = os.path.split(os.path.abspath(base))
        extra = {"gguf_file": file}
    try:
        config = AutoConfig.from_pretrained(source, **extra)
        tokenizer = AutoTokenizer.from_pretrained(source, **extra)
    except (OSError, ValueError) as error:
        raise _no_base(base, error) from None
    config.architectures = config.architectures or [names[config.model_type]]
    config.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return directory


def _read_settings(directory: Path) -> dict[str, Any]:
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        if not (directory / name).is_file():
            raise ExportError(f"{directory} holds no {name}", "give the folder of a PEFT LoRA adapter")
    settings = read_json(directory / "adapter_config.json")
    if not isinstance(settings, dict) or not isinstance(settings.get("lora_alpha"), (int, float)):
        raise ExportError(
            f"{directory / 'adapter_config.json'} is not a PEFT configuration",
            "give the folder of a PEFT LoRA adapter",
        )
    if settings.get("peft_type") != "LORA":
        raise ExportError(
            f"{directory} holds a {settings.get('peft_type')} adapter", "only LoRA can be exported"
        )
    for key, reason in (NOT_IN_GGUF | _FOREIGN).items():
        if settings.get(key) not in (None, False, "none", [], {}):
            raise ExportError(f"the adapter uses {key}: {reason}", f"train it again without {key}")
    mark = settings.get("alora_invocation_tokens") or []
    if not isinstance(mark, list) or not all(type(i) is int and 0 <= i < 2**32 for i in mark):
        raise ExportError(
            f"{directory} has alora_invocation_tokens that are no token ids", "train the adapter again"
        )
    start = str(settings.get("init_lora_weights"))
    if start.startswith(_CHANGES_BASE):
        raise ExportError(
            f"the adapter was started with {start}, which changes the base's weights",
            "save it with PEFT's path_initial_model_for_weight_conversion",
        )
    return settings


def _convert(directory: Path, settings: Mapping[str, Any], base: BaseShape, outtype: str) -> bytes:
    """The GGUF file's bytes, laid out as llama.cpp's `convert_lora_to_gguf.py` does."""
    import gguf

    arch = {name: arch for arch, name in gguf.MODEL_ARCH_NAMES.items()}[base.architecture]
    names = gguf.get_tensor_name_map(arch, base.n_layers)
    dtype = {"f16": np.float16, "f32": np.float32}[outtype]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "adapter.gguf"
        writer = gguf.GGUFWriter(path, base.architecture)
        for module, a, b in _pairs(directory, base):
            known = names.get_name(module)
            if known is None:
                raise _misplaced(module, base)
            writer.add_tensor(f"{known}.weight.lora_a", np.ascontiguousarray(a.astype(dtype)))
            writer.add_tensor(f"{known}.weight.lora_b", np.ascontiguousarray(b.astype(dtype)))
        writer.add_type(gguf.GGUFType.ADAPTER)
        writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
        # Name, licence, base: from the folder's name and model card, as the script reads them.
        metadata = gguf.Metadata.load(
            model_path=directory, total_params=writer.get_total_parameter_count()[0]
        )
        metadata.name = metadata.name or directory.resolve().name
        metadata.set_gguf_meta_model(writer)
        writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, float(settings["lora_alpha"]))
        if invocation := settings.get("alora_invocation_tokens"):
            kinds = gguf.GGUFValueType.ARRAY, gguf.GGUFValueType.UINT32
            writer.add_key_value(gguf.Keys.Adapter.ALORA_INVOCATION_TOKENS, invocation, *kinds)
        writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return path.read_bytes()


def _pairs(directory: Path, base: BaseShape) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Each adapted module with its A and B in float32; B of llama's q and k in ggml's rotary order.

    Raises:
        ExportError: a half is missing, or shapes are not those of the base.
    """
    halves: dict[str, dict[str, np.ndarray]] = {}
    for name, tensor in _load(directory / "adapter_model.safetensors").items():
        module, _, half = name.removeprefix(_PREFIX).removesuffix(".weight").rpartition(".lora_")
        if not module or half not in ("A", "B") or module.rpartition(".")[2] in NOT_IN_GGUF:
            raise _misplaced(name, base)
        halves.setdefault(module, {})[half] = tensor
    if not halves:
        raise ExportError(f"{directory} holds an adapter without tensors", "train it again")
    for module, pair in halves.items():
        if pair.keys() != {"A", "B"}:
            raise ExportError(f"the adapter's {module} lacks its A or B", "train it again")
        a, b = pair["A"], pair["B"]
        if not _fits(module, a, b, base):
            raise _misplaced(f"{module} with A {a.shape} and B {b.shape}", base)
        if base.architecture == "llama" and module.endswith(("q_proj", "k_proj")):
            b = permute(b, base.n_heads if module.endswith("q_proj") else base.n_kv_heads)
        yield module, a, b


def _fits(module: str, a: np.ndarray, b: np.ndarray, base: BaseShape) -> bool:
    """Whether the ranks agree, and each side that hidden and feed-forward size fix has that size."""
    if not (a.ndim == b.ndim == 2 and a.shape[0] == b.shape[1]):
        return False
    kind = module.rpartition(".")[2]
    hidden, wide = base.hidden_size, base.feed_forward
    inner = {"down_proj": wide, "o_proj": a.shape[1]}.get(kind, hidden)
    outer = {"gate_proj": wide, "up_proj": wide, "o_proj": hidden, "down_proj": hidden}
    return (a.shape[1], b.shape[0]) == (inner, outer.get(kind, b.shape[0]))


def _load(path: Path) -> dict[str, np.ndarray]:
    """Tensors in float32; through torch, since numpy has no bfloat16."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return {name: tensor.float().numpy() for name, tensor in load_file(path).items()}
    except (SafetensorError, OSError) as error:
        raise ExportError(f"{path} cannot be read: {error}", "copy or train the adapter again") from None


def _misplaced(name: str, base: BaseShape) -> ExportError:
    return ExportError(
        f"the adapter's {name} has no place in this {base.architecture} base", "is it for another base?"
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
        _run([*argv, str(directory)], script.name, "unset LLAMA_CPP_PATH to use the built-in exporter")
        return out.read_bytes()


def _run(argv: list[str], name: str, hint: str) -> None:
    """Runs a script with the running interpreter; its last lines explain a failure."""
    environment = {k: v for k, v in os.environ.items() if k in _KEPT} | {"HF_HUB_OFFLINE": "1"}
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        tail = "\n".join(done.stderr.strip().splitlines()[-8:])
        raise ExportError(f"{name} failed with exit code {done.returncode}:\n{tail}", hint)
