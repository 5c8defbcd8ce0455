"""Lengths of time: what a number of them counts, and how people say many of a short unit: "half an hour" for 1800."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from auto_lora.dialogues.definitions.phrasebook import words_of
from auto_lora.dialogues.values.english import number_words
from auto_lora.dialogues.values.surfaces import Value

# What people say instead of many of a unit: (words, how many), and a longer unit with its size.
_SPANS: dict[str, tuple[tuple[str, int], ...]] = {
    "second": (("a minute", 60), ("half a minute", 30), ("an hour", 3600), ("half an hour", 1800)),
    "minute": (("half an hour", 30), ("an hour", 60), ("quarter of an hour", 15), ("an hour and a half", 90)),
    "hour": (("half a day", 12), ("a day", 24)),
    "day": (("a week", 7), ("two weeks", 14)),
    "night": (("a week", 7), ("two weeks", 14)),
    "month": (("half a year", 6), ("a year", 12), ("a year and a half", 18)),
    "year": (("a decade", 10),),
}
_LONGER = {
    "millisecond": ("second", 1000),
    "second": ("minute", 60),
    "minute": ("hour", 60),
    "hour": ("day", 24),
    "day": ("week", 7),
    "month": ("year", 12),
}
# Units of time in words, the smallest first.
_CLOCKS = tuple(
    (unit, rf"(?:{spelled})")
    for unit, spelled in (
        ("millisecond", "ms|milli(?:s|sec(?:ond)?s?)?"), ("second", "seconds?|secs?"), ("minute", "minutes?|mins?"), ("hour", "hours?|hrs?"), ("day", "days?"),
        ("week", "weeks?"), ("night", "nights?"), ("month", "months?"), ("year", "years?"),
    )
)  # fmt: skip
MOMENTS = (50, 100, 150, 200, 250, 300, 400, 500, 600, 750, 800, 1000, 1500, 2000, 2500, 3000, 5000, 10000, 15000, 30000)  # fmt: skip
USUAL_SPANS = {
    "night": (1, 14),
    "week": (1, 12),
    "day": (1, 30),
    "month": (1, 36),
    "year": (1, 30),
    "hour": (1, 48),
}


def unit_of(name: str, schema: Mapping[str, Any], role: str) -> str:
    """The unit of time that a number counts: by its name, by "in ..." or "number of ...", by any word; else seconds of a timeout, minutes of others."""
    return _unit_of(name, str(schema.get("description", "")), role)


@cache
def _unit_of(name: str, about: str, role: str) -> str:
    spoken = words_of(name)
    spoken = spoken[1:] if spoken[:1] == ["min"] and len(spoken) > 1 else spoken  # min_days are no minutes
    if spoken[-1:] == ["s"]:
        return "second"
    if re.search(r"\(min\.?\)", about):
        return "minute"
    for before, text in (
        (r"\b", " ".join(spoken)),
        (r"\b(?:in|number of) (?:whole |full )?", about),
        (r"\b", about),
    ):
        found = next((u for u, spelled in _CLOCKS if re.search(rf"{before}{spelled}\b", text, re.I)), "")
        if found:
            return found
    return "second" if role == "timeout" else "minute"


def said_span(rng: random.Random, schema: Mapping[str, Any], unit: str, role: str) -> Value | None:
    """A duration that is said in a longer unit than the tool counts in: "ten minutes" for 600, "half an hour" for 30.

    None in most cases (in fewer where it counts seconds), and where no such span is allowed.
    """
    longer, size = _LONGER.get(unit, ("", 0))
    share = 0.6 if unit in ("millisecond", "second") else 0.3 if longer else 0.06
    if "multipleOf" in schema or rng.random() > share:
        return None
    count = rng.randint(2, 12)
    words = number_words(count) if rng.random() < 0.3 else str(count)
    spans = [*_SPANS.get(unit, ()), *[(f"{words} {longer}s", count * size)] * (6 if longer else 0)]
    low, high = schema.get("minimum", 1), schema.get("maximum", 10**9)
    spans = [s for s in spans if low <= s[1] <= high]
    if not spans:
        return None
    said, value = rng.choice(spans)
    return Value(value, said, role)
