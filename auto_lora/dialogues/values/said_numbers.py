"""Numbers said as people say them, by what they count: 45 million shares, 70 kg, 20 percent, "twenty"."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from typing import Any

from auto_lora.dialogues.definitions.phrasebook import words_of
from auto_lora.dialogues.definitions.units import unit_forms
from auto_lora.dialogues.values.english import number_words, plural, singular
from auto_lora.dialogues.values.spans import unit_of
from auto_lora.dialogues.values.surfaces import Value

FRACTION = re.compile(
    r"\b(?:probability|fraction|proportion|frequency of|allele|significance|alpha|confidence level|between 0 and 1|as a decimal|decimal form)\b",
    re.I,
)
# What is counted, where its own name does not say it.
_COUNTED = "passenger guest adult ticket result item copy bedroom bathroom room bed bath seat".split()


def said_number(
    rng: random.Random, value: float, role: str, schema: Mapping[str, Any], name: str, tool_words: str
) -> Value:
    """A number with its words, by what it counts; arguments as those of `sample_number`."""
    value = round(value, 6)
    if float(value).is_integer():
        value = int(value)
    surface = _spoken(rng, value, role, schema, name, tool_words)
    bare = role == "count" and " " not in surface  # "limit 20", where "for 3 guests" needs no name
    return Value(value, surface, "generic" if bare else role)


def unit_in(name: str) -> tuple[str, ...]:
    """How people write a number of the unit that a name ends in: amount_ml, but not price_per_kg."""
    words = words_of(name) or ["it"]
    return () if "per" in words else unit_forms(f"in {words[-1]}")


def _digits(rng: random.Random, value: float, role: str) -> str:
    """Digits as people type them: 4500, 4,500, 45 million."""
    text = f"{value:g}" if isinstance(value, float) else str(value)
    if not isinstance(value, int) or value < 1000 or role in ("year", "identifier"):
        return text
    if value >= 10**6 and value % 10**5 == 0 and rng.random() < 0.6:
        return f"{value / 10**6:g} million"
    if role == "amount" and value % 1000 == 0 and rng.random() < 0.15:
        return f"{value // 1000}k"
    return f"{value:,}" if rng.random() < 0.35 else text


def _spoken(
    rng: random.Random, value: float, role: str, schema: Mapping[str, Any], name: str, tool_words: str
) -> str:
    text = _digits(rng, value, role)
    in_words = isinstance(value, int) and 0 <= value < 100 and rng.random() < 0.12
    words = number_words(int(value)) if in_words else text
    about = f"{' '.join(words_of(name))} {schema.get('description', '')}".lower()
    pick = rng.choice
    as_share = ("percent" not in about and "%" not in about) or FRACTION.search(about)
    if role in ("percent", "level") and 0 < value < 1 and isinstance(value, float) and as_share:
        return pick([text, f"{value * 100:g}%", f"{value * 100:g} percent"])
    if role in ("percent", "level") and ("percent" in about or "%" in about):
        return pick([f"{text}%", f"{text} percent", f"{words} percent"])
    if role == "temperature" and "kelvin" not in about:
        unit = "fahrenheit" if "fahrenheit" in about else "celsius"
        other = _on_the_other_scale(value, unit) if unit in about and rng.random() < 0.12 else ""
        if other:
            return other
        return pick([f"{text} degrees", f"{words} degrees", text, f"{text} degrees {unit}", f"{text}\u00b0"])
    if role == "rating" and re.search(r"\bstars?\b|_star", about):
        return pick([f"{text} stars", f"{text} stars", text])
    if role in ("duration", "timeout"):
        unit = unit_of(name, schema, role)
        if unit == "millisecond":
            return pick([f"{value} ms", f"{value}ms", f"{value} milliseconds", text])
        return f"{words} {unit}{'' if value == 1 else 's'}"
    if role == "amount" and (measured := unit_in(name)):
        return pick(measured).format(v=text)  # amount_ml
    if role == "amount" and (priced := unit_forms(str(schema.get("description", "")))):
        return pick(priced).format(v=text)
    if role == "amount" and "currency" not in f"{about} {tool_words}".lower():
        return pick([f"${text}", f"{text} dollars", text])
    if role == "count":
        counted = (words_of(name) or ["it"])[-1]
        own = singular(counted) if singular(counted) != counted else ""
        many = (
            re.search(r"number of (?:[a-z]+ )?([a-z]+s)\b", about) if len(counted) == 1 else None
        )  # n of trials
        unit = (
            own
            or (singular(many[1]) if many else "")
            or next((u for u in _COUNTED if re.search(rf"\b(?:{u}|{plural(u)})\b", about)), "")
        )
        return f"{words} {unit if value == 1 else plural(unit)}" if unit else words
    forms = unit_forms(f"{schema.get('description', '')} in {(words_of(name) or ['it'])[-1]}")
    if forms and rng.random() < 0.65:
        return pick(forms).format(v=text)
    return words


def _on_the_other_scale(value: float, unit: str) -> str:
    """A temperature in the unit that the tool does not take, where it comes out even: 68 fahrenheit for 20; else ""."""
    if unit == "celsius" and value % 5 == 0:
        return f"{value * 9 // 5 + 32:g} degrees fahrenheit"
    if unit == "fahrenheit" and (value - 32) % 9 == 0:
        return f"{(value - 32) * 5 // 9:g} degrees celsius"
    return ""
