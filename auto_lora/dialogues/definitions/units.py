"""Units of measurement that a definition speaks of: "Weight of the person in kilograms." is said as "70 kg"."""

from __future__ import annotations

import re
from functools import cache

from auto_lora.dialogues.definitions.phrasebook import phrases


@cache
def unit_forms(description: str) -> tuple[str, ...]:
    """How people write a number of what a description measures in: "{v} kg", "{v} kilograms"; none where it names no unit."""
    for unit in phrases("units")["units"]:
        if any(
            re.search(rf"\b(?:in|of) {re.escape(cue)}(?!\w|/|\^)", description, re.I) for cue in unit["cues"]
        ):
            return tuple(unit["forms"])
    return ()


@cache
def units_measuring(words: str) -> tuple[str, ...]:
    """The units in which one would want what a definition speaks of: miles of a distance, celsius of a temperature."""
    for kind in phrases("units")["kinds"]:
        if any(re.search(rf"\b{cue}", words, re.I) for cue in kind["cues"]):
            return tuple(kind["units"])
    return ()


@cache
def kind_of_unit(unit: str) -> str:
    """What a unit measures, by the first cue of its kind; "" where it is not known."""
    for kind in phrases("units")["kinds"]:
        if unit.lower() in [u.lower() for u in (*kind["units"], *kind.get("also", ()))]:
            return str(kind["cues"][0])
    return ""
