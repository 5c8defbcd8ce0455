"""Kinds that stand before their noun: "a thriller movie directed by Nolan", "electric cars", "an apartment in Riga"."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from auto_lora.catalog import ToolDefinition
from auto_lora.dialogues.definitions.frames import Frame, parse
from auto_lora.dialogues.definitions.phrasebook import phrases, stem, words_of
from auto_lora.dialogues.definitions.roles import roles_of
from auto_lora.dialogues.definitions.topics import Topic
from auto_lora.dialogues.values.english import plural, singular
from auto_lora.dialogues.values.surfaces import Value, plain

# The nearer to the noun, the later: "cheap vegan italian recipes".
_ORDER = ("generic", "diet", "category", "type", "kind", "cuisine", "genre")
_WORDS = re.compile(
    r"(?!(?:something|by|in|of|any|all|other|none|both|mixed)\b)[^\W\d_]{3,}(?:[ -][^\W\d_]{2,})?"
)
_CLASSES = ("first", "second", "third")
_FULL = 2  # kinds before one noun, at most
_BEFORE = 0.8


@cache
def _listed(kind: str) -> frozenset[str]:
    return frozenset(phrases("kinds")[kind].split())


def is_kind(name: str, role: str, schema: Any, noun: str) -> bool:
    """Whether an argument says of what kind the thing is that a noun names: the fuel type of a car, not the room type of a hotel."""
    if role not in _ORDER or not isinstance(schema, Mapping) or schema.get("type", "string") != "string":
        return False
    *of, last = words_of(name) or [""]
    if last not in _listed("ends") or (role == "generic" and "enum" not in schema):
        return False
    return all(w in _listed("named") or stem(w) == stem(noun) for w in of)


def adjective(value: Value) -> str:
    """The words of a kind as they stand before a noun; "" where none can: "sci-fi", never "something funny"."""
    if value.json in _CLASSES:  # "a first train"
        return f"{value.json}-class"
    for words in (value.surface, plain(value.json).lower()):
        if _WORDS.fullmatch(words) and not re.search(r"[^su]s$", words.replace("sports", "")):
            return words
    return ""


def _is_whole(kind: str, noun: str) -> bool:
    """Whether a kind says the noun as well: an apartment, no apartment home; of therapists a psychologist."""
    person = noun in _listed("persons") and re.search(r"(?:ist|or|er|ian)$", kind) is not None
    return person or kind.lower() in _listed("themselves")


def before_noun(
    rng: random.Random,
    words: str,
    left: dict[str, Value],
    roles: Mapping[str, str],
    tool: ToolDefinition,
    *,
    single: bool,
) -> str:
    """What is sought with its kinds before it, which are gone from `left` then: "a hybrid car"; "" where it is said otherwise.

    Args:
        single: one of several may be asked for; else all are.
    """
    found = re.fullmatch(r"(?:(an?|the|some|any) )?((?:[a-z]+ )?)([a-z]+)", words)
    if found is None or rng.random() > _BEFORE:
        return ""
    det, front, noun = found[1], found[2], found[3]
    many = noun.endswith("s") and not noun.endswith("ss")
    if not many and det is None:
        return ""
    one = singular(noun)
    able = [n for n, v in left.items() if is_kind(n, roles[n], tool.properties.get(n), one) and adjective(v)]
    able = sorted(able, key=lambda n: _ORDER.index(roles[n]))[-_FULL:]
    if not able:
        return ""
    said = [adjective(left.pop(n)) for n in able]
    itself = next((w for w in said if _is_whole(w, one)), "")
    if itself and (one in _listed("any") or one in _listed("persons") or rng.random() < 0.8):
        front, noun, one = "", plural(itself), itself
        said.remove(itself)
    before = " ".join([*said, front]).strip()
    if det in ("a", "an") or (single and rng.random() < 0.5):
        return f"a {before} {one}".replace("  ", " ")
    return f"{'' if many else 'the '}{before} {noun}".replace("  ", " ").strip()


def with_kinds(frame: Frame, tool: ToolDefinition, topic: Topic) -> Frame:
    """The frame of a topic with places for kinds before the topic's noun: "find me a [{cuisine} ]restaurant"."""
    roles = roles_of(tool)
    nouns = {w for n in topic.nouns if " " not in n for w in (n, singular(n), plural(singular(n)))}
    for name, role in roles.items():
        if role == "generic" or role in frame.named or f"{{{role}}}" in frame.text:
            continue
        able = [n for n in nouns if is_kind(name, role, tool.properties[name], singular(n))]
        if not able or sum(r == role for r in roles.values()) > 1:
            continue
        words = "|".join(map(re.escape, sorted(able, key=len, reverse=True)))
        placed = re.sub(
            rf"(?<![{{+'\w-])((?:a|an|any|some|me|us|find|what|which|for|good) )({words})\b(?![}}'-])",
            rf"\1[{{{role}}} ]\2",
            frame.text,
            count=1,
        )
        if placed != frame.text:
            frame = _as(frame, placed)
    return frame


def _as(frame: Frame, text: str) -> Frame:
    made = parse(text, frame.name)
    return Frame(made.name, made.text, made.parts, frame.says, frame.means)
