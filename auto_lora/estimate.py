"""What a training will take, before it starts: memory and time of one iteration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec

from auto_lora._gguf import GGUFHeader
from auto_lora._memory import Shape, at_once, fitting, free_bytes, step_bytes
from auto_lora._settings import TrainingConfig
from auto_lora.catalog import ToolDefinition

_OWN_TOKENS = 75  # of a typical example after the shared prefix, most of them without closing answer
# On a processor: Python with PyTorch and the data, and what the heap holds beyond a step's living blocks (0.45 GiB and
# 3.1 GiB where 1.65 are counted: SmolLM2-135M, 600 tokens of tools, 16 at once, 30 steps).
_PROCESS_BYTES = 480 * 2**20
_HEAP = 1.9


@dataclass(frozen=True)
class Estimate:
    """What training will take, roughly: bytes of memory and seconds; whether the memory is there."""

    memory_bytes: int
    seconds: float
    basis: str
    fits: bool

    def __str__(self) -> str:
        return f"about {gib(self.memory_bytes)} and {duration(self.seconds)} an iteration ({self.basis})"


def estimate_training(
    header: GGUFHeader, config: TrainingConfig, tools: Sequence[ToolDefinition]
) -> Estimate:
    """Memory and time of one iteration, from the model's shape (see `_memory` for what is counted).

    Time: 6 FLOP a parameter and token at 0.45 of the processor's measured matrix rate, which is what SmolLM2-135M
    reaches at a prefix of 600 tokens (Zen 5, bf16); a GPU is far faster.
    """
    config = config.for_tools(tools)
    prefix = sum(len(str(t.to_openai())) for t in tools) // 4 + 120
    narrow = config.load_in_4bit or (
        _has_bf16() if config.mixed_precision == "auto" else config.mixed_precision != "no"
    )
    width = 2 if narrow else 4
    shape = Shape(
        header.n_layers, header.hidden_size, header.feed_forward, header.n_heads * header.head_size,
        header.n_kv_heads * header.head_size, header.vocab_size, config.lora_r, width,
    )  # fmt: skip
    weights = _weight_bytes(header, shape) if config.load_in_4bit else header.n_parameters * width
    gpu = _has_cuda()
    free = free_bytes("cuda" if gpu else "cpu") - weights
    most = at_once(config.batch_size, _OWN_TOKENS, packed=not gpu)
    micro, twice = fitting(
        shape,
        prefix,
        _OWN_TOKENS,
        most,
        free,
        checkpointing=config.gradient_checkpointing,
        packed=not gpu,
        activated=config.activated,
    )
    step = step_bytes(
        shape,
        prefix,
        _OWN_TOKENS,
        micro,
        packed=not gpu,
        checkpointing=twice,
        activated=config.activated,
    )
    memory = weights + (step if gpu else _PROCESS_BYTES + round(_HEAP * step))
    steps = -(-config.num_synthetic_examples // (config.batch_size * config.gradient_accumulation_steps))
    tokens = config.num_epochs * (
        (1 if config.activated else steps) * prefix + config.num_synthetic_examples * _OWN_TOKENS
    )
    seconds = tokens * 6 * header.n_parameters / (0.45 * matmul_rate(narrow))
    where = "at the processor's pace" if gpu else "on the processor"
    basis = f"{tokens} tokens in {config.num_epochs * steps} steps {where}, {micro} examples at once"
    return Estimate(
        memory, seconds, basis + (", activations computed twice" if twice else ""), memory < free + weights
    )


def _weight_bytes(header: GGUFHeader, shape: Shape) -> int:
    """Bytes of a base in NF4: 4.127 bits a weight of the layers' projections (QLoRA, arXiv 2305.14314, with double quantisation),
    all else in 16 bits.
    """
    projections = (
        shape.n_layers * shape.hidden * (2 * shape.query + 2 * shape.key_value + 3 * shape.feed_forward)
    )
    return round(projections * 4.127 / 8 + 2 * (header.n_parameters - projections))


def _has_cuda() -> bool:
    if find_spec("torch") is None:
        return False
    import torch

    return torch.cuda.is_available()


def _has_bf16() -> bool:
    """Whether `auto` takes 2-byte weights here."""
    if find_spec("torch") is None:
        return False
    from auto_lora._base_model import cpu_prefers_bf16

    return _has_cuda() or cpu_prefers_bf16()


def matmul_rate(narrow: bool) -> float:
    """FLOP/s of the processor; 200 GFLOP/s where PyTorch is missing."""
    if find_spec("torch") is None:
        return 2e11
    import torch

    from auto_lora._base_model import matmul_rates

    return matmul_rates()[torch.bfloat16 if narrow else torch.float32]


def gib(size: float) -> str:
    """Bytes as GiB."""
    return f"{size / 2**30:.1f} GiB"


def duration(seconds: float) -> str:
    """Seconds as minutes or hours."""
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
