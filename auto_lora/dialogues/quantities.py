"""Numbers of a size that what they count may have, said as people say them: 45 million shares, 70 kg, "twenty"."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from typing import Any

from auto_lora.dialogues.meaning import unit_forms
from auto_lora.dialogues.phrasebook import words_of
from auto_lora.dialogues.pools import number_words
from auto_lora.dialogues.surfaces import Value

_LIMITS = frozenset("minimum maximum exclusiveMinimum exclusiveMaximum multipleOf".split())
_FRACTION = re.compile(
    r"\b(?:probability|fraction|proportion|frequency of|allele|significance|alpha|confidence level|between 0 and 1|as a decimal)\b",
    re.I,
)
_LARGE = re.compile(
    r"\b(?:shares|shareholders?|revenue|turnover|population|payout|assets|equity|market cap|net income|dividends)\b",
    re.I,
)
_SIGNED = re.compile(r"\b(?:[a-cx-z]|x\d|y\d|coefficient|coordinate|offset)\b", re.I)


def sample_number(
    rng: random.Random, schema: Mapping[str, Any], kind: str, role: str, name: str, tool_words: str
) -> Value:
    """A number that fits a schema, of a size that what it counts may have, with its words.

    Args:
        kind: "integer" or "number".
        tool_words: name and description of the tool; one that speaks of currency has its unit elsewhere.
    """
    about = " ".join([*words_of(name), str(schema.get("description", ""))])
    low, high = _bounds(schema, kind, role, about)
    free = role in ("generic", "number", "amount", "capacity", "count") and not (_LIMITS & schema.keys())
    wide = _wide(rng, kind, role, name, about) if free else None
    if wide is not None:
        return _said(rng, wide, role, schema, name, tool_words)
    step = schema.get("multipleOf") or (
        1 if kind == "integer" or high - low > 40 or role == "temperature" else 0.5
    )
    halves = kind == "number" and role == "temperature" and not schema.get("multipleOf")
    if halves and rng.random() < 0.3:
        step = 0.5
    first, last = -(-low // step), high // step
    if last - first > 30 and step == 1 and rng.random() < 0.5:
        step, first, last = 5, -(-low // 5), high // 5
    return _said(
        rng, rng.randint(int(first), max(int(first), int(last))) * step, role, schema, name, tool_words
    )


def _wide(rng: random.Random, kind: str, role: str, name: str, about: str) -> float | None:
    """A number of a size that what it counts may have: shares by the million, a probability, a negative coordinate."""
    chance, draw = rng.random(), rng.randint
    if kind == "number" and _FRACTION.search(about):
        return draw(1, 99) / 100
    if _LARGE.search(about):
        return draw(1, 99) * 10 ** draw(3, 7)
    if role == "count":
        return None
    if role == "amount":
        return draw(1, 99) * 1000 if chance < 0.25 else draw(10, 99) * 100 if chance < 0.4 else None
    if chance < 0.15 and (_SIGNED.search(" ".join(words_of(name)))):
        return -draw(1, 20)
    if kind == "number" and chance < 0.45:
        return draw(1, 999) / rng.choice([10, 10, 100])
    return draw(100, 9999) if chance > 0.85 else None


def _said(
    rng: random.Random, value: float, role: str, schema: Mapping[str, Any], name: str, tool_words: str
) -> Value:
    value = round(value, 6)
    if float(value).is_integer():
        value = int(value)
    surface = _spoken(rng, value, role, schema, name, tool_words)
    bare = role == "count" and " " not in surface  # "limit 20", where "for 3 guests" needs no name
    return Value(value, surface, "generic" if bare else role)


def _digits(rng: random.Random, value: float, role: str) -> str:
    """Digits as people type them: 4500, 4,500, 45 million."""
    text = f"{value:g}" if isinstance(value, float) else str(value)
    if not isinstance(value, int) or value < 1000 or role in ("year", "identifier"):
        return text
    if value >= 10**6 and value % 10**5 == 0 and rng.random() < 0.6:
        return f"{value / 10**6:g} million"
    return f"{value:,}" if rng.random() < 0.35 else text


def _spoken(
    rng: random.Random, value: float, role: str, schema: Mapping[str, Any], name: str, tool_words: str
) -> str:
    text = _digits(rng, value, role)
    in_words = isinstance(value, int) and 0 <= value < 100 and rng.random() < 0.12
    words = number_words(int(value)) if in_words else text
    about = f"{name} {schema.get('description', '')}".lower()
    pick = rng.choice
    if role in ("percent", "level") and ("percent" in about or "%" in about):
        return pick([f"{text}%", f"{text} percent", f"{words} percent"])
    if role == "temperature" and "kelvin" not in about:
        unit = "fahrenheit" if "fahrenheit" in about else "celsius"
        return pick([f"{text} degrees", f"{words} degrees", text, f"{text} degrees {unit}", f"{text}\u00b0"])
    if role == "duration":
        units: tuple[str, ...] = ("second", "minute", "hour", "day", "week", "night", "month", "year")
        unit = next((u for u in units if u in about), "minute")
        return f"{words} {unit}{'' if value == 1 else 's'}"
    if role == "amount" and "currency" not in f"{about} {tool_words}".lower():
        return pick([f"${text}", f"{text} dollars", text])
    if role == "count":
        units = ("passenger", "guest", "adult", "ticket", "result", "item", "copie")
        counted = words_of(name)[-1]
        own = "people" if counted == "people" else counted.removesuffix("s") if counted.endswith("s") else ""
        unit = next((u for u in units if u in about), own)
        plural = {"copie": ("copy", "copies"), "people": ("person", "people")}.get(unit, (unit, f"{unit}s"))
        return f"{words} {plural[0] if value == 1 else plural[1]}" if unit else words
    forms = unit_forms(f"{schema.get('description', '')} in {words_of(name)[-1]}")
    if forms and rng.random() < 0.65:
        return pick(forms).format(v=text)
    return words


def _bounds(schema: Mapping[str, Any], kind: str, role: str, about: str) -> tuple[float, float]:
    usual = {
        "temperature": (15, 28), "level": (5, 100), "percent": (1, 100), "duration": (5, 60), "amount": (5, 900), "count": (1, 10),
        "identifier": (1000, 99999), "age": (2, 90), "weight": (2, 120), "distance": (1, 300), "rating": (1, 5), "year": (1900, 2026),
    }.get(role, (1, 99))  # fmt: skip
    if role == "temperature" and "kelvin" in about.lower():
        usual = (200, 600)
    tiny = 1 if kind == "integer" else 0.5
    low, high = schema.get("minimum"), schema.get("maximum")
    if schema.get("exclusiveMinimum") is not None:
        low = schema["exclusiveMinimum"] + tiny
    if schema.get("exclusiveMaximum") is not None:
        high = schema["exclusiveMaximum"] - tiny
    if role == "amount" and low == 0:
        low = 1  # nobody asks for 0 dollars
    width = usual[1] - usual[0]
    if low is None:
        low = usual[0] if high is None or high > usual[0] else high - width
    if high is None:
        high = max(usual[1], low + width) if low > usual[0] else usual[1]
    return low, max(low, high)
