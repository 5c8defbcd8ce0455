"""People who change their mind: "at seven, no, eight", "wake me at seven tomorrow. Actually, make it eight."."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import replace

from auto_lora.dialogues.definitions.phrasebook import phrases, pool_of
from auto_lora.dialogues.definitions.roles import roles_of
from auto_lora.dialogues.values.naming import is_number
from auto_lora.dialogues.values.surfaces import Value
from auto_lora.dialogues.values.work_texts import texts_of_one_matter
from auto_lora.dialogues.wording.planned import PlannedCall
from auto_lora.dialogues.wording.unnamed import unnamed

_FAMILIES = {
    "time": frozenset(
        "date time when start end daypart year month weekday season duration timeout frequency".split()
    ),
    "place": frozenset(
        "place origin destination region country poi address room here airport folder file file_from file_to".split()
    ),
    "person": frozenset(
        "person recipient person_name owner account player cast director artist username email phone org".split()
    ),
}
# Nobody could tell what is taken back: somebody's own words, or words that stand in the sentence itself. Parts of the day
# have prepositions of their own: "at dusk, no, in the evening".
_NEVER = frozenset(
    "daypart message note text query state action boolean object kind weather warmth spatial sort hidden".split()
)


def with_correction(
    rng: random.Random, another: Callable[[PlannedCall, str], Value | None], call: PlannedCall
) -> PlannedCall:
    """The call with other words before those of one of its arguments; as it is where none can be taken back.

    Args:
        another: a value of an argument unlike the call's.
    """
    roles = roles_of(call.tool)
    if {"message", "note", "text"} & {roles[n] for n in call.shown()}:
        return call
    bound = texts_of_one_matter(call.tool)  # nobody takes back half of a ticket
    schemas = call.tool.properties
    able = [n for n, v in call.shown().items() if v.surface and _is_one(v) and roles[n] not in _NEVER and n not in bound and not unnamed(n, v, schemas.get(n))]  # fmt: skip
    if not able:
        return call
    name = rng.choice(able)
    value, other = call.values[name], another(call, name)
    if other is None:
        return call
    words, others = ({*v.surface.lower().split()} for v in (value, other))
    if words <= others or others <= words:  # "7 am, no, 7"
        return call
    dated = [
        re.search(r"20\d\d", text) is not None for text in (str(value.json), other.surface, value.surface)
    ]
    if dated == [True, True, False]:
        return call  # "until May 3rd 2026 at 5, no, 7 pm" would be on that day
    return replace(call, values={**call.values, name: replace(value, instead_of=other.surface)})


def taken_back(rng: random.Random, call: PlannedCall, *, alone: bool) -> tuple[str | None, str, str]:
    """The argument that is corrected (None: none is), the words in its place, and a sentence after the request.

    Args:
        alone: nothing else is asked in the prompt.
    """
    found = next(((n, v) for n, v in call.shown().items() if v.instead_of), None)
    if found is None:
        return None, "", ""
    name, value = found
    book, roles = phrases("around"), roles_of(call.tool)
    kin = [n for n, v in call.shown().items() if family(roles[n], v) == family(roles[name], value)]
    if alone and len(kin) == 1 and roles[name] != "generic" and rng.random() < 0.5:
        return name, value.instead_of, rng.choice(book["corrected_after"]).format(v=value.surface)
    first = _without_its_end(value) if rng.random() < 0.5 else value.instead_of
    return name, rng.choice(book["corrected"]).format(a=first, b=value.surface), ""


def family(role: str, value: Value) -> str:
    """What an argument could be taken for after the request: a time, a place, a person, a number."""
    return next(
        (kind for kind, roles in _FAMILIES.items() if role in roles),
        "number" if is_number(value.json) else pool_of(role),
    )


def _is_one(value: Value) -> bool:
    return (isinstance(value.json, str) or is_number(value.json)) and len(value.parts) < 2


def _without_its_end(value: Value) -> str:
    """What is taken back, without the unit that follows anyway: "20, no, 22 degrees"."""
    first, second = value.instead_of.split(), value.surface.split()
    while len(first) > 1 and len(second) > 1 and first[-1] == second[-1]:
        first, second = first[:-1], second[:-1]
    return " ".join(first)
