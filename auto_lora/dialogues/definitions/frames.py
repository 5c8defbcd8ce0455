"""The grammar of the phrasebook: one line stands for many sentences.

    {place}        the words of an argument with that role
    {+place}       the same with the preposition that fits: "in Paris"
    [...]          with a slot inside: there exactly when that argument is given; without: half of the time
    (a|b|)         one of these

Brackets nest. A frame fits when every slot outside brackets is given. Arguments that it does not name follow at
the end, or where {tail} stands.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property

_SLOT = re.compile(r"\{(\+?)([a-z_]+)\}")


@dataclass(frozen=True)
class Slot:
    role: str
    phrase: bool


@dataclass(frozen=True)
class Bracket:
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Choice:
    branches: tuple[tuple[Part, ...], ...]


Part = str | Slot | Bracket | Choice  # type: ignore[misc]


@dataclass(frozen=True)
class Frame:
    """A parsed line; `name` is stable, for telling the splits apart; `says`: words that it has for a slot of its own.

    `means`: arguments, by name, with the values that the whole sentence gives.
    """

    name: str
    text: str
    parts: tuple[Part, ...]
    says: Mapping[str, str] = field(default_factory=dict, hash=False)
    means: Mapping[str, str] = field(default_factory=dict, hash=False)

    @cached_property
    def needed(self) -> frozenset[str]:
        """Roles that must be given."""
        return frozenset(s.role for s in _slots(self.parts, inside=False))

    @cached_property
    def named(self) -> frozenset[str]:
        """All roles that the frame has a place for."""
        return frozenset(s.role for s in _slots(self.parts, inside=True))


@cache
def parse(text: str, name: str = "") -> Frame:
    """Reads one line of the phrasebook.

    Raises:
        ValueError: brackets that do not match, or alternatives outside parentheses.
    """
    parts, at = _sequence(text, 0, "")
    if at != len(text):
        raise ValueError(f"{text!r}: unmatched {text[at]!r} at {at}")
    return Frame(name or text, text, parts)


def _sequence(text: str, at: int, until: str) -> tuple[tuple[Part, ...], int]:
    parts: list[Part] = []
    while at < len(text) and text[at] not in (until or "])"):
        if text[at] in "])|":
            raise ValueError(f"{text!r}: unexpected {text[at]!r} at {at}")
        if text[at] == "[":
            inner, at = _sequence(text, at + 1, "]")
            at = _expect(text, at, "]")
            parts.append(Bracket(inner))
        elif text[at] == "(":
            branches = []
            while True:
                inner, at = _sequence(text, at + 1, "|)")
                branches.append(inner)
                if at >= len(text) or text[at] == ")":
                    break
            at = _expect(text, at, ")")
            parts.append(Choice(tuple(branches)))
        elif text[at] == "{":
            found = _SLOT.match(text, at)
            if not found:
                raise ValueError(f"{text!r}: no slot at {at}")
            parts.append(Slot(found[2], bool(found[1])))
            at = found.end()
        else:
            end = at
            while end < len(text) and text[end] not in "[](){}|":
                end += 1
            if end == at:
                raise ValueError(f"{text!r}: unexpected {text[at]!r} at {at}")
            parts.append(text[at:end])
            at = end
    return tuple(parts), at


def _expect(text: str, at: int, char: str) -> int:
    if at >= len(text) or text[at] != char:
        raise ValueError(f"{text!r}: {char!r} is missing")
    return at + 1


def _slots(parts: tuple[Part, ...], *, inside: bool) -> Iterator[Slot]:
    for part in parts:
        if isinstance(part, Slot):
            yield part
        elif isinstance(part, Choice):
            for branch in part.branches:
                yield from _slots(branch, inside=inside)
        elif isinstance(part, Bracket) and inside:
            yield from _slots(part.parts, inside=inside)


# Gives the words for a slot, or None when no argument of that role is left.
Filler = Callable[[Slot], str | None]


def fill(frame: Frame, has: Callable[[str], bool], words: Filler, rng: random.Random) -> str | None:
    """The sentence for a frame; None when a slot outside brackets has no argument.

    Args:
        has: whether an argument of a role is left.
        words: takes it.
    """
    return _fill(frame.parts, has, words, rng)


def _fill(
    parts: tuple[Part, ...], has: Callable[[str], bool], words: Filler, rng: random.Random
) -> str | None:
    out = []
    for part in parts:
        text: str | None
        if isinstance(part, str):
            text = part
        elif isinstance(part, Slot):
            text = words(part)
        elif isinstance(part, Choice):
            text = _fill(rng.choice(part.branches), has, words, rng)
        else:
            slots = list(_slots(part.parts, inside=False))
            wanted = all(has(s.role) for s in slots) if slots else rng.random() < 0.5
            text = _fill(part.parts, has, words, rng) if wanted else ""
            if text is None:  # two slots of one role, one argument
                text = ""
        if text is None:
            return None
        out.append(text)
    return "".join(out)
