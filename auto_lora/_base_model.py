"""The frozen base model and its tokenizer: from a hub id, a local folder, or the GGUF that will be served."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from auto_lora._errors import MissingPartError, ModelError, TrainingError
from auto_lora._gguf import check_supported, read_header
from auto_lora._memory import keep_freed_memory
from auto_lora._settings import TrainingConfig
from auto_lora._shared_prefix import use_shared_prefix


@dataclass
class Base:
    """A frozen base model with its tokenizer, on its device."""

    model: Any
    tokenizer: Any
    source: str
    precision: str


def load_tokenizer(config: TrainingConfig) -> Any:
    """The tokenizer of the base model, from its GGUF if one is given."""
    from transformers import AutoTokenizer

    path = config.llama_cpp_model_path
    if path:
        check_supported(read_header(path))
        with _alone(path) as (folder, name), _read_once():
            return AutoTokenizer.from_pretrained(folder, gguf_file=name)
    return _from_hub(AutoTokenizer.from_pretrained, config.model_name)


def load_base(config: TrainingConfig, tokenizer: Any = None) -> Base:
    """Loads the frozen base in the configured precision, with its tokenizer if none is given.

    Raises:
        ModelError: the model cannot be found, read or trained with shared prefixes.
        MissingPartError: 4-bit weights without a GPU or bitsandbytes.
    """
    with _read_once():
        return _load(config, tokenizer)


def _load(config: TrainingConfig, tokenizer: Any) -> Base:
    from transformers import AutoModelForCausalLM, GgufConfig

    _quieten()
    keep_freed_memory()
    if config.num_threads:
        torch.set_num_threads(config.num_threads)
    cuda = torch.cuda.is_available()
    local = int(os.environ.get("LOCAL_RANK", "0"))  # set by accelerate launch and torchrun
    device = torch.device("cuda", local) if cuda else torch.device("cpu")
    dtype, precision = pick_precision(config.mixed_precision, device)
    options: dict[str, Any] = {"dtype": dtype}
    if config.load_in_4bit:
        options |= _four_bit(device)
        precision = "4-bit NF4, computing in bf16"
    if config.llama_cpp_model_path and not config.load_in_4bit:
        source = config.llama_cpp_model_path
        check_supported(read_header(source))
        options["quantization_config"] = GgufConfig(dequantize=True)
        try:
            with _alone(source) as (folder, name):
                model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, **options)
        except (RuntimeError, ValueError, KeyError, OSError) as error:
            raise ModelError(
                f"transformers cannot de-quantise {os.path.basename(source)}: {' '.join(str(error).split())[:200]}",
                "give the model's transformers folder with --model-name, or another GGUF of it",
            ) from None
    else:
        model = _from_hub(AutoModelForCausalLM.from_pretrained, config.model_name, **options)
        source = config.model_name
    if not config.load_in_4bit:
        model.to(device)  # type: ignore[arg-type]
    model.requires_grad_(False)
    model.config.use_cache = False
    use_shared_prefix(model)
    return Base(model, tokenizer or load_tokenizer(config), source, precision)


def check_loadable(config: TrainingConfig) -> None:
    """Raises what `load_base` would for what can be known before anything is loaded.

    Raises:
        TrainingError: fp16 without a GPU.
        MissingPartError: 4-bit weights without a GPU or bitsandbytes.
        ModelError: 4-bit weights are to be trained of another model than the GGUF that is served.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    pick_precision(config.mixed_precision, device)
    if config.load_in_4bit:
        _four_bit(device)
        if config.llama_cpp_model_path:
            check_same_shape(config)


def check_same_shape(config: TrainingConfig) -> None:
    """Raises ModelError where `model_name`, of which 4-bit weights are trained, and the GGUF that is served differ in shape."""
    from transformers import AutoConfig

    header = read_header(str(config.llama_cpp_model_path))
    other = _from_hub(AutoConfig.from_pretrained, config.model_name)
    named = [getattr(other, f, None) for f in ("num_hidden_layers", "hidden_size", "intermediate_size")]
    if named != [header.n_layers, header.hidden_size, header.feed_forward]:
        raise ModelError(
            f"4-bit weights are trained of {config.model_name}, and {header.path} is of another model",
            "name the GGUF's own model with --model-name, or leave --load-in-4bit out",
        )


@contextmanager
def _alone(path: str) -> Iterator[tuple[str, str]]:
    """A folder and a name under which a GGUF has no other file beside it.

    transformers takes `adapter_config.json` beside a GGUF for the model's own and loads the base that it
    names instead, and `tokenizer_config.json` for the tokenizer's.
    """
    folder, name = os.path.split(os.path.abspath(path))
    with tempfile.TemporaryDirectory(prefix="auto_lora_", ignore_cleanup_errors=True) as empty:
        try:
            os.symlink(os.path.join(folder, name), os.path.join(empty, name))
        except OSError:  # Windows lets not everybody make links
            yield folder, name
        else:
            yield empty, name


@contextmanager
def _read_once() -> Iterator[None]:
    """For as long as this lasts a GGUF's header is parsed once, and the names of its tensors once.

    transformers (5.23) does so for config, tokenizer and weights, and for every module; gguf makes a `memmap` of every string.
    The embedded model's start took 37.6 s beside other work on two cores, 7.7 s like this.
    """
    try:
        import gguf
    except ImportError:  # said where it is needed
        yield
        return
    reader, names = gguf.GGUFReader, gguf.get_tensor_name_map
    if not isinstance(reader, type):  # within another
        yield
        return

    class PlainReader(reader):  # type: ignore[misc, valid-type]
        @property
        def data(self) -> Any:
            return self._data

        @data.setter
        def data(self, mapped: Any) -> None:
            self._data = np.asarray(mapped)

    parsed = cache(lambda path: PlainReader(path))
    gguf.GGUFReader = lambda path, *_: parsed(os.path.realpath(path))  # type: ignore[assignment, misc]
    gguf.get_tensor_name_map = cache(names)
    try:
        yield
    finally:
        gguf.GGUFReader, gguf.get_tensor_name_map = reader, names  # type: ignore[misc]


def _quieten() -> None:
    """Keeps transformers' own progress bars and advice out of the log."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()


def decided_precision(wanted: str) -> str:
    """What "auto" means on this machine: bf16 only where it is faster. On a processor it is measured, so a run notes it."""
    if wanted != "auto":
        return wanted
    if torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    return "bf16" if cpu_prefers_bf16() else "no"


def pick_precision(wanted: str, device: torch.device) -> tuple[torch.dtype, str]:
    """Weight type of the frozen base."""
    if wanted == "fp16" and device.type == "cpu":
        raise TrainingError("mixed_precision fp16 needs a GPU", "use --mixed-precision auto")
    wanted = decided_precision(wanted)
    dtypes = {"bf16": torch.bfloat16, "fp16": torch.float16, "no": torch.float32}
    return dtypes[wanted], "float32" if wanted == "no" else wanted


@cache
def matmul_rates() -> dict[torch.dtype, float]:
    """FLOP/s of this processor's matrix products in float32 and bf16, measured in some 50 ms.

    Processor flags do not tell: bf16 took 167 against 319 GFLOP/s on one machine with AVX512-BF16, 800 against
    195 on another (torch 2.13, 984 x 576 x 1536).
    """
    rates = {}
    for dtype in (torch.float32, torch.bfloat16):
        x, weight = torch.ones(512, 576, dtype=dtype), torch.ones(1536, 576, dtype=dtype)
        seconds = []
        for _ in range(6):
            started = time.perf_counter()
            F.linear(x, weight)
            seconds.append(time.perf_counter() - started)
        rates[dtype] = 2 * 512 * 576 * 1536 / min(seconds[1:])
    return rates


def cpu_prefers_bf16() -> bool:
    """Whether bf16 products are clearly faster here than float32 ones."""
    rates = matmul_rates()
    return rates[torch.bfloat16] > 1.3 * rates[torch.float32]


def _four_bit(device: torch.device) -> dict[str, Any]:
    from importlib.util import find_spec

    if device.type != "cuda" or find_spec("bitsandbytes") is None:
        missing = "a CUDA GPU" if device.type != "cuda" else "the package bitsandbytes"
        raise MissingPartError(
            f"load_in_4bit needs {missing}",
            "pip install bitsandbytes on a GPU machine, or leave --load-in-4bit out",
        )
    from transformers import BitsAndBytesConfig

    quantisation = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )
    return {"quantization_config": quantisation, "device_map": {"": device}, "dtype": torch.bfloat16}


def _from_hub(load: Any, name: str, **options: Any) -> Any:
    try:
        return load(name, **options)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ModelError(
            f"the base model {name} cannot be loaded: {reason}",
            f"download it (hf download {name}) or give a GGUF with --model-path",
        ) from None
