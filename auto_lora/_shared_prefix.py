"""Many examples of one tool list, the list read once: exact gradients at a fraction of the price.

A step over examples `[prefix | own tokens]` is taken in three parts:

1. the prefix runs forward once, and every layer's keys and values are kept with their graph;
2. micro-groups of examples run against those keys and values, detached; each backward pass
   adds to the LoRA gradients and to the gradients of the keys and values;
3. one backward pass through the prefix, started from those gradients, ends the step.

By the chain rule this is the gradient of the padded batch, while memory is that of the prefix and
one micro-group. Causality makes it exact: prefix tokens never see an example's own tokens.
Attention runs through transformers' public interface (`AttentionInterface`), so models need no
patch. Full causal and sliding-window layers are handled; other kinds are refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import chain
from typing import Any

import torch
from torch.nn import functional as F

from auto_lora._errors import ModelError
from auto_lora._memory import LOGIT_ROWS, give_back_freed_memory
from auto_lora._rows import Rows, micro_groups
from auto_lora._tiled_attention import tiled_attention
from auto_lora.encode import Example, PrefixGroup

ATTENTION = "auto_lora_shared_prefix"

KeyValue = tuple[torch.Tensor, torch.Tensor]
_TRIM = 4  # micro-groups after which freed memory goes back to the system


class PrefixPass:
    """The prefix's own forward pass: attention stores each layer's keys and values here.

    A layer's pair is two tensors [1, kv heads, prefix, head size]. Which of the two classes is
    handed to attention decides what it does, so a recomputed (checkpointed) layer does the same.
    """

    def __init__(self) -> None:
        self.made: dict[int, KeyValue] = {}
        self.hidden: torch.Tensor | None = None

    def leaves(self, grad: bool) -> PrefixKV:
        """Detached copies for the examples to read; they collect gradients if `grad`.

        Their gradients' memory is taken at once: taken in the midst of the first micro-group's, it would leave gaps
        that no later one fits into.
        """
        read = PrefixKV(
            {
                i: (k.detach().requires_grad_(grad), v.detach().requires_grad_(grad))
                for i, (k, v) in self.made.items()
            }
        )
        if grad:
            for leaf in chain.from_iterable(read.pairs.values()):
                leaf.grad = _room_for_gradient(leaf)
        return read

    def backward(self, read: PrefixKV) -> None:
        """Runs the gradients that `read` collected back through the prefix.

        The hidden state goes along with a gradient of zero: FSDP gathers a layer when a gradient
        reaches its output, which the last layer's keys and values alone would not do.
        """
        pairs: list[tuple[torch.Tensor, torch.Tensor]] = [
            (made, leaf.grad)
            for layer, leaves in read.pairs.items()
            for made, leaf in zip(self.made[layer], leaves, strict=True)
            if leaf.grad is not None and made.requires_grad
        ]
        if self.hidden is not None and self.hidden.requires_grad:
            pairs.append((self.hidden, torch.zeros_like(self.hidden)))
        if pairs:
            torch.autograd.backward([m for m, _ in pairs], [g for _, g in pairs])


@dataclass
class PrefixKV:
    """Keys and values of the prefix per layer, as the examples read them (none: no prefix).

    lengths: tokens of each of the examples that follow one another in the one row of a micro-group; none: a row is one.
    """

    pairs: dict[int, KeyValue] = field(default_factory=dict)
    lengths: tuple[int, ...] = ()


def _room_for_gradient(leaf: torch.Tensor) -> torch.Tensor:
    """Zeros laid out as autograd wants a gradient: like the tensor where that has no gaps, else row after row."""
    reach = 1 + sum((n - 1) * step for n, step in zip(leaf.shape, leaf.stride(), strict=True))
    return torch.zeros_like(leaf) if reach == leaf.numel() else leaf.new_zeros(leaf.shape)


def attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    shared_prefix: PrefixPass | PrefixKV | None = None,
    sliding_window: int | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Causal attention over [shared prefix; own tokens], as transformers' interface calls it.

    query [batch, heads, own, size], key and value [batch, kv heads, own, size]; a row is an example, padded on the
    right, so causality alone keeps padding out of every real token's sight, or examples one after the other.
    sliding_window: tokens a query sees, itself included; None: all before it.
    Returns [batch, own, heads, size].
    """
    layer: int = module.layer_idx  # type: ignore[assignment]
    past = shared_prefix.pairs.get(layer) if isinstance(shared_prefix, PrefixKV) else None
    if isinstance(shared_prefix, PrefixPass):
        shared_prefix.made.setdefault(layer, (key, value))
    lengths = shared_prefix.lengths if isinstance(shared_prefix, PrefixKV) else ()
    one = past is None and not lengths and (sliding_window is None or query.shape[2] <= sliding_window)
    if one and not (is_packed(query) and query.dtype == torch.bfloat16):
        out = F.scaled_dot_product_attention(
            query, key, value, is_causal=True, scale=scaling, enable_gqa=True
        )
    elif is_packed(query):
        out = tiled_attention(query, key, value, past, scaling, sliding_window, lengths)
    else:
        if past is not None:
            key, value = (
                torch.cat((p.expand(len(query), -1, -1, -1), own), dim=2)
                for p, own in zip(past, (key, value), strict=True)
            )
        out = _grouped_causal(query, key, value, scaling, sliding_window)
    return out.transpose(1, 2).contiguous(), None


def is_packed(tensor: torch.Tensor) -> bool:
    """Whether attention over tensors like this one goes by tiles, which take examples one after the other in one row."""
    return tensor.device.type == "cpu"


def _grouped_causal(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scaling: float | None, window: int | None
) -> torch.Tensor:
    """Causal attention of the last `own` positions; heads of one group are folded into the rows.

    Folding leaves keys and values as they are instead of repeating them per query head.
    """
    batch, heads, own, size = query.shape
    groups, length = key.shape[1], key.shape[2]
    folded = query.reshape(batch, groups, heads // groups * own, size)
    mask = _causal_mask(own, length, heads // groups, window, query.dtype, query.device)
    out = F.scaled_dot_product_attention(folded, key, value, attn_mask=mask, scale=scaling)
    return out.reshape(batch, heads, own, size)


@lru_cache(maxsize=2)  # full and sliding layers; a mask made in each layer was kept for each of them
def _causal_mask(
    own: int, length: int, repeats: int, window: int | None, dtype: torch.dtype, device: torch.device
) -> torch.Tensor:
    """What the last `own` of `length` positions may see, 0 or -inf, for `repeats` heads: [repeats * own, length]."""
    allowed = torch.ones(own, length, dtype=torch.bool, device=device).tril(length - own)
    if window is not None and length > window:
        allowed = allowed.triu(length - own - window + 1)
    return torch.zeros_like(allowed, dtype=dtype).masked_fill(~allowed, -torch.inf).repeat(repeats, 1)


def forget_masks() -> None:
    """Gives back what the attention keeps between layers."""
    _causal_mask.cache_clear()


def use_shared_prefix(model: Any) -> None:
    """Switches a transformers model to this attention.

    Raises:
        ModelError: the model has layers or logits of another kind.
    """
    from transformers import AttentionInterface

    config = model.config
    kinds = set(getattr(config, "layer_types", None) or [])
    odd = sorted(kinds - {"full_attention", "sliding_attention"})
    odd += [k for k in ("attn_logit_softcapping", "final_logit_softcapping") if getattr(config, k, None)]
    if odd:
        raise ModelError(
            f"{config.model_type} has {', '.join(odd)}, which the shared prefix does not handle",
            "choose a model with plain attention, such as Qwen2.5, Qwen3, Llama or SmolLM2",
        )
    AttentionInterface.register(ATTENTION, attention)
    model.set_attn_implementation(ATTENTION)


@contextmanager
def plain_attention(model: Any) -> Iterator[None]:
    """For as long as this lasts the model attends as PyTorch does, with left-padded batches and a cache."""
    model.set_attn_implementation("sdpa")
    try:
        yield
    finally:
        model.set_attn_implementation(ATTENTION)


def save_memory(model: Any) -> None:
    """Recomputes each layer's activations in the backward pass instead of keeping them."""
    enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
    enable({"use_reentrant": False})


@dataclass
class StepSums:
    """What a pass over examples adds up: loss over `tokens` targets, examples with every target the arg-max."""

    loss: float = 0.0
    tokens: int = 0
    exact: int = 0
    examples: int = 0

    def __iadd__(self, other: StepSums) -> StepSums:
        self.loss += other.loss
        self.tokens += other.tokens
        self.exact += other.exact
        self.examples += other.examples
        return self

    @property
    def mean_loss(self) -> float:
        return self.loss / max(self.tokens, 1)


def run_group(
    model: Any,
    group: PrefixGroup,
    micro: int,
    tokens: int | None,
    *,
    budget: int | None = None,
    sharded: bool = False,
    read: PrefixKV | None = None,
) -> StepSums:
    """Loss of a group's examples; with `tokens`, also its gradients.

    Args:
        model: a causal language model (not wrapped), switched by `use_shared_prefix`.
        group: prefix and the examples of this step.
        micro: examples per micro-group, at most.
        budget: tokens per micro-group with its padding, at most (one example may have more).
        tokens: targets in the whole optimizer step, by which the loss is divided; None: no gradients.
        sharded: the layers are split by FSDP.
        read: keys and values of the prefix where the base alone reads it; none: they are computed here, and learnt through.
    """
    train = tokens is not None
    embedding = model.get_input_embeddings().weight
    device, packed = embedding.device, is_packed(embedding)
    prefix_pass = PrefixPass()
    with torch.set_grad_enabled(train):
        if group.prefix and read is None:
            ids = torch.tensor([group.prefix], device=device)
            hidden = last_hidden(
                model, ids, torch.arange(len(group.prefix), device=device)[None], prefix_pass
            )
            prefix_pass.hidden = hidden if sharded else None
        shared = read or prefix_pass.leaves(train)
        sums = StepSums()
        parts = micro_groups(group.examples, micro, budget, packed=packed)
        for number, part in enumerate(parts, 1):
            loss, counts = _micro_group(model, part, len(group.prefix), shared, packed)
            if tokens is not None:
                (loss / tokens).backward()
            sums += counts
            if number % _TRIM == 0:
                give_back_freed_memory()
        if train and read is None:
            prefix_pass.backward(shared)
    return sums


def last_hidden(
    model: Any, ids: torch.Tensor, positions: torch.Tensor, shared: PrefixPass | PrefixKV
) -> torch.Tensor:
    """The last layer's output, [rows, tokens, hidden size]: of a prefix itself, or of what follows it.

    Args:
        ids, positions: [rows, tokens].
    """
    decoder = model.get_decoder()
    return decoder(
        input_ids=ids, position_ids=positions, use_cache=False, shared_prefix=shared
    ).last_hidden_state


def _micro_group(
    model: Any, examples: Sequence[Example], prefix: int, shared: PrefixKV, packed: bool
) -> tuple[torch.Tensor, StepSums]:
    """Summed cross-entropy of examples, logits only where a target follows."""
    device = model.get_input_embeddings().weight.device
    rows = Rows.of(examples, prefix, device, packed)
    hidden = last_hidden(model, rows.ids, rows.positions, replace(shared, lengths=rows.lengths))
    after = rows.target[:, 1:]
    before, wanted, owner = hidden[:, :-1][after], rows.ids[:, 1:][after], rows.owner[:, 1:][after]
    head = model.get_output_embeddings()
    loss = hidden[:1, :1].sum().float() * 0.0  # so that examples without targets have a graph, too
    wrong = torch.zeros(len(examples), dtype=torch.bool, device=device)
    for start in range(0, len(wanted), LOGIT_ROWS):
        part_of = slice(start, start + LOGIT_ROWS)
        if torch.is_grad_enabled():
            part, best = torch.utils.checkpoint.checkpoint(
                _head_loss, head, before[part_of], wanted[part_of], use_reentrant=False
            )
        else:
            part, best = _head_loss(head, before[part_of], wanted[part_of])
        loss = loss + part
        wrong[owner[part_of][best != wanted[part_of]]] = True
    real = torch.zeros_like(wrong)
    real[owner] = True
    sums = StepSums(float(loss.detach()), len(wanted), int((~wrong & real).sum()), int(real.sum()))
    return loss, sums


def _head_loss(head: Any, hidden: torch.Tensor, wanted: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    logits = head(hidden).float()
    return F.cross_entropy(logits, wanted, reduction="sum"), logits.detach().argmax(-1)
