"""What a definition tells by a single value in quotes, "e.g. 'C#'" or "Default is 'general information'", or by a list in brackets."""

from __future__ import annotations

import re
from collections.abc import Sequence

from auto_lora.dialogues.definitions.phrasebook import UNSAID, phrases, stem, words_of

_ONE = re.compile(
    r"(?:\be\.g\.?,?|\bsuch as|\blike|\bfor example,?|\bexamples?:?|\bex\.|\bdefaults?(?: value)?(?: is| to|s to|:|=)?)\s*\(?(['\"`])([^'\"`]{2,40})\1",
    re.I,
)
_MUSIC = re.compile(
    r"\b(?:chords?|music\w*|tonic|octaves?|melod\w+|notes of (?:an? |the )?[\w ]*scale)(?![a-z])", re.I
)
_NOTE = re.compile(
    r"\b(?:root|tonic|key) note\b|\bnote of (?:the |a )?(?:scale|chord)|\bmusical note\b", re.I
)
_IN_BRACKETS = re.compile(r"\[\s*['\"`][^'\"`\]]+['\"`]\s*(?:,[^\]]*)?\]")
# Anybody makes up names of their own.
_MADE_UP = frozenset("name title label id key code text content message note query subject".split())


def is_note(name: str, about: str, tool_words: str) -> bool:
    """Whether a text is a note of music by its letter: the root of a chord, the tonic of a scale."""
    words, spoken = words_of(name), tool_words.replace("_", " ")
    named = {"root", "tonic"} & set(words) or (
        words[-1:] == ["note"] and re.search(r"['\"`][A-G][#b]?['\"`]", about)
    )
    return bool(named or _NOTE.search(about)) and _MUSIC.search(f"{about} {spoken}") is not None


def only_example(name: str, about: str) -> str:
    """The one value in quotes that a definition shows; "" of names, which people make up, and where it shows none or several."""
    found = {m[2] for m in _ONE.finditer(about) if m[2] not in UNSAID}
    quoted = re.findall(r"(['\"`])[^'\"`]{2,40}\1", about)
    one = len(found) == 1 == len(quoted) and not _MADE_UP.intersection(words_of(name))
    one = one and not re.search(r"\bnames?\b", about, re.I)
    return found.pop() if one else ""


def is_foreign(pool: str, about: str, given: Sequence[str]) -> bool:
    """Whether a pool has none of the items that a definition lists in brackets: no "accountant" beside ['Civil', 'Divorce']."""
    values = phrases("inventories").get(pool, ())
    if not values or not given or not _IN_BRACKETS.search(about):
        return False
    return {stem(g.lower()) for g in given}.isdisjoint(stem(str(v).lower()) for v in values)
