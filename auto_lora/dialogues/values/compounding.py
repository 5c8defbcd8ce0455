"""How often interest is compounded in a year: 12, "monthly"."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from typing import Any

from auto_lora.dialogues.values.surfaces import Value

_TIMES = re.compile(
    r"\bcompound\w*\b.{0,30}\b(?:per|a|each) (?:year|annum)\b|\bcompounding (?:frequency|periods)\b|\btimes\b.{0,30}\bcompounded\b",
    re.I,
)
_OFTEN = {1: "annually", 2: "semiannually", 4: "quarterly", 12: "monthly", 365: "daily"}
_RATE = re.compile(r"\brate\b|\byears\b", re.I)


def compounded(rng: random.Random, schema: Mapping[str, Any], about: str) -> Value | None:
    """How often interest is compounded, half of the time in words; None of any other number.

    Args:
        about: the words of the name and the description.
    """
    if not _TIMES.search(about) or _RATE.search(about):
        return None
    low, high = schema.get("minimum", 1), schema.get("maximum", 365)
    able = [n for n in _OFTEN if low <= n <= high]
    if not able:
        return None
    times = rng.choice(able)
    said = [f"{times} times a year"] if times > 2 else []
    return Value(times, rng.choice([_OFTEN[times]] * 2 + [str(times), *(said or [str(times)])]), "generic")


def is_how_often(text: str) -> bool:
    """Whether words say how often something is compounded, as `compounded` has them."""
    return text in _OFTEN.values() or text.endswith(" times a year")
