"""An argument in a sentence of its own: "I'm in Riga. What's the weather?", "Find me a film. It should be a thriller."."""

from __future__ import annotations

import random
import re
from typing import Any

from auto_lora.dialogues.definitions.phrasebook import phrases
from auto_lora.dialogues.values.naming import ENDS_IN_PREPOSITION, is_number
from auto_lora.dialogues.values.surfaces import Value

# They have no words of their own outside the request, or end where nobody can tell.
_NEVER = frozenset(
    "boolean object state action message note text query kind position spatial here delivery rating_unit rating_max owner count weather warmth frequency daypart party".split()
)


def has_aside(role: str, name: str, value: Value, *, before: bool) -> bool:
    """Whether an argument may be said in a sentence before or after the request."""
    return role not in _NEVER and bool(_forms(role, name.split(), value, before=before))


def aside(rng: random.Random, role: str, name: str, value: Value, *, before: bool) -> str:
    """The sentence, without capital and full stop.

    Args:
        name: the parameter's name as it is said.
    """
    form = rng.choice(_forms(role, name.split(), value, before=before))
    return form.format(v=value.surface, name=name, a="are" if isinstance(value.json, list) else "is")


def _forms(role: str, name: list[str], value: Value, *, before: bool) -> list[str]:
    """Those of its role; else those for any argument whose name can be said."""
    side = "before" if before else "after"
    book: dict[str, Any] = phrases("asides")
    if role in book:
        own: list[str] = book[role].get(side, [])
        return own
    if (
        name[:1] == ["every"]
        or name in (["to"], ["avoid"], ["exclude"], ["include"], ["repeat"])
        or not 0 < len(name) < 4
        or any(len(w) == 1 and not w.isalpha() for w in name)
    ):
        return []
    if name[-1] in ENDS_IN_PREPOSITION:
        verbal = len(name) > 1 and name[-2].endswith(("ed", "ing"))
        leaning: list[str] = book["leaning"][side]
        return leaning if verbal else []  # "it should be directed by Ann Lee"
    number = is_number(value.json)
    if number and re.search(r"[^s]s$", name[-1]):
        return []  # "the years is 35 years"
    general: list[str] = book["number" if number else "general"][side]
    return general
