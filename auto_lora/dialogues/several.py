"""Calls of one tool in one breath: "the weather in Rome, Oslo and Lima", "set an alarm for seven and another for eight"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from auto_lora.dialogues.clause import PlannedCall, roles_of
from auto_lora.dialogues.naming import is_number
from auto_lora.dialogues.phrasebook import is_joined
from auto_lora.dialogues.surfaces import Value, join_words

# Somebody's own words end nowhere for sure; on and off, and what to do, stand in the sentence and not at its end.
_OWN_SENTENCE = frozenset("message note text query state action boolean object kind weather warmth".split())
# "Milk and eggs" for a list is one thing to put there; "Ann and Bob" are the guests of one meeting.
_ONE_FOR_ALL = _OWN_SENTENCE | frozenset(
    "item dish product ingredient label event title song album movie book show artist list playlist org person recipient party cast companion "
    "unit unit_from unit_to rating_unit currency_from currency_pair start end daypart frequency count spatial position series mood owner here delivery".split()
)


def may_differ(call: PlannedCall, name: str) -> bool:
    """Whether several values of this argument mean several calls: one place, number, code or enum's value each.

    Not where another argument has its role: "the sum of 12 and 15 and 18" are how many sums?
    """
    schema, roles = call.tool.properties[name], roles_of(call.tool)
    role = roles[name]
    value = call.values[name].json
    one = isinstance(value, str) or is_number(value)
    alone = sum(roles[n] == role for n in call.shown()) == 1
    return one and alone and role not in _ONE_FOR_ALL and not is_joined(schema)


def gathered(calls: Sequence[PlannedCall]) -> PlannedCall | None:
    """The first call with the words of all, where they differ in one argument that may; else None."""
    first, *others = calls
    if any(c.tool.name != first.tool.name or c.values.keys() != first.values.keys() for c in others):
        return None
    differing = [n for n, v in first.values.items() if any(c.values[n].json != v.json for c in others)]
    if len(differing) != 1 or not may_differ(first, differing[0]):
        return None
    name, value = differing[0], first.values[differing[0]]
    words = [c.values[name].surface for c in calls]
    return replace(first, values={**first.values, name: Value(value.json, join_words(words), value.role)})


def may_follow(call: PlannedCall, before: PlannedCall) -> bool:
    """Whether a call's arguments alone say it after another call of its tool: "..., and in Oslo at 5 pm"."""
    shown = call.shown()
    own = {roles_of(call.tool)[n] for n in shown} & _OWN_SENTENCE
    return call.tool.name == before.tool.name and shown.keys() == before.shown().keys() != set() and not own
