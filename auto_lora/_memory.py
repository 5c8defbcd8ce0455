"""How much memory a step takes, and the micro-group that fits.

Counted from what the backward pass keeps (a test compares with what PyTorch really saves). Per token
and layer: the inputs of both norms and what they give (4 x hidden), query, attention's output and its
copy (3 x query width), key and value, the feed-forward's gate, its activation, up and their product
(4 x feed-forward), and LoRA A's outputs (7 x rank). A micro-group of padded rows also keeps a joined copy of the
prefix's keys and values per example, a packed row does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Tokens of a packed row: 16 examples in one are no faster than 8, and take 3.0 GiB instead of 2.2 (600 tokens of tools).
PACKED_TOKENS = 768
LOGIT_ROWS = 128  # rows of logits held at once; 512 are no faster and left gaps: 256 examples a step 3.09 GiB, not 3.43
_LOGIT_COPIES = 3  # logits, their float32 softmax, its gradient
_SPARE = 0.85  # share of the free memory that the estimate may fill: allocators keep some back


@dataclass(frozen=True)
class Shape:
    """A decoder's sizes, in units; `width` is bytes per activation value."""

    n_layers: int
    hidden: int
    feed_forward: int
    query: int
    key_value: int
    vocab: int
    rank: int
    width: int

    @classmethod
    def of(cls, config: Any, rank: int, width: int) -> Shape:
        """From a transformers configuration."""
        heads = config.num_attention_heads
        size = getattr(config, "head_dim", None) or config.hidden_size // heads
        return cls(
            config.num_hidden_layers, config.hidden_size, config.intermediate_size, heads * size,
            (getattr(config, "num_key_value_heads", None) or heads) * size, config.vocab_size, rank, width,
        )  # fmt: skip

    @property
    def kept_per_token(self) -> int:
        """Bytes that all layers keep of one token."""
        values = 4 * self.hidden + 3 * self.query + 2 * self.key_value + 4 * self.feed_forward + 7 * self.rank
        return values * self.width * self.n_layers

    @property
    def key_value_per_token(self) -> int:
        """Bytes of one token's keys and values in all layers."""
        return 2 * self.key_value * self.width * self.n_layers

    @property
    def lora_parameters(self) -> int:
        """Values in A and B of all seven projections."""
        sizes = 4 * self.hidden + 2 * self.query + 2 * self.key_value + 3 * (self.hidden + self.feed_forward)
        return self.n_layers * self.rank * sizes


def step_bytes(
    shape: Shape,
    prefix: int,
    own: int,
    micro: int,
    *,
    packed: bool,
    checkpointing: bool = False,
    activated: bool = False,
) -> int:
    """Peak bytes of a step beyond the weights: activations, logits, LoRA with gradients and Adam.

    Args:
        prefix: tokens of the shared prefix.
        own: tokens of an example after it, padding included.
        micro: examples run at once.
        packed: one after the other in one row, see `_shared_prefix.is_packed`.
        checkpointing: layers keep only their input and are run again in the backward pass.
        activated: the base alone reads the prefix, of which then only keys and values are kept.
    """
    kept = shape.kept_per_token
    learnt = 0 if activated else prefix
    joined = 0 if packed else micro * (prefix + own) * shape.key_value_per_token
    if checkpointing:
        input_only = shape.n_layers * shape.hidden * shape.width
        again = max(learnt, micro * own) * kept // shape.n_layers + joined // shape.n_layers
        kept, joined = input_only, again + prefix * shape.key_value_per_token
    of_prefix = prefix * shape.key_value_per_token  # gradients of its keys and values, or themselves
    logits = _LOGIT_COPIES * LOGIT_ROWS * shape.vocab * 4
    return (learnt + micro * own) * kept + joined + of_prefix + logits + 16 * shape.lora_parameters


def at_once(batch: int, own: int, packed: bool) -> int:
    """Examples of `own` tokens worth running at once out of `batch`."""
    return min(batch, max(1, PACKED_TOKENS // own)) if packed else batch


def fitting(
    shape: Shape,
    prefix: int,
    own: int,
    most: int,
    free: int,
    *,
    packed: bool,
    checkpointing: bool | None = None,
    activated: bool = False,
) -> tuple[int, bool]:
    """The largest micro-group up to `most` that fits into `free` bytes, and whether with checkpointing.

    Args:
        checkpointing: None: only where not even one example fits without.
        packed, activated: see `step_bytes`.
    """
    ways = [False, True] if checkpointing is None else [checkpointing]
    for again in ways:
        for micro in range(most, 0, -1):
            if (
                step_bytes(shape, prefix, own, micro, packed=packed, checkpointing=again, activated=activated)
                <= free * _SPARE
            ):
                return micro, again
    return 1, ways[-1]


def fitting_all(
    shape: Shape,
    lists: Sequence[tuple[int, int]],
    own: int,
    most: int,
    free: int,
    *,
    packed: bool,
    checkpointing: bool | None,
    activated: bool,
) -> tuple[int, bool, int]:
    """The micro-group up to `most` for all tool lists, whether with checkpointing, and the bytes of the largest step.

    Args:
        lists: tokens of each list's prefix, and of its longest example, which alone has to fit, too.
        own: tokens of a usual example.
    """
    needs = []
    for prefix, longest in lists:
        alone = fitting(
            shape, prefix, longest, 1, free, packed=packed, checkpointing=checkpointing, activated=activated
        )
        again = (alone[1] or None) if checkpointing is None else checkpointing
        micro, twice = fitting(
            shape, prefix, own, most, free, packed=packed, checkpointing=again, activated=activated
        )
        step = step_bytes(shape, prefix, own, micro, packed=packed, checkpointing=twice, activated=activated)
        needs.append((micro, twice, step))
    return min(n[0] for n in needs), any(n[1] for n in needs), max(n[2] for n in needs)


def free_bytes(device: str) -> int:
    """Memory that can still be taken on "cuda" (the current GPU) or in RAM, within the container's limit."""
    import psutil

    if device == "cuda":
        import torch

        return int(torch.cuda.mem_get_info()[0])
    free = int(psutil.virtual_memory().available)
    group = Path("/sys/fs/cgroup")
    try:
        limit = int((group / "memory.max").read_text())
        used = int((group / "memory.current").read_text())
        cached = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        return min(free, limit - used + int(cached.get("inactive_file", 0)))
    except (OSError, ValueError):  # no container, or one without a limit ("max")
        return free


def keep_freed_memory() -> None:
    """Makes glibc keep freed memory instead of giving it back to the system; elsewhere does nothing.

    A step frees and takes the same megabytes again; each time the system would hand out fresh pages,
    one fault for every 4 KiB (measured: 58,000 to 128,000 faults a step, up to a fifth of its time).
    Source: mallopt(3), M_MMAP_MAX (-4), M_TRIM_THRESHOLD (-1), M_TOP_PAD (-2).
    """
    import ctypes
    import sys

    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        for option, value in ((-4, 0), (-1, -1), (-2, 64 * 2**20)):
            mallopt(option, value)


def give_back_freed_memory() -> None:
    """Gives the whole pages between living blocks back to the system (malloc_trim(3)); elsewhere does nothing.

    Every step's blocks have other sizes, so what is kept for the next grows: 30 steps of 16 examples took 4.45 GiB
    at most, 3.86 with this every fourth step (and rows of 64 tokens), as fast.
    """
    import ctypes
    import sys

    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


def release_memory() -> None:
    """Gives memory of dropped models back, on the GPU too."""
    import gc

    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def is_out_of_memory(error: BaseException) -> bool:
    """Whether PyTorch or Python ran out of memory; on a processor PyTorch says so by its text only."""
    import torch

    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or (
        isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    )
