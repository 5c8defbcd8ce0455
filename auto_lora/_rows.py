"""A step's examples as rows: which of them run together, and their tensors, packed into one row or padded to one length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heapreplace

import torch
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from auto_lora.encode import Example

# A packed row is filled up to a multiple of so many tokens: fewer sizes leave fewer gaps in the heap.
_ROW = 64


def micro_groups(
    examples: Sequence[Example], micro: int, budget: int | None, *, packed: bool = False
) -> list[list[Example]]:
    """Padded rows: examples of like length together, the longest first. Packed rows: all as long as one another.

    Args:
        micro: examples per micro-group, at most; packed ones are counted by their tokens where a budget is given.
        budget: tokens per micro-group, with the padding of rows that are not packed; one example may have more.
    """
    ordered = sorted(examples, key=lambda e: -len(e.own))
    if packed and budget is not None:
        return _evenly(ordered, budget)
    parts: list[list[Example]] = []
    for example in ordered:
        last = parts[-1] if parts else []
        rows = len(last) + 1
        wanted = rows * len(last[0].own if last else example.own)
        if last and rows <= micro and (budget is None or wanted <= budget):
            last.append(example)
        else:
            parts.append([example])
    return parts


def _evenly(ordered: Sequence[Example], budget: int) -> list[list[Example]]:
    """Parts of at most `budget` tokens, as few as that allows and as even: the next longest joins the shortest part.

    Rows of one size reuse one another's memory.
    """
    lengths = [len(e.own) for e in ordered]
    count = max(1, sum(n > budget for n in lengths) - (-sum(n for n in lengths if n <= budget) // budget))
    while True:
        parts: list[list[Example]] = [[] for _ in range(count)]
        filled = [(0, i) for i in range(count)]
        for example in ordered:
            tokens, shortest = filled[0]
            parts[shortest].append(example)
            heapreplace(filled, (tokens + len(example.own), shortest))
        if all(tokens <= budget or len(parts[i]) == 1 for tokens, i in filled):
            return [p for p in parts if p]
        count += 1


@dataclass
class Rows:
    """A micro-group's tensors, [rows, tokens] each: one packed row, or a right-padded row an example.

    `owner` is the example's number. The first token of an example is never a target, so that a shift by one stays in it.
    """

    ids: torch.Tensor
    positions: torch.Tensor
    target: torch.Tensor
    owner: torch.Tensor
    lengths: tuple[int, ...]

    @classmethod
    def of(cls, examples: Sequence[Example], prefix: int, device: torch.device, packed: bool) -> Rows:
        columns = [
            [torch.tensor(e.own) for e in examples],
            [torch.arange(prefix, prefix + len(e.own)) for e in examples],
            [torch.frombuffer(bytearray(e.own_target), dtype=torch.bool) for e in examples],
            [torch.full((len(e.own),), i) for i, e in enumerate(examples)],
        ]
        joined = [torch.cat(c)[None] if packed else pad_sequence(c, batch_first=True) for c in columns]
        if not packed:  # padding takes the positions that follow, and is no target
            joined[1] = torch.arange(prefix, prefix + joined[0].shape[1]).expand_as(joined[0])
        lengths = tuple(len(e.own) for e in examples) if packed else ()
        if packed and (spare := -sum(lengths) % _ROW):  # an example more, of nothing
            joined = [F.pad(t, (0, spare)) for t in joined]
            joined[1][:, -spare:] = torch.arange(prefix, prefix + spare)
            lengths += (spare,)
        ids, positions, target, owner = (t.to(device) for t in joined)
        return cls(ids, positions, target, owner, lengths)
