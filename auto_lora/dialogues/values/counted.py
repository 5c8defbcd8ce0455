"""Things and how many of each, in two lists of one length and one phrase: "five burgers and two colas"."""

from __future__ import annotations

import random
import re
from collections.abc import Container
from dataclasses import replace

from jsonschema import Draft202012Validator

from auto_lora.catalog import ToolDefinition
from auto_lora.dialogues.definitions.phrasebook import words_of
from auto_lora.dialogues.definitions.schemas import resolve
from auto_lora.dialogues.values.english import plural
from auto_lora.dialogues.values.sampler import Sampler
from auto_lora.dialogues.values.surfaces import Value, join_words

# "Two lamb wraps", but "two pad thai".
_COUNTABLE = re.compile(r"(?:pizza|burger|sandwich|salad|soup|wrap|pie|burrito|sub|kebab|quesadilla|bowl|omelette|pack|bag|lamp|chair|bottle)$")  # fmt: skip


def counted(
    rng: random.Random,
    sampler: Sampler,
    values: dict[str, Value],
    tool: ToolDefinition,
    own: Container[str] = (),
) -> dict[str, Value]:
    """Values with as many amounts as things, said before them.

    Args:
        sampler: draws the amounts.
        own: names of values that stay as they are.
    """
    amounts, things = (
        next((n for n, v in values.items() if fits(n, v)), None) for fits in (_are_amounts, _are_things)
    )
    if amounts is None or things is None or amounts in own:
        return values
    schema = tool.properties[amounts]
    named = [re.sub(r"^an? ", "", t) for t in values[things].json]  # "7 poke bowl", not "7 a poke bowl"
    item = schema.get("items", {}) if isinstance(schema, dict) else {}
    limits = {"minimum": 1, "maximum": 9, **item}
    drawn = [sampler.sample("quantity", limits, tool.parameters) for _ in named]
    one = Draft202012Validator(resolve(item, tool.parameters)).is_valid(1)
    if one and rng.random() < 0.3:  # people mostly order one
        drawn = [Value(1, "one", "number") if rng.random() < 0.7 else v for v in drawn]
    named = [
        plural(thing) if v.json != 1 and _COUNTABLE.search(thing) else thing
        for v, thing in zip(drawn, named, strict=True)
    ]
    spoken = [_said(rng, v, thing) for v, thing in zip(drawn, named, strict=True)]
    return {
        **values,
        amounts: Value([v.json for v in drawn], "", "number"),
        things: replace(values[things], json=named, surface=join_words(spoken)),
    }


def _said(rng: random.Random, amount: Value, thing: str) -> str:
    """ "2 colas", "two colas", "a cola"."""
    if amount.json == 1 and not thing.endswith("s") and rng.random() < 0.7:
        return f"{'an' if thing[:1].lower() in 'aeio' else 'a'} {thing}"
    return f"{amount.json if rng.random() < 0.6 else amount.surface} {thing}"


def _are_amounts(name: str, value: Value) -> bool:
    named = {"quantities", "amounts", "counts", "quantity", "numbers"} & set(words_of(name))
    return bool(named) and isinstance(value.json, list) and all(isinstance(v, int) for v in value.json)


def _are_things(name: str, value: Value) -> bool:
    texts = isinstance(value.json, list) and all(isinstance(v, str) for v in value.json)
    return texts and value.role in ("item", "dish", "product")
