"""How far the writer's prompts are from people's, by a classifier that tries to tell them apart.

A classifier two-sample test (Lopez-Paz and Oquab, arXiv 1610.06545): where it does no better than a coin, 0.5, the words of
the two are alike; at 1.0 each text gives its writer away.
"""

from __future__ import annotations

import json
import math
import random
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

from auto_lora._runs import read_jsonl
from auto_lora.catalog import ToolDefinition, load_tools
from auto_lora.dialogues.definitions.phrasebook import bucket
from auto_lora.score import proportion

_FOLDS = 5
_FEWEST = 10  # texts a side; below that the interval says nothing
BELTS = Path(__file__).parents[1] / "examples" / "belts"


def writer_distance(
    synthetic: Sequence[str], real: Sequence[str], seed: int = 0
) -> dict[str, float | int] | None:
    """The share of held-out texts whose writer is told right, with count and interval; None with under 10 different texts a side.

    Naive Bayes on words and pairs of words, case and punctuation left aside, five-fold. Both sides are different texts and
    equally many (drawn from the larger), so the coin's share is 0.5; few texts of one source come out a little below it.

    Args:
        synthetic: prompts of the writer.
        real: prompts of people, for the same tools.
        seed: of the draw and the folds.
    """
    rng = random.Random(seed)
    sides = [sorted(set(synthetic)), sorted(set(real))]
    size = min(map(len, sides))
    if size < _FEWEST:
        return None
    drawn = [[_grams(text) for text in rng.sample(side, size)] for side in sides]
    right = 0
    for fold in range(_FOLDS):
        # Equal texts share a fold, else one side's would be held out against its own twin.
        held = [[t for t in side if bucket(*sorted(t), seed, of=_FOLDS) == fold] for side in drawn]
        rest = [[t for t in side if bucket(*sorted(t), seed, of=_FOLDS) != fold] for side in drawn]
        weight = _weights(*(Counter(gram for text in side for gram in text) for side in rest))
        for side, sign in zip(held, (1, -1), strict=True):
            for text in side:
                score = sum(weight.get(g, 0.0) for g in sorted(text))
                right += sign * score > 0 or (score == 0 and rng.random() < 0.5)
    return proportion(right, 2 * size)


def _grams(text: str) -> set[str]:
    """Words and pairs of words, each once, with the ends marked."""
    words = ["<", *re.findall(r"[^\W_]+(?:['’][^\W_]+)*", text.casefold()), ">"]
    return {*words[1:-1], *map(" ".join, pairwise(words))}


def _weights(first: Counter[str], second: Counter[str]) -> dict[str, float]:
    """Log of how much likelier a gram is in the first side, smoothed by one (Laplace)."""
    known = first.keys() | second.keys()
    totals = math.log((second.total() + len(known)) / (first.total() + len(known)))
    return {g: math.log((first[g] + 1) / (second[g] + 1)) + totals for g in known}


def shipped_prompts(tools: Sequence[ToolDefinition], belts: Path = BELTS) -> list[str]:
    """The prompts that people wrote for the belt in `examples/belts` with the same tools; none where there is no such belt.

    A belt is a folder with `tools.json` and `cases.jsonl`, a line a case with its `messages`.
    """
    entries = _entries(tools)
    for folder in sorted(belts.glob("*/")):
        cases = folder / "cases.jsonl"
        if cases.is_file() and _entries(load_tools(folder / "tools.json")) == entries:
            return [first_request(row["messages"]) for row in read_jsonl(cases)]
    return []


def first_request(messages: Iterable[dict[str, object]]) -> str:
    """The text of the first user message."""
    return next(str(m["content"]) for m in messages if m["role"] == "user")


def _entries(tools: Iterable[ToolDefinition]) -> list[str]:
    return sorted(json.dumps(t.to_openai(), sort_keys=True) for t in tools)
