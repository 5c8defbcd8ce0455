"""Calls of one tool in one breath: "the weather in Rome, Oslo and Lima", "set an alarm for seven and another for eight"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod

from auto_lora.dialogues.definitions.meaning import tool_act
from auto_lora.dialogues.definitions.phrasebook import is_joined, words_of
from auto_lora.dialogues.definitions.roles import roles_of
from auto_lora.dialogues.values.naming import is_number
from auto_lora.dialogues.values.surfaces import join_words
from auto_lora.dialogues.wording.planned import PlannedCall

# Somebody's own words end nowhere for sure; on and off, and what to do, stand in the sentence and not at its end.
_OWN_SENTENCE = frozenset("message note text query state action boolean object kind weather warmth".split())
# "Milk and eggs" for a list is one thing to put there; "Ann and Bob" are the guests of one meeting.
_ONE_FOR_ALL = _OWN_SENTENCE | frozenset(
    "item dish product ingredient label event title subject song album movie book show artist list playlist org person recipient party cast companion "
    "unit unit_from unit_to rating_unit currency_from currency_pair start end daypart frequency count spatial position series mood owner here delivery reason".split()
)

_TELLS = frozenset("get find compute convert translate track".split())
# One person has one, and one deed: "add the contact Snyder and Foster" is none of two.
_OF_ONE_THING = frozenset(
    "reason email phone currency person_name first_name last_name username account".split()
)
_OF_ONE_ORDER = frozenset("generic type thing_name amount poi category service payment_reference".split())


def may_differ(call: PlannedCall, name: str) -> bool:
    """Whether several values of this argument mean several calls: one place, number, code or enum's value each.

    Not where another argument has its role: "the sum of 12 and 15 and 18" are how many sums?
    """
    schema, roles = call.tool.properties[name], roles_of(call.tool)
    role = roles[name]
    value = call.values[name].json
    one = isinstance(value, str) or is_number(value)
    alone = sum(roles[n] == role for n in call.shown()) == 1
    # "Set it to 18 and 21 degrees" is nobody's wish; the rain at six and at nine is.
    changes = tool_act(call.tool)[0] not in (
        "get",
        "find",
        "compute",
        "convert",
        "translate",
        "track",
        "run",
        "do",
        "any",
    )
    act, verb = tool_act(call.tool)
    if (act in ("book", "send", "track") or verb == "place") and role in _OF_ONE_ORDER:
        return False  # one buys in one format or another
    sets = changes and role in ("temperature", "level", "percent", "duration", "priority", "status", "rating")
    if act not in _TELLS and name not in (_keys(call) or [name]):
        return False  # one deal is not moved to three stages
    if act in ("create", "set") and role in _OF_ONE_THING:
        return False
    return one and alone and not sets and role not in _ONE_FOR_ALL and not is_joined(schema)


def _keys(call: PlannedCall) -> list[str]:
    """The arguments that say which thing is changed: an id or a number, else what runs or a file, else a repository."""
    roles, shown = roles_of(call.tool), call.shown()
    numbered = [n for n in shown if roles[n] == "identifier" or words_of(n)[-1:] in (["id"], ["number"])]
    named = [n for n in shown if roles[n] in ("workload", "file", "file_from")]
    return numbered or named or [n for n in shown if roles[n] == "repo"]


def gathered(calls: Sequence[PlannedCall]) -> tuple[PlannedCall, bool] | None:
    """The first call with the words of all, where they differ in one argument that may, or in two; else None.

    Two: each value of one with each of the other ("in Rome and Oslo, today and tomorrow"), or the first with the first and so
    on; that, the second thing returned, has to be said: "respectively".
    """
    first, *others = calls
    if any(c.tool.name != first.tool.name or c.values.keys() != first.values.keys() for c in others):
        return None
    differing = [n for n, v in first.values.items() if any(c.values[n].json != v.json for c in others)]
    if not 1 <= len(differing) <= 2 or not all(may_differ(first, n) for n in differing):
        return None
    told = {n: list(dict.fromkeys(c.values[n].surface for c in calls)) for n in differing}
    counts = [len(words) for words in told.values()]
    in_turn = len(counts) == 2
    if in_turn and prod(counts) == len(calls) == len({tuple(c.values[n].surface for n in differing) for c in calls}):  # fmt: skip
        in_turn = False
    elif any(count != len(calls) for count in counts):
        return None
    said = {n: replace(first.values[n], surface=join_words(words)) for n, words in told.items()}
    return replace(first, values={**first.values, **said}), in_turn


def may_follow(call: PlannedCall, before: PlannedCall) -> bool:
    """Whether a call's arguments alone say it after another call of its tool: "..., and in Oslo at 5 pm"."""
    shown = call.shown()
    own = {roles_of(call.tool)[n] for n in shown} & _OWN_SENTENCE
    return call.tool.name == before.tool.name and shown.keys() == before.shown().keys() != set() and not own


def undoes(call: PlannedCall, other: PlannedCall) -> bool:
    """Whether a second call only changes what the first has set, or only lengthens its list: the volume to 1 and to 8."""
    if call.tool.name != other.tool.name or call.values.keys() != other.values.keys():
        return False
    differing = [n for n, v in call.values.items() if v.json != other.values[n].json]
    roles = roles_of(call.tool)
    lists = any(isinstance(call.values[n].json, list) for n in differing)
    sets = tool_act(call.tool)[0] in ("set", "switch", "act") and all(
        roles[n] in _SETTINGS for n in differing
    )
    return sets or (lists and len(differing) == 1)


_SETTINGS = frozenset(
    "level percent temperature state color setting duration action boolean status priority warmth mood".split()
)
