"""Parameters' names as people say them, and arguments that only their names tell apart."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence

from auto_lora.dialogues.definitions.phrasebook import words_of
from auto_lora.dialogues.values.surfaces import Value, join_words

# Arguments that nothing but their name tells apart: (before the first, each, between), for numbers and for any.
_NUMBERED = (
    ("with ", "{a} {n} of {v}", " and "), ("with ", "{a} {n} of {v}", " and "), ("with ", "{a} {n} of {v}", ", "), ("given ", "{a} {n} of {v}", " and "), ("for ", "{a} {n} of {v}", " and "),
    ("using ", "{a} {n} of {v}", " and "), ("where ", "the {n} is {v}", " and "), ("with ", "{n} = {v}", ", "), ("with ", "{n} of {v}", " and "), ("if ", "the {n} is {v}", " and "),
)  # fmt: skip
_NAMED = (
    ("with ", "{n} {v}", " and "), ("with ", "the {n} {v}", " and "), ("", "{n}: {v}", ", "), ("with ", "{v} as the {n}", " and "), ("using ", "{v} as {n}", " and "),
    ("given ", "{n} {v}", " and "), ("for ", "{n} {v}", " and "), ("with ", "the {n} set to {v}", " and "), ("", "{n} {v}", ", "), ("where ", "the {n} is {v}", " and "), ("", "{n} = {v}", ", "),
)  # fmt: skip
# The same for words: "using the Simpson method".
_WORDED = (("using the ", "{v} {n}", " and "), ("with the ", "{v} {n}", " and "), ("using ", "{v} {n}", " and "), ("by the ", "{v} {n}", " and "))  # fmt: skip
BARE_NAMES = re.compile(
    r"(?:[a-z]|n|num|numbers?|values?|integers?|(?:num|number|value|int|n|a|x)[_ ]?\d|(?:first|second) (?:number|num|value))"
)
ENDS_IN_PREPOSITION = frozenset("by from to at in of with within after before until since for on".split())
_UNIT_WORDS = frozenset(
    "seconds minutes hours days weeks months years secs mins kg mg lbs grams kilograms cm mm km ft inches feet meters metres kilometers "
    "miles ml liters litres celsius fahrenheit usd eur mb gb kb hz watts kwh mph kmh m g s l sec ms pct".split()
)
_LENGTHS = frozenset(
    "duration time length timer prep cook cooking delay interval period travel wait snooze session".split()
)
SPOKEN_SPANS = _UNIT_WORDS | {"time", "timer"}
_PHRASAL = frozenset("check sign log opt move clock drop pick".split())
_ORDER = frozenset("first second third one two three 1 2 3 a b c".split())


def spoken_name(name: str, *, number: bool) -> list[str]:
    """The words of a parameter's name; of a number without the unit that it ends in: "weight_kg" is a weight."""
    words = words_of(name) or ["it"]
    unit = words[-1] in _UNIT_WORDS or counts_minutes(words)
    bare = number and unit and len(words) > 1 and words[-2] != "per"  # not "price per" of price_per_kwh
    return words[:-1] if bare else words


def counts_minutes(words: Sequence[str]) -> bool:
    """Whether "min" at the end of a name is its unit: of duration_min, not of price_min."""
    return len(words) > 1 and words[-1] == "min" and words[-2] in _LENGTHS


def without_order(name: str) -> str:
    """A parameter's name without what only counts: "city" of first_city, city_2 and city2; "" where nothing counts."""
    words = [re.sub(r"\d$", "", w) for w in words_of(name)]
    kept = [w for w in words if w and w not in _ORDER]
    return " ".join(kept) if kept and kept != words_of(name) else ""


def said_name(name: str, value: Value) -> list[str]:
    """A parameter's name as it is said beside a value with its unit: "period_in_years" is a period."""
    words = spoken_name(name, number=is_number(value.json))
    verb = words[-2:-1] and words[-2] in _PHRASAL  # a check-in is no check
    return words[:-1] if words[-1] in ENDS_IN_PREPOSITION and len(words) > 1 and not verb else words


def whole_name(rng: random.Random, left: dict[str, Value], roles: Mapping[str, str]) -> str:
    """First and last name in one phrase: "for Jason Smith"; "" where one is not left, or they are said apart."""
    ends = [next((n for n in left if roles[n] == role), "") for role in ("first_name", "last_name")]
    if not all(ends) or rng.random() < 0.3:
        return ""
    words = " ".join(left.pop(n).surface for n in ends)
    return rng.choice(["for {v}", "for {v}", "named {v}", "called {v}"]).format(v=words)


def is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def listed(rng: random.Random, values: Mapping[str, Value], order: Sequence[str]) -> str:
    """Several such arguments in one form: "with a mass of 45 kg and a volume of 15 m³", "a = 1, b = 3", "12 and 15".

    Args:
        order: all of the tool's parameters; numbers without names are said in it.
    """
    numbers = all(map(is_number, (v.json for v in values.values())))
    spoken = {n: " ".join(said_name(n, v)) for n, v in values.items()}
    bare = numbers and all(BARE_NAMES.fullmatch(s) for s in spoken.values())
    if bare and rng.random() < 0.6:
        inner = [re.sub(r",(?=\d{3})", "", values[n].surface) for n in order if n in values]
        forms = ["of {v}", "for {v}", "of {v}"] + (
            ["with {v}", "({t})", "of ({t})"] if len(inner) > 1 else ["of the number {v}", "{v}"]
        )
        return rng.choice(forms).format(v=join_words(inner), t=", ".join(inner))
    before, form, between = rng.choice(_NUMBERED if numbers and rng.random() < 0.7 else _NAMED)
    if bare and form.startswith("{a}"):
        form = "{n} = {v}"
    short = all(isinstance(v.json, str) and len(v.surface.split()) < 3 for v in values.values())
    if short and rng.random() < 0.25:
        before, form, between = rng.choice(_WORDED)
    parts = [
        form.format(
            n=spoken[n],
            v=v.surface,
            a="the"
            if re.search(r"s$|s per ", spoken[n]) or rng.random() < 0.2
            else "an"
            if spoken[n][:1] in "aeiou"
            else "a",
        )
        for n, v in values.items()
    ]
    if between == ", " and len(parts) > 1 and rng.random() < 0.5:
        return before + join_words(parts)
    return before + between.join(parts)
