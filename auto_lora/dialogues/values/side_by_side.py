"""Lists of numbers that belong together: as many returns as weights, and weights that are the parts of 1."""

from __future__ import annotations

import random
import re
from collections.abc import Container, Mapping
from dataclasses import replace
from itertools import pairwise

from auto_lora.catalog import ToolDefinition
from auto_lora.dialogues.values.surfaces import Value, join_words

SUM_TO_ONE = re.compile(
    r"\b(?:sum(?:s|ming)?|adds?|adding) (?:up )?to (?:1(?:\.0)?(?![\d.]*\d|%)|one)\b", re.I
)


def parts_of_one(rng: random.Random, count: int) -> list[float]:
    """Parts of 1 with two decimals that are exactly 1 together."""
    step = 5 if rng.random() < 0.7 else 1
    cuts = [0, *sorted(rng.sample(range(step, 100, step), count - 1)), 100]
    return [(high - low) / 100 for low, high in pairwise(cuts)]


def of_one_length(
    rng: random.Random, values: Mapping[str, Value], tool: ToolDefinition, own: Container[str] = ()
) -> dict[str, Value]:
    """Values whose required lists of numbers are of one length, where no schema says how long they are.

    Args:
        own: names of values that stay as they are.
    """
    found = dict(values)
    lists = [n for n, v in values.items() if n in tool.required and n not in own and _is_open(tool, n, v)]
    if len(lists) < 2:
        return found
    count = min(len(values[n].json) for n in lists)
    for name in lists:
        value = values[name]
        if len(value.json) > count:
            numbers = value.json[:count]
            if SUM_TO_ONE.search(str(tool.properties[name].get("description", ""))):
                numbers = parts_of_one(rng, count)
            said = [str(n) for n in numbers]
            listed = f"[{', '.join(said)}]" if value.surface.startswith("[") else join_words(said)
            found[name] = replace(value, json=numbers, surface=listed)
    return found


def _is_open(tool: ToolDefinition, name: str, value: Value) -> bool:
    """Whether a value is a list of three numbers or more (two are an interval or a point) that may as well be shorter."""
    several = isinstance(value.json, list) and len(value.json) > 2
    numbers = several and all(type(n) in (int, float) for n in value.json)
    schema = tool.properties[name]
    open_ended = isinstance(schema, Mapping) and schema.get("type") == "array"
    return numbers and open_ended and not {"minItems", "maxItems"} & schema.keys()
