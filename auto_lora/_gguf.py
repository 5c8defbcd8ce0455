"""What a GGUF file's header says, read without loading its tensors.

Format: ggml docs/gguf.md, versions 2 and 3, little-endian. Read here and not by `gguf.GGUFReader`,
which makes an array of every token: 2.3 s for a vocabulary of 49,152 against 0.03 s.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import prod
from pathlib import Path
from typing import Any

from auto_lora._errors import ModelError

# Architectures whose tensors the project's exporter maps and whose tests compare with llama.cpp.
SUPPORTED = ("llama", "qwen2", "qwen3")
# Scalar types by their number in the format; 8 is a string, 9 an array.
_SCALARS = dict(zip((0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12), "BbHhIif?Qqd", strict=True))
_STRING, _ARRAY = 8, 9


@dataclass(frozen=True)
class GGUFHeader:
    """The facts about a model that training and serving need.

    Attributes:
        quantisation: of most tensors, e.g. "Q4_1".
        context_length, hidden_size, feed_forward, head_size, vocab_size: in tokens or units.
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
    head_size: int
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
        ModelError: missing, unreadable, a folder, not GGUF, cut short, or without a model in it.
    """
    path = Path(path)
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise ModelError(f"model file {path} {what}", "give a GGUF file with --model-path, or try --demo")
    try:
        with open(path, "rb") as file:
            magic = file.read(4)
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}", "check its permissions") from None
    if magic != b"GGUF":
        raise ModelError(
            f"{path} is not a GGUF file", "convert the model with llama.cpp's convert_hf_to_gguf.py"
        )
    return _read(path, path.stat().st_size, path.stat().st_mtime_ns)


def check_supported(header: GGUFHeader) -> None:
    """Raises ModelError for an architecture whose adapters cannot be exported here."""
    if header.architecture not in SUPPORTED:
        raise ModelError(
            f"{header.path.name} is of the architecture {header.architecture}, which is not supported",
            f"choose a model of one of: {', '.join(SUPPORTED)}",
        )


@lru_cache(maxsize=8)
def _read(path: Path, size: int, _changed: int) -> GGUFHeader:
    """Reads once per state of the file."""
    try:
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            reader = _Reader(data)
            n_parameters, end = reader.tensors()
    except (struct.error, ValueError, KeyError, OverflowError, RecursionError) as error:
        raise ModelError(
            f"{path} is truncated or damaged ({str(error)[:100]})", "download it again and compare its size"
        ) from None
    # Tensor data past the end of the file means a download that was cut short.
    if end > size:
        raise ModelError(f"{path} is truncated", "download it again and compare its size")
    return _header(path, reader, n_parameters, size)


class _Reader:
    """Walks a header once; `values` holds scalars and strings, `lengths` those of arrays."""

    def __init__(self, data: mmap.mmap) -> None:
        self.data, self.at = data, 4
        version = self.number("I")
        if version not in (2, 3):
            raise ValueError(f"GGUF version {version} is not known")
        self.n_tensors = self.number("Q")
        self.values: dict[str, Any] = {}
        self.lengths: dict[str, int] = {}
        for _ in range(self.number("Q")):
            key, kind = self.text(), self.number("I")
            if kind == _ARRAY:
                self.lengths[key] = self.skip_array()
            else:
                self.values[key] = self.text() if kind == _STRING else self.number(_SCALARS[kind])

    def number(self, code: str) -> Any:
        (value,) = struct.unpack_from("<" + code, self.data, self.at)
        self.at += struct.calcsize("<" + code)
        return value

    def text(self) -> str:
        length = self.number("Q")
        self.at += length
        if self.at > len(self.data):
            raise ValueError("a string goes past the end")
        return self.data[self.at - length : self.at].decode("utf-8")

    def skip_array(self) -> int:
        """Passes over an array without keeping it; returns its length."""
        kind, length = self.number("I"), self.number("Q")
        if kind in _SCALARS:
            self.at += length * struct.calcsize("<" + _SCALARS[kind])
        elif kind not in (_STRING, _ARRAY):
            raise ValueError(f"value type {kind} is not known")
        else:
            for _ in range(length):
                if kind == _ARRAY:
                    self.skip_array()
                else:
                    size = self.number("Q")  # apart: `+=` would read `at` before `number` moves it
                    self.at += size
        return length

    def tensors(self) -> tuple[int, int]:
        """Number of weights, and where the last tensor's data must end (bytes)."""
        from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

        weights, end = 0, 0
        for _ in range(self.n_tensors):
            self.text()
            n = prod(self.number("Q") for _ in range(self.number("I")))
            block, block_bytes = GGML_QUANT_SIZES[GGMLQuantizationType(self.number("I"))]
            weights += n
            end = max(end, self.number("Q") + n // block * block_bytes)
        step = self.values.get("general.alignment", 32)
        if not isinstance(step, int) or step < 1:
            raise ValueError(f"alignment {step}")
        return weights, -(-self.at // step) * step + end if end else 0


def _header(path: Path, reader: _Reader, n_parameters: int, size: int) -> GGUFHeader:
    from gguf import LlamaFileType

    value: Callable[..., Any] = reader.values.get
    architecture = value("general.architecture", "")
    if not reader.n_tensors or value(f"{architecture}.block_count") is None:
        raise ModelError(
            f"{path} holds no language model",
            "give the GGUF of a whole model, not of a vocabulary or adapter",
        )
    heads = value(f"{architecture}.attention.head_count", 0)
    file_type = value("general.file_type")
    known = file_type is not None and file_type in iter(LlamaFileType)
    tokens = reader.lengths.get("tokenizer.ggml.tokens", 0)
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
        head_size=value(
            f"{architecture}.attention.key_length",
            value(f"{architecture}.embedding_length", 0) // max(heads, 1),
        ),
        vocab_size=value(f"{architecture}.vocab_size", tokens),
        n_parameters=n_parameters,
        file_bytes=size,
        chat_template=value("tokenizer.chat_template"),
    )
