"""What a GGUF file's header says, read without loading its tensors."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from auto_lora._errors import ModelError

# Architectures whose tensors the project's exporter maps and whose tests compare with llama.cpp.
SUPPORTED = ("llama", "qwen2", "qwen3")


@dataclass(frozen=True)
class GGUFHeader:
    """The facts about a model that training and serving need.

    Attributes:
        quantisation: of most tensors, e.g. "Q4_1".
        context_length, hidden_size, feed_forward, vocab_size: in tokens or units.
        n_parameters: weights in all tensors; file_bytes: size of the file.
        chat_template: the template inside, None without one.
    """

    path: Path
    architecture: str
    name: str
    quantisation: str
    context_length: int
    n_layers: int
    hidden_size: int
    feed_forward: int
    n_heads: int
    n_kv_heads: int
    vocab_size: int
    n_parameters: int
    file_bytes: int
    chat_template: str | None

    @cached_property
    def knows_tools(self) -> bool:
        """Whether the template inside mentions tools (whether it renders them, the trainer tries)."""
        return "tools" in (self.chat_template or "")


def read_header(path: str | Path) -> GGUFHeader:
    """Reads a GGUF header.

    Raises:
        ModelError: missing, a folder, not GGUF, cut short, or without a model in it.
    """
    path = Path(path)
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise ModelError(f"model file {path} {what}", "give a GGUF file with --model-path, or try --demo")
    with open(path, "rb") as file:
        if file.read(4) != b"GGUF":
            raise ModelError(
                f"{path} is not a GGUF file", "convert the model with llama.cpp's convert_hf_to_gguf.py"
            )
    return _read(path, path.stat().st_size, path.stat().st_mtime_ns)


@lru_cache(maxsize=8)
def _read(path: Path, size: int, _changed: int) -> GGUFHeader:
    """Reads once per state of the file: 3 s for a vocabulary of 49,152."""
    reader = _open(path)
    # Tensor data past the end of the file means a download that was cut short.
    if any(t.data_offset + t.n_bytes > size for t in reader.tensors):
        raise ModelError(f"{path} is truncated", "download it again and compare its size")
    return _header(path, reader, size)


def check_supported(header: GGUFHeader) -> None:
    """Raises ModelError for an architecture whose adapters cannot be exported here."""
    if header.architecture not in SUPPORTED:
        raise ModelError(
            f"{header.path.name} is of the architecture {header.architecture}, which is not supported",
            f"choose a model of one of: {', '.join(SUPPORTED)}",
        )


def _open(path: Path) -> Any:
    from gguf import GGUFReader

    try:
        return GGUFReader(path)
    except (ValueError, IndexError, KeyError, OverflowError, MemoryError, UnicodeDecodeError) as error:
        raise ModelError(
            f"{path} is truncated or damaged ({str(error)[:100]})", "download it again and compare its size"
        ) from None


def _header(path: Path, reader: Any, size: int) -> GGUFHeader:
    from gguf import LlamaFileType

    def value(key: str, default: Any = None) -> Any:
        field = reader.get_field(key)
        return default if field is None else field.contents()

    architecture = value("general.architecture", "")
    if not reader.tensors or value(f"{architecture}.block_count") is None:
        raise ModelError(
            f"{path} holds no language model",
            "give the GGUF of a whole model, not of a vocabulary or adapter",
        )
    heads = value(f"{architecture}.attention.head_count", 0)
    file_type = value("general.file_type")
    known = file_type is not None and file_type in iter(LlamaFileType)
    tokens = reader.get_field("tokenizer.ggml.tokens")
    return GGUFHeader(
        path=path,
        architecture=architecture,
        name=value("general.name", path.stem),
        quantisation=LlamaFileType(file_type).name.removeprefix("MOSTLY_").removeprefix("ALL_")
        if known
        else "unknown",
        context_length=value(f"{architecture}.context_length", 0),
        n_layers=value(f"{architecture}.block_count"),
        hidden_size=value(f"{architecture}.embedding_length", 0),
        feed_forward=value(f"{architecture}.feed_forward_length", 0),
        n_heads=heads,
        n_kv_heads=value(f"{architecture}.attention.head_count_kv", heads),
        vocab_size=value(f"{architecture}.vocab_size", len(tokens.data) if tokens else 0),
        n_parameters=sum(int(t.n_elements) for t in reader.tensors),
        file_bytes=size,
        chat_template=value("tokenizer.chat_template"),
    )
