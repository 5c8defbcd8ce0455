"""The two ends of a range in order: from 1901 to 2018, not the other way round."""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from auto_lora.dialogues.values.english import plural, singular
from auto_lora.dialogues.values.surfaces import Value

_LIMITS = ("type", "enum", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
ENDS = (("from", "to"), ("start", "end"), ("low", "high"), ("lower", "upper"), ("min", "max"), ("minimum", "maximum"), ("first", "last"), ("core", "max"), ("core", "maximum"), ("initial", "max"), ("initial", "maximum"))  # fmt: skip
_NO_MORE_THAN = (("k", "n"), ("successes", "trials"))  # the first is part of the second


def ascending(
    values: Mapping[str, Value], fixed: Container[str] = (), schemas: Mapping[str, Any] = MappingProxyType({})
) -> dict[str, Value]:
    """Values with the two ends of a range in order: from 1901 to 2018, not the other way round.

    Args:
        fixed: names of values that stay as they are.
        schemas: of the values; ends of different limits are not swapped.
    """
    limits = {n: {k: s.get(k) for k in _LIMITS} for n, s in schemas.items() if isinstance(s, Mapping)}
    found = dict(values)
    for low, high in (*ENDS, *_NO_MORE_THAN):
        for name in values:
            other = re.sub(rf"(?<![a-zA-Z]){low}(?![a-z])", high, name)
            if other == name or other not in values or {name, other} & {n for n in values if n in fixed}:
                continue
            if limits.get(name) != limits.get(other):
                continue
            pair = found[name], found[other]
            if all(type(v.json) in (int, float) for v in pair) and pair[0].json > pair[1].json:
                found[name], found[other] = _with_number_of(*pair), _with_number_of(*reversed(pair))
    return found


def _with_number_of(value: Value, other: Value) -> Value:
    """A value with another's number, its own noun kept: "9 trials" with that of "one success" is "one trial"."""
    _, _, noun = value.surface.partition(" ")
    others, _, its_own = other.surface.partition(" ")
    if (
        value.role != "count"
        or other.role != "count"
        or not noun
        or noun.rstrip("s") == its_own.rstrip("s")
        or not noun.isalpha()
        or not its_own.isalpha()
    ):
        return other
    one = singular(noun)
    return replace(value, json=other.json, surface=f"{others} {one if other.json == 1 else plural(one)}")
