"""Things with what says which they are: "ticket TCK-1559", "PR 34", "the web service" for an id, a number or a name."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from typing import Any

from auto_lora.dialogues.definitions.phrasebook import words_of
from auto_lora.dialogues.values.english import plural

_ONE = re.compile(r"(?:an?|the) ((?:[\w-]+ ){0,2}[\w-]+)")


def number_of(words: str, given: Mapping[str, Any], roles: Mapping[str, str]) -> str:
    """The argument that says which thing is meant: ticket_id of "a ticket", pr_number of "a pull request"; "" where none does."""
    found = _ONE.fullmatch(words)
    thing = found[1].lower().split() if found else []
    for name in given if thing else ():
        *own, last = words_of(name) or [""]
        if roles[name] == "workload" and last == thing[-1]:
            return name
        if last in ("id", "number") and own in (thing, thing[-1:], [_initials(thing)]):
            return name
    return ""


def with_number(rng: random.Random, words: str, name: str, text: str) -> str:
    """Such a thing and its argument's words; what runs may be called by its name alone: "restart checkout-api"."""
    thing = re.sub(r"^(?:an?|the) ", "", words)
    *own, last = words_of(name)
    if re.search(r" and |, ", text):
        return f"{plural(thing)} {text}"
    if last not in ("id", "number"):
        return rng.choice([text, text, f"the {text} {last}", f"{last} {text}"])
    short = _initials(thing.split())
    noun = short.upper() if own[-1:] == [short] and rng.random() < 0.6 else thing
    return f"{noun} #{text}" if text.isdigit() and rng.random() < 0.3 else f"{noun} {text}"


def _initials(words: list[str]) -> str:
    return "".join(w[0] for w in words)
