"""The frames of a tool whose enum says what is done, each with the value that it means."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from auto_lora.catalog import ToolDefinition
from auto_lora.dialogues.definitions.enum_deeds import (
    deed_of,
    deeds_named,
    family_of,
    is_main,
    managed_by,
    sentences,
    words_for,
)
from auto_lora.dialogues.definitions.frames import Frame
from auto_lora.dialogues.definitions.phrasebook import words_of
from auto_lora.dialogues.definitions.roles import roles_of

_OWN = 3.0  # to one sentence with the enum's own verb
_NO_VERB = frozenset("next previous louder quieter checkout".split())  # nobody says "previous the music"
# Words of values that stand in sentences for others too: "on my list", "is an alarm set".
_ANYWHERE = frozenset("list set add check show get view read start play".split())


def by_value(
    tool: ToolDefinition,
    split: str,
    frames: Sequence[tuple[Frame, float]],
    usable: Callable[[list[Frame]], list[Frame]],
    *,
    alone: bool,
) -> list[tuple[Frame, float]]:
    """Frames for each of the enum's values, as many for one as for another.

    Args:
        frames: those with the enum's own verbs, with weights.
        usable: leaves out sentences that would say something else of this tool.
        alone: no other tool manages the same, so that sentences need not say what is done by its verb.
    """
    name, family = managed_by(tool), family_of(tool)
    values = deeds_named(tool)
    asked = family.asked if family is not None and any(map(is_main, roles_of(tool).values())) else ""
    found: list[tuple[Frame, float]] = []
    for value in values:
        deed = deed_of(value)
        plain = [(f, w) for f, w in frames if not asked or _fits(f, deed, asked)] or list(frames)
        own = usable(sentences(tool, value, split)) if alone or deed in _NO_VERB else []
        own = [f for f in own if not _says_other(f, value, values)]
        if own and deed in _NO_VERB:
            plain = []
        share = min(_OWN, 0.5 * len(own))
        whole = sum(w for _, w in plain) or 1.0
        for frame, weight in [*((f, share / len(own)) for f in own), *((f, w / whole) for f, w in plain)]:
            found.append((replace(frame, means={name: value}), weight / (share + 1.0)))
    return found


def _fits(frame: Frame, deed: str, asked: str) -> bool:
    """Whether such a thing is asked for this way: something is added to a list, all of it is shown, an alarm is set."""
    if asked != "what it holds":
        return asked == "by name" or deed == "play" or "main" not in frame.named
    if deed in ("add", "remove", "done"):
        return "main" in frame.named
    return "main" not in frame.named if deed in ("show", "clear", "checkout") else True


def _says_other(frame: Frame, value: str, values: Sequence[str]) -> bool:
    """Whether a sentence has the word of another of the values: "turn off" where one may also disable."""
    said = {*words_of(re.sub(r"\{[^}]*\}", " ", frame.text))}
    mine = {*words_of(value), *words_for(deed_of(value))}
    others = {w for v in values if v != value for w in (*words_of(v)[:1], *words_for(deed_of(v)))} - mine
    return bool(said & others - _ANYWHERE)
