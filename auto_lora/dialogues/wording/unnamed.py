"""Arguments whose names are no nouns: "with a tail of 50" is nothing anybody says, "the last 50 lines" is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from auto_lora.dialogues.definitions.phrasebook import words_of
from auto_lora.dialogues.values.compounding import is_how_often
from auto_lora.dialogues.values.naming import is_number
from auto_lora.dialogues.values.surfaces import Value
from auto_lora.dialogues.wording.told_forms import described

_LENGTH = re.compile(r"(?:\d+ ?|(?:[a-z]+ )+)(?:[smhdw]|secs?|mins?|(?:second|minute|hour|day|week|month)s?)")


def unnamed(name: str, value: Value, schema: Any) -> list[str]:
    """The ways to say such an argument; empty for any other."""
    words, text = words_of(name), value.surface
    if words in (["since"], ["from"]) and _LENGTH.fullmatch(text):
        span = re.sub(r"^(?:an?|one) ", "", text)
        return [f"from the last {span}", f"for the last {span}", f"since {text} ago"]
    if (
        words in (["head"], ["tail"])
        and is_number(value.json)
        and re.search(r"\blines?\b", described(schema))
    ):
        end = "first" if words == ["head"] else "last"
        lines = f"{end} one" if value.json == 1 else f"{end} {text} lines"
        return [f"just the {lines}", f"showing the {lines}"]
    if words in (["last", "n"], ["last"], ["n", "last"]) and is_number(value.json):
        return [f"the last {text}", f"just the last {text}", f"only the last {text}"]
    if words in (["per", "page"], ["page", "size"]) and is_number(value.json):
        return [f"{text} per page", f"with {text} per page"]
    if is_number(value.json) and is_how_often(text):
        return [f"compounded {text}"]
    return []


def sorting(value: Value, left: dict[str, Value], roles: Mapping[str, str]) -> str:
    """Which way something is sorted, after what it is sorted by where that is left to say, too: "sorted by revenue, highest first"; "" of what is no such way, and has none."""
    kin = [n for n in left if roles[n] == "sort" and _is_way(left[n]) != _is_way(value)]
    if not kin:
        alone = value.surface if value.surface.endswith("first") else f"in {value.surface} order"
        return alone if _is_way(value) else ""
    way, key = (value, left.pop(kin[0])) if _is_way(value) else (left.pop(kin[0]), value)
    first = "," if way.surface.endswith("first") else ""
    return f"sorted by {key.surface}{first} {way.surface}"


def _is_way(value: Value) -> bool:
    return str(value.json).lower() in ("asc", "desc", "ascending", "descending")
