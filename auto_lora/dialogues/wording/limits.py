"""Limits as they are said: "under $50", "at least 3 bedrooms", "within 5 km"."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence

from auto_lora.dialogues.definitions.meaning import tool_act
from auto_lora.dialogues.definitions.phrasebook import words_of
from auto_lora.dialogues.values.naming import counts_minutes, spoken_name
from auto_lora.dialogues.values.surfaces import Value
from auto_lora.dialogues.wording.planned import PlannedCall
from auto_lora.dialogues.wording.told_forms import described

_UNITS_OF_WAY = {
    "km": "km",
    "kilometers": "km",
    "miles": "miles",
    "mi": "miles",
    "meters": "meters",
    "m": "meters",
}
_BOUNDS = {
    "max": "under {v}, up to {v}, at most {v}, no more than {v}", "maximum": "up to {v}, at most {v}, no more than {v}",
    "min": "over {v}, at least {v}, no less than {v}", "minimum": "at least {v}, no less than {v}",
}  # fmt: skip
_LIMIT = re.compile(r"(?:the )?(max|min)(?:imum)?\b", re.I)
_BOUNDED = frozenset("amount duration distance rating temperature percent age weight".split())


def bound_of(call: PlannedCall, roles: Mapping[str, str], name: str) -> str:
    """How a limit is said, forms joined by commas: "under $50" of max_price; "" of any other argument."""
    minutes = counts_minutes(words_of(name)) and not is_least_length(call, name)
    number = call.tool.properties.get(name, {})
    told = _LIMIT.match(described(number))  # "Maximum distance in km"
    words = [*words_of(name), *([told[1].lower()] if told else [])]
    word = "" if minutes else next((w for w in words if w in _BOUNDS), "")
    numeric = isinstance(number, dict) and number.get("type") in ("integer", "number")
    counted = roles[name] == "count" and name in call.values and " " in call.values[name].surface
    return _BOUNDS[word] if word and numeric and (counted or roles[name] in _BOUNDED) else ""


def reach_of(call: PlannedCall, name: str, value: Value) -> str:
    """How far something is sought, with its unit: "5 km" of radius_km; "" of the radius of a circle, or where no unit is told."""
    words = words_of(name)
    if "radius" not in words or tool_act(call.tool)[0] not in ("find", "get"):
        return ""
    unit = next((_UNITS_OF_WAY[w] for w in words if w in _UNITS_OF_WAY), "")
    return value.surface if re.search(r"[a-z]$", value.surface) else f"{value.surface} {unit}" if unit else ""


def is_least_length(call: PlannedCall, name: str) -> bool:
    """Whether "min" after a length is no unit after all: a largest stands beside it, or it is said to be the least."""
    if not counts_minutes(words_of(name)):
        return False
    largest, about = [*words_of(name)[:-1], "max"], described(call.tool.properties[name])
    beside = any(words_of(n) == largest for n in call.tool.properties)
    return beside or re.search(r"\bminimum|\bshortest|\bat least", about, re.I) is not None


def within(
    rng: random.Random, roles: Mapping[str, str], name: str, value: Value, forms: Sequence[str]
) -> str:
    """A limit: "under $50", "at least 3 bedrooms"; of what is rated or counted never "over"."""
    if roles[name] == "age" and "year" not in value.surface:  # "at most 49" of which?
        return rng.choice(forms).format(v=f"{value.surface} years old")
    if roles[name] in ("distance", "duration", "weight") and re.fullmatch(r"[\d.,]+|[a-z-]+", value.surface):
        what = " ".join(w for w in spoken_name(name, number=True) if w not in _BOUNDS)
        forms = [f for f in forms if not f.startswith(("over", "under"))]
        return f"with a {what} of {rng.choice(forms).format(v=value.surface)}"
    if roles[name] not in ("rating", "count"):
        return rng.choice(forms).format(v=value.surface)
    forms = [f for f in forms if not f.startswith(("over", "under"))]
    noun = [w for w in words_of(name) if w not in _BOUNDS]
    text = value.surface
    counts = bool(noun) and noun[-1].endswith("s")
    rated = roles[name] == "rating" and not counts and not re.search(r"stars?\b|points?\b|rating", text)
    if rated or re.fullmatch(r"[\d.]+|[a-z-]+", text):  # of what? "2.5, no sorry, three"
        if not counts and rng.random() < 0.5:
            return f"with a rating of {rng.choice(forms).format(v=text)}"
        text = f"{text} {noun[-1]}" if counts else f"a rating of {text}"
    return f"with {rng.choice(forms).format(v=text)}"
