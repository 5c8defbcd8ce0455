"""Booleans that another argument contradicts: nobody who flies back on friday flies one way, what starts at nine is not all day.

`phrases/contradictions.json` has, by the words of a boolean ("said"), the names of arguments beside which it can only be true or false
("is"); `include_x` and `x` can only be true beside a given `x_...`.
"""

from __future__ import annotations

import random
import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from auto_lora.catalog import ToolDefinition
from auto_lora.dialogues.definitions.phrasebook import phrases, words_of
from auto_lora.dialogues.definitions.switches import switch_words
from auto_lora.dialogues.values.surfaces import Value, plain

_FRONT = frozenset(
    "is are has have with include includes including needs need use uses want wants require requires required set add enable enabled "
    "send should be included".split()
)  # fmt: skip
_WAYS = {True: re.compile(r"(?:round|return|two)[\W_]?(?:trip|way)?", re.I), False: re.compile(r"(?:one|single)[\W_]?(?:way)?", re.I)}  # fmt: skip
_CLOCK = re.compile(r"\b\d\d?:\d\d")


def consistent(
    rng: random.Random, values: dict[str, Value], tool: ToolDefinition, own: Collection[str]
) -> dict[str, Value]:
    """Values of which no boolean, and no kind of trip, says the opposite of another argument.

    Args:
        own: names of values that stay as they are.
    """
    found = dict(values)
    for name, value in values.items():
        if name in own:
            continue
        if isinstance(value.json, bool):
            must = _must_be(name, {n: v for n, v in values.items() if n != name})
            if must is None or must == value.json:
                continue
            if name in tool.required or must:
                words = rng.choice(switch_words(name, must))
                found[name] = replace(value, json=must, surface=words)
            else:  # who says when it starts does not say that it is not all day
                del found[name]
        elif other := _other_way(name, value, tool, values):
            found[name] = replace(value, json=other, surface=plain(other).lower())
    return found


def _must_be(name: str, others: Mapping[str, Value]) -> bool | None:
    """What a boolean can only be beside other arguments; None where it may be either."""
    words = words_of(name) or [name]
    spoken = " ".join(words)
    core = [w for w in words if w not in _FRONT]
    told = " ".join(core)
    for rule in phrases("contradictions")["rules"]:
        if not (re.fullmatch(rule["said"], spoken) or re.fullmatch(rule["said"], told)):
            continue
        for other, value in others.items():
            if isinstance(value.json, bool) or not _beside(rule, other, value):
                continue
            if rule.get("counted") and isinstance(value.json, (int, float)):
                return value.json == 0
            return bool(rule["is"])
    denied = words[0] in ("no", "without", "exclude", "skip", "disable")
    core = core[1:] if denied else core
    for other, value in others.items():
        parts = words_of(other)
        longer = len(parts) > len(core) and parts[: len(core)] == core
        if core and longer and parts[-1] != "id" and not isinstance(value.json, bool):
            return not denied  # "insurance" beside "insurance_type"
    return None


def _beside(rule: Mapping[str, Any], name: str, value: Value) -> bool:
    named = re.search(rule["beside"], " ".join(words_of(name))) is not None
    return named or (bool(rule.get("clock")) and _CLOCK.search(str(value.json)) is not None)


def _other_way(name: str, value: Value, tool: ToolDefinition, values: Mapping[str, Value]) -> str:
    """The value of an enum for a way there and back, where the day of the return is given and the one drawn is one way; "" elsewhere."""
    schema = tool.properties[name]
    enum = schema.get("enum") if isinstance(schema, Mapping) else None
    if not enum or not isinstance(value.json, str) or not _WAYS[False].fullmatch(value.json):
        return ""
    back = any("return" in words_of(n) or "inbound" in words_of(n) for n in values if n != name)
    return next((v for v in enum if isinstance(v, str) and _WAYS[True].fullmatch(v)), "") if back else ""
