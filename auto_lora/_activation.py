"""Activated LoRA: an adapter that begins to act at the user's first message.

System prompt and tool list are then read by the base alone. So training computes them once instead of in every step, base and
adapter share the server's prompt cache, and a conversation without tools is the base's own to the digit.
Sources: Greenewald et al., "Activated LoRA", arXiv 2504.12397; PEFT's `alora_invocation_tokens`; llama.cpp pull request 15327.
Where it begins is `encode.begins_at`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from auto_lora._adapter_folder import asking_peft
from auto_lora._shared_prefix import PrefixKV, PrefixPass, last_hidden
from auto_lora.encode import begins_at

_KEPT = 4  # prefixes; a run has one, and one more for each group of conversations with other tools


@contextmanager
def adapter_off(model: Any) -> Iterator[None]:
    """For as long as this lasts LoRA layers add nothing."""
    from peft.tuners.lora import LoraLayer

    layers = [m for m in model.modules() if isinstance(m, LoraLayer)]
    scales = [dict(layer.scaling) for layer in layers]
    for layer in layers:
        layer.scaling.update(dict.fromkeys(layer.scaling, 0.0))
    try:
        yield
    finally:
        for layer, scale in zip(layers, scales, strict=True):
            layer.scaling.update(scale)


class BasePrefixes:
    """Keys and values of prefixes that the base alone reads: no step changes them.

    Args:
        keep: how many are kept, the latest; 0: each is computed anew, as split layers want it, which all processes run together.
    """

    def __init__(self, keep: int = _KEPT) -> None:
        self.keep = keep
        self._made: OrderedDict[tuple[int, ...], PrefixKV] = OrderedDict()

    def of(self, model: Any, prefix: tuple[int, ...]) -> PrefixKV:
        """Those of one prefix, without gradients.

        Args:
            model: a causal language model with LoRA layers, switched by `use_shared_prefix`.
        """
        read = self._made.pop(prefix, None) or self._read(model, prefix)
        self._made[prefix] = read
        while len(self._made) > self.keep:
            self._made.popitem(last=False)
        return read

    def _read(self, model: Any, prefix: tuple[int, ...]) -> PrefixKV:
        made, training = PrefixPass(), model.training
        device = model.get_input_embeddings().weight.device
        model.eval()  # a dropout mask drawn here would be drawn twice by a run that goes on from a checkpoint
        with torch.no_grad(), adapter_off(model):
            ids = torch.tensor([prefix], device=device)
            last_hidden(model, ids, torch.arange(len(prefix), device=device)[None], made)
        model.train(training)
        return made.leaves(False)


@contextmanager
def attached(model: Any, folder: str | Path) -> Iterator[tuple[Any, tuple[int, ...]]]:
    """The model with an adapter folder's LoRA, and what activates it (none: it always acts); the base is left as it was.

    The layers act on every token they see: who runs an activated one keeps the prefix from them (`next_token_logits`).
    """
    from peft import PeftConfig, PeftModel

    config = PeftConfig.from_pretrained(str(folder))
    invocation = tuple(getattr(config, "alora_invocation_tokens", None) or ())
    config.alora_invocation_tokens = None
    with asking_peft():
        peft_model = PeftModel.from_pretrained(model, str(folder), config=config)
    try:
        peft_model.eval()
        yield peft_model, invocation
    finally:
        peft_model.unload()


@torch.no_grad()
def next_token_logits(
    model: Any, tokens: Sequence[int], invocation: Sequence[int] = (), prefixes: BasePrefixes | None = None
) -> torch.Tensor:
    """Logits of the token after a sequence, [vocabulary] in float32, by a model as `attached` gives it or its base.

    Args:
        model: see `BasePrefixes.of`.
        invocation: what activates its adapter; none: it acts on all tokens.
        prefixes: keeps what the base has read.
    """
    device = model.get_input_embeddings().weight.device
    start = begins_at(tokens, invocation) if invocation else 0
    if start is None:
        with adapter_off(model):
            return next_token_logits(model, tokens)
    read = (prefixes or BasePrefixes()).of(model, tuple(tokens[:start])) if start else PrefixKV()
    ids = torch.tensor([list(tokens[start:])], device=device)
    places = torch.arange(start, len(tokens), device=device)[None]
    hidden = last_hidden(model, ids, places, read)
    logits: torch.Tensor = model.get_output_embeddings()(hidden[0, -1]).float()
    return logits
