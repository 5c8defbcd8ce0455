"""Causal attention over [shared prefix; own tokens] in tiles of queries, made of matrix products.

For a processor. PyTorch's own kernel converts bf16 within its blocks: 8 examples of 93 tokens after 2,077, 9 query and
3 key heads, forward and backward: 85 ms, this 39 ms (Zen 5). In float32 (AVX2, 8 of 80 to 160 after 2,150) it takes 320 ms,
padded and with the prefix's keys joined to each example's; this 302, and 219 where the prefix needs no gradient.
Gradients of the prefix's keys are added up in float32. Probabilities are computed again in the backward pass, so nothing
of size queries x keys is kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

import torch

TILE = 128  # query positions at once: times heads of a group times 2,000 keys is what the cache holds
# Tiles are filled up to multiples of so many positions (TILE is one), and their keys: oneDNN compiles and keeps a kernel
# for every size of a product, some 0.3 MB each; 128 examples of a step left 0.17 GiB of them, 0.04 like this. MKL's product
# of queries and 2,262 keys ran at 45 GFLOP/s, of 2,256 at 90 (float32, AVX2).
_GRAIN = 16


class _TiledAttention(torch.autograd.Function):
    """Gradients for query, key, value and the prefix's key and value."""

    @staticmethod
    def forward(
        ctx: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        past_key: torch.Tensor,
        past_value: torch.Tensor,
        scaling: float,
        window: int | None,
        lengths: tuple[int, ...],
    ) -> torch.Tensor:
        ctx.save_for_backward(query, key, value, past_key, past_value)
        ctx.scaling, ctx.window, ctx.lengths = scaling, window, lengths
        out = torch.empty_like(query, memory_format=torch.contiguous_format)
        for tile in _tiles(query, key, value, past_key, past_value, scaling, window, lengths):
            tile.unfill(_product(tile.probabilities(), tile.value), out)
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        query, key, value, past_key, past_value = ctx.saved_tensors
        grad_out, past = gradients[0], past_key.shape[2]
        grad_query = torch.empty_like(query, memory_format=torch.contiguous_format)
        grads = [torch.zeros_like(t, dtype=torch.float32) for t in (key, value, past_key, past_value)]
        own_key, own_value, prefix_key, prefix_value = grads
        first = 0 if ctx.needs_input_grad[3] else past  # none for a prefix that the base alone reads
        for tile in _tiles(query, key, value, past_key, past_value, ctx.scaling, ctx.window, ctx.lengths):
            grad = tile.fill(grad_out)
            shares = tile.probabilities()
            of_value = _product(shares[..., first:].transpose(1, 2), grad)
            grad = _product(grad, tile.value.transpose(1, 2))
            grad = torch._softmax_backward_data(grad, shares, -1, shares.dtype)
            of_key = _product(grad[..., first:].transpose(1, 2), tile.query)
            tile.unfill(_product(grad, tile.key), grad_query)
            own = slice(tile.first, tile.end)
            if not first:
                prefix_key[0] += of_key[:, :past]
                prefix_value[0] += of_value[:, :past]
            seen = slice(past - first, past - first + tile.end - tile.first)
            own_key[tile.row, :, own] += of_key[:, seen]
            own_value[tile.row, :, own] += of_value[:, seen]
        grad_query *= ctx.scaling
        made = [g.to(key.dtype) for g in grads]
        return grad_query, made[0], made[1], made[2], made[3], None, None, None


@dataclass
class _Tile:
    """Query positions `start` to `end` of one example, which begins at `first` of `row`, with the keys they may see.

    query [groups, heads of a group x positions, size], scaled; key, value [groups, keys, size]; mask [positions, last keys].
    Positions are filled up with zeros, keys with any that the mask hides, to multiples of _GRAIN.
    """

    row: int
    first: int
    start: int
    end: int
    positions: int
    groups: int
    key: torch.Tensor
    value: torch.Tensor
    mask: torch.Tensor
    query: torch.Tensor = field(init=False)

    def fill(self, whole: torch.Tensor, scale: float = 1.0) -> torch.Tensor:
        """This tile's part of a [batch, heads, own, size] tensor, as `query` is laid out."""
        _, heads, _, size = whole.shape
        filled = whole.new_zeros(heads, self.positions, size)
        torch.mul(whole[self.row, :, self.start : self.end], scale, out=filled[:, : self.end - self.start])
        return filled.view(self.groups, heads // self.groups * self.positions, size)

    def unfill(self, part: torch.Tensor, whole: torch.Tensor) -> None:
        """Puts what is laid out as `query` back into its place."""
        _, heads, _, size = whole.shape
        rows = self.end - self.start
        whole[self.row, :, self.start : self.end] = part.view(heads, self.positions, size)[:, :rows]

    def probabilities(self) -> torch.Tensor:
        scores = _product(self.query, self.key.transpose(1, 2))
        groups, rows, keys = scores.shape
        positions, masked = self.mask.shape
        part = scores.view(groups, rows // positions, positions, keys)[..., keys - masked :]
        part.masked_fill_(self.mask, float("-inf"))
        return torch.softmax(scores, -1)


def _tiles(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    past_key: torch.Tensor,
    past_value: torch.Tensor,
    scaling: float,
    window: int | None,
    lengths: tuple[int, ...],
) -> Iterator[_Tile]:
    batch, _, own, size = query.shape
    groups, past = key.shape[1], past_key.shape[2]
    ends = list(accumulate(lengths))
    examples = [(0, end - n, end) for n, end in zip(lengths, ends, strict=True)]
    examples = examples or [(row, 0, own) for row in range(batch)]
    longest = max(last - first for _, first, last in examples)
    keys, values = (t.new_zeros(groups, _filled(past + _filled(longest)), size) for t in (key, value))
    keys[:, :past], values[:, :past] = past_key[0], past_value[0]
    for row, first, last in examples:
        mine = slice(past, past + last - first)
        keys[:, mine], values[:, mine] = key[row, :, first:last], value[row, :, first:last]
        for start in range(first, last, TILE):
            end = min(start + TILE, last)
            rows = _filled(end - start)
            before = past + start - first
            seen = _filled(before + rows)
            mask = torch.ones(rows, seen - before, dtype=torch.bool, device=query.device).triu(1)
            if window is not None and seen > window:
                near = torch.ones(rows, seen, dtype=torch.bool, device=query.device)
                mask = ~near.tril(before).triu(before - window + 1)
            tile = _Tile(row, first, start, end, rows, groups, keys[:, :seen], values[:, :seen], mask)
            tile.query = tile.fill(query, scaling)
            yield tile


def _product(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """left [groups, n, m] times right [groups, m, k]; in float32 MKL takes groups one by one a fifth faster (AVX2)."""
    if left.dtype != torch.float32:
        return torch.bmm(left, right)
    out = left.new_empty(left.shape[0], left.shape[1], right.shape[2])
    for one, two, made in zip(left, right, out, strict=True):
        torch.mm(one, two, out=made)
    return out


def _filled(positions: int) -> int:
    return positions + -positions % _GRAIN


def tiled_attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    past: tuple[torch.Tensor, torch.Tensor] | None,
    scaling: float | None,
    window: int | None,
    lengths: tuple[int, ...] = (),
) -> torch.Tensor:
    """Attention of `own` positions to the prefix and causally to themselves.

    Args:
        query: [batch, heads, own, size].
        key, value: [batch, groups, own, size].
        past: keys and values of the prefix, [1, groups, prefix, size] each.
        scaling: of the scores; None: 1 / sqrt(size).
        window: tokens a query sees, itself included; None: all before it.
        lengths: positions of each of the examples that follow one another in the one row; none: a row is one.

    Returns:
        [batch, heads, own, size].
    """
    if past is None:
        empty = key.new_empty(1, key.shape[1], 0, key.shape[3])
        past = (empty, empty)
    out: torch.Tensor = _TiledAttention.apply(
        query, key, value, *past, query.shape[-1] ** -0.5 if scaling is None else scaling, window, lengths
    )
    return out
