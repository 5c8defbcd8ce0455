"""Limits of numbers that a definition does not limit, by what they measure: the height of a person, a speed in m/s, calories."""

from __future__ import annotations

import random
import re

from auto_lora.dialogues.definitions.phrasebook import words_of

_MEASURED = ("generic", "number", "amount", "count", "capacity")
_BODY = re.compile(
    r"\b(?:person|persons|patient|individual|human|user|man|woman|athlete|adult|body mass|bmi)\b", re.I
)
# What a person weighs is asked for a health index or a dose; a child weighs less.
_WEIGHED = re.compile(
    r"(?<![a-z])(?:bmi|body mass|body fat|dos(?:e|age|ing)|calories burn\w*|basal|bmr|blood alcohol)(?![a-z])",
    re.I,
)
_NOT_GROWN = re.compile(
    r"(?<![a-z])(?:child\w*|infants?|bab(?:y|ies)|newborns?|p(?:a)?ediatric\w*|pets?|dogs?|cats?|animals?|veterinary)(?![a-z])",
    re.I,
)
# (words of the name, what the description says besides, least, most)
_PHYSICAL = tuple(
    (re.compile(rf"\b(?:{what})\b"), re.compile(unit, re.I), least, most)
    for what, unit, least, most in (
        ("velocity|speed", r"\bm/s\b(?!\^|\u00b2)|\bmet(?:er|re)s per second\b(?! (?:squared|per))", 1, 60),
        ("velocity|speed", r"\bkm/h\b|\bkph\b|\bkilomet(?:er|re)s per hour", 10, 130),
        ("velocity|speed", r"\bmph\b|\bmiles per hour", 10, 80),
        ("acceleration", r"\bm/s ?(?:\^2|\u00b2|2)|\bper second squared|\bper second per second", 0.5, 15),
        ("charge|charge ?\\d|q ?\\d?", r"\b(?:in|of) coulombs?\b", 0.5, 10),
        ("force", r"\bnewtons?\b", 1, 500),
    )
)  # fmt: skip
# What is limited, where a name only says "max": least, most, step.
_LIMITED = {
    "calories": (200, 900, 50), "kcal": (200, 900, 50), "tokens": (100, 4000, 100), "words": (50, 500, 50), "characters": (50, 500, 10), "chars": (50, 500, 10),
    "carbs": (10, 80, 5), "protein": (10, 60, 5), "sugar": (5, 40, 5), "fat": (5, 40, 5), "sodium": (200, 1500, 100), "mileage": (10000, 150000, 5000),
}  # fmt: skip
_LIMITING = frozenset("max maximum min minimum limit".split())
_FINANCE = re.compile(r"\b(?:tax\w*|financ\w*|invest\w*|capital|budget\w*|accounting|profits?)\b", re.I)
_SUMS_OF = frozenset(
    "gain gains loss losses deduction deductions expense expenses asset assets investment investments".split()
)
_SHARES = re.compile(
    r"\b(?:rate|ratio|percent\w*|years?|months?|number|per|type|id|decimal|shares?)\b|%", re.I
)
_EACH_MONTH = re.compile(r"\b(?:each|per|every) month\b|\bmonthly\b", re.I)
_EXTRA = re.compile(r"\b(?:extra|additional|contributions?|deposits?|savings?)\b", re.I)


def is_body_height(name: str, about: str, tool_words: str) -> bool:
    """Whether a number is how tall a person is."""
    return "height" in words_of(name) and _BODY.search(f"{about} {tool_words}") is not None


def is_sum(name: str, about: str, tool_words: str) -> bool:
    """Whether a number is a sum of money by its tool alone: the gain that is taxed."""
    mine = _SUMS_OF.intersection(words_of(name)[-1:])
    return bool(mine) and _FINANCE.search(tool_words) is not None and not _SHARES.search(about)


def usual_limits(
    rng: random.Random, kind: str, role: str, name: str, about: str, tool_words: str
) -> dict[str, float]:
    """Limits, as JSON Schema has them, that such a number has in life; empty where nothing is known of it.

    Args:
        about: the words of the name and the description.
    """
    if (
        role == "weight"
        and _WEIGHED.search(f"{about} {tool_words}")
        and not _NOT_GROWN.search(f"{about} {tool_words}")
    ):
        if re.search(r"\b(?:kgs?|kilos?|kilograms?)\b", about, re.I):
            return {"minimum": 45, "maximum": 120}
        pounds = re.search(r"\b(?:lbs?|pounds?)\b", about, re.I)
        return {"minimum": 100, "maximum": 260} if pounds else {}
    if role not in _MEASURED:
        return {}
    words = words_of(name)
    if is_body_height(name, about, tool_words):
        if re.search(r"\b(?:m|met(?:er|re)s?)\b", about, re.I):
            return {"minimum": 1.45, "maximum": 2.05} if kind == "number" else {}
        if re.search(r"\b(?:cm|centimet(?:er|re)s?)\b", about, re.I):
            halves = {"multipleOf": 0.5} if kind == "number" and rng.random() < 0.2 else {}
            return {"minimum": 145, "maximum": 205, **halves}
        return {"minimum": 57, "maximum": 80} if re.search(r"\binch(?:es)?\b", about, re.I) else {}
    noun = next((w for w in words if w in _LIMITED), "")
    if noun and (_LIMITING.intersection(words) or noun in ("calories", "kcal")):
        least, most, step = _LIMITED[noun]
        return {"minimum": least, "maximum": most, "multipleOf": step}
    if is_sum(name, about, tool_words):
        most = rng.choice([5000, 20000, 80000, 200000])
        return {"minimum": 500, "maximum": most, "multipleOf": 500 if most > 20000 else 100}
    if (
        _EACH_MONTH.search(about)
        and _EXTRA.search(about)
        and not re.search("income|salary|wage", about, re.I)
    ):
        return {"minimum": 25, "maximum": 1000, "multipleOf": 25}
    spoken = " ".join(words)
    found = next(((a, b) for what, unit, a, b in _PHYSICAL if what.search(spoken) and unit.search(about)), ())
    return dict(zip(("minimum", "maximum"), found, strict=False))
