"""Enums of what is decided: "approved" and "rejected" of a tool that approves or rejects are said as its verbs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from auto_lora.dialogues.definitions.phrasebook import is_state, words_of


def decided(schema: Mapping[str, Any], said: str) -> dict[str, str]:
    """The verb for each of an enum's values; empty where one is no participle of a verb that the tool has.

    Args:
        said: the tool's name and description.
    """
    values = schema.get("enum") or []
    if len(values) < 2 or is_state(schema) or not all(isinstance(v, str) for v in values):
        return {}
    verbs = {form: w.removesuffix("s") for w in words_of(said) for form in _participles(w.removesuffix("s"))}
    found = {v: verbs[v.lower()] for v in values if v.lower() in verbs}
    return found if len(set(found.values())) == len(values) else {}


def _participles(verb: str) -> tuple[str, ...]:
    return f"{verb}ed", f"{verb}d", f"{verb}{verb[-1:]}ed", f"{verb[:-1]}ied"
