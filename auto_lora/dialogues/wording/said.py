"""Words of a sentence that are an argument where a tool has one for them: "my playlist", "play a song by Abba"."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from auto_lora.catalog import ToolDefinition
from auto_lora.dialogues.definitions.frames import Frame, parse
from auto_lora.dialogues.definitions.roles import kinds_named, roles_of
from auto_lora.dialogues.wording.phrased import BESIDE

# Role to (what stands there, what it becomes).
_SAID_BY_FRAMES = {
    "owner": (r"\bmy (?=playlist\b|list\b|\{playlist\}|\{list\})", "{owner} "),
    "position": (r"\bthis (?=\{kind\})", "{position} "),
    "delivery": (
        r"(?<![{+])\b(?:takeaway|takeout|to go|pick up|to take away|delivery)\b(?! order)",
        "{delivery}",
    ),
}
# What is said of a kind beside its name: "the song Waterloo". Of any other head, whatever its definition names.
_KINDS_OF = {"song": ("song", "track", "tune", "single"), "album": ("album", "record"), "movie": ("movie", "film"), "book": ("book", "novel", "textbook")}  # fmt: skip


def with_slots(frame: Frame, tool: ToolDefinition) -> Frame:
    """The frame with slots for those of its words that are arguments of this tool."""
    text, says = frame.text, frame.says
    for role in set(roles_of(tool).values()) & _SAID_BY_FRAMES.keys():
        text = re.sub(*_SAID_BY_FRAMES[role], text)
    role, named = kinds_named(tool)
    if role and role not in frame.named:
        spelled = {n.lower(): n for n in named}
        words = "|".join(map(re.escape, sorted(named, key=len, reverse=True)))
        kind = (
            re.search(
                rf"\b(?:an?|the|this|that|another) (?:\{{\+?\w+\}} |\w+ )?({words})\b(?!['-])", text, re.I
            )
            if named
            else None
        )
        if kind:
            text, says = (
                f"{text[: kind.start(1)]}{{{role}}}{text[kind.end(1) :]}",
                {**says, role: spelled[kind[1].lower()]},
            )
    return frame if text == frame.text else replace(parse(text, frame.name), says=says)


def kind_beside(tool: ToolDefinition, given: Iterable[str], kind: str) -> str:
    """The kind that fits what it stands beside: "the album Waterloo" is no song; "" where the definition names none that does.

    Args:
        given: roles of the arguments.
        kind: the one that was drawn.
    """
    role, named = kinds_named(tool)
    heads = [r for r in given if role in BESIDE.get(r, ((), ()))[0]]
    if len(heads) > 1:  # of which?
        return ""
    fitting = [w for r in heads for w in _KINDS_OF.get(r, ())]
    if not fitting or kind.lower() in fitting:
        return kind
    return next((n for n in named if n.lower() in fitting), "")
