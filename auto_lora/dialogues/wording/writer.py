"""The built-in writer: words for planned calls, from the phrasebook.

A prompt is a frame ("do I need an umbrella [{+place}] [{+date}]") with the arguments' words in its slots, those it does not
name at the end, and around it openers, reasons, closers, casing and typos as people type them.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from auto_lora.catalog import ToolDefinition
from auto_lora.dialogues.definitions.frames import Frame, parse
from auto_lora.dialogues.definitions.meaning import verb_act
from auto_lora.dialogues.definitions.phrasebook import phrases, slots_for
from auto_lora.dialogues.definitions.roles import roles_of
from auto_lora.dialogues.values.pools import Pools
from auto_lora.dialogues.wording.chooser import FrameChooser
from auto_lora.dialogues.wording.clause import Clause, is_question
from auto_lora.dialogues.wording.planned import PlannedCall, Written
from auto_lora.dialogues.wording.several import gathered, may_follow
from auto_lora.dialogues.wording.style import Style
from auto_lora.dialogues.wording.surroundings import Surroundings

_ONE_BY_ONE = 0.15  # of several calls of one tool, where each has more than one argument


class BuiltinWriter:
    """Writes prompts without a model.

    Args:
        rng: the source of all choices.
        split: whose frames may be used.
        style: how people type; default: the phrasebook's own way.
        tools: the whole list.
    """

    name = "builtin"

    def __init__(
        self, rng: random.Random, split: str, style: Style | None = None, tools: Sequence[ToolDefinition] = ()
    ) -> None:
        self.random, self.style = rng, style
        self.chooser = FrameChooser(rng, split, tools)
        self.surroundings = Surroundings(rng, Pools(rng), style)

    def write(
        self, calls: Sequence[PlannedCall], *, chain: bool = False, named: bool = True
    ) -> Written | None:
        """A prompt that asks for `calls` in order; None when no frame of this split fits.

        Args:
            named: the assistant may be called by a name at the end.
        """
        wanted, best = 0, self._joined(calls, chain)
        if self.style:  # of some wordings the one that is nearest to the length of one of the user's prompts
            wanted = self.random.choice(self.style.lengths)
            free = [replace(call, frame=None) for call in calls]
            others = [self._joined(free, chain) for _ in range(5)]
            found = [w for w in [best, *others] if w is not None]
            best = min(found, key=lambda w: abs(len(w.text.split()) - wanted), default=None)
        if best is None:
            return None
        said = [(roles_of(c.tool)[n], v.surface) for c in calls for n, v in c.shown().items() if v.surface]
        text = self.surroundings.around(
            best.text, question=is_question(best.text), wanted=wanted, said=said, named=named
        )
        return Written(text.lower() if all(c.casual for c in calls) else text, best.shape)

    def deed(self, call: PlannedCall) -> str:
        """A request as a deed, its verb first: "turn the lights off"; "" where no sentence for it is of this form."""
        roles = roles_of(call.tool)
        usable = [
            (f, w)
            for f, w in self.chooser.usable(call.tool, {roles[n] for n in call.shown()})
            if _means(f, call)
        ]
        able = [(f, w) for f, w in usable if f.text.startswith("{verb}") or _is_deed(f.text)]
        if not able:
            return ""
        frame = self.random.choices(*zip(*able, strict=True))[0]  # type: ignore[arg-type]
        made = Clause(self.random, call, frame).text() or ""
        return made if _is_deed(made) else ""

    def _joined(self, calls: Sequence[PlannedCall], chain: bool) -> Written | None:
        """One clause a call, with joiners; several calls of one tool now and then in one breath."""
        several = len(calls) > 1 and not chain  # what an earlier result gives has no words to gather
        together = gathered(calls) if several and self.random.random() < 0.8 else None
        if together:
            call, in_turn = together
            made = self._clause(call)
            return replace(made, text=f"{made.text} respectively") if made and in_turn else made
        one_by_one = self._one_by_one(calls) if several and self.random.random() < _ONE_BY_ONE else None
        if one_by_one:
            return one_by_one
        made = self._clause(calls[0], alone=len(calls) == 1)
        if made is None:
            return None
        text, shape = made.text, made.shape
        for before, call in pairwise(calls):
            if not chain and may_follow(call, before) and self.random.random() < 0.5:
                text += self.random.choice(phrases("around")["again"]) + self._bare(call)
                continue
            made = self._clause(call)
            if made is None:
                return None
            joiner = self.random.choice(phrases("around")["chain_joiners" if chain else "joiners"])
            text += joiner + (made.text[0].upper() + made.text[1:] if joiner.endswith(". ") else made.text)
            shape += f"+{made.shape}"
        return Written(text, shape)

    def _one_by_one(self, calls: Sequence[PlannedCall]) -> Written | None:
        """What is asked, then each call's arguments: "compute the area of a triangle: the first with a base of 5 and ..., the second ..."."""
        tool = calls[0].tool
        frames = self.chooser.usable(tool, set())
        if not frames or not all(may_follow(b, a) for a, b in pairwise(calls)):
            return None
        long_enough = [w for w in phrases("around")["one_by_one"] if len(w) >= len(calls)]
        if not long_enough or any(len(c.shown()) < 2 for c in calls):
            return None
        asked = self._clause(
            replace(calls[0], values={}, frame=self.random.choices(*zip(*frames, strict=True))[0])
        )  # type: ignore[arg-type]
        if asked is None:
            return None
        words = self.random.choice(long_enough)
        parts = [before + self._bare(call) for before, call in zip(words, calls, strict=False)]
        return Written(asked.text + "".join(parts), f"{asked.shape}+")

    def _bare(self, call: PlannedCall) -> str:
        """A call's arguments alone, as after a sentence for another call of its tool."""
        return Clause(self.random, call, parse("{tail}")).text() or ""

    def _clause(self, call: PlannedCall, *, alone: bool = False) -> Written | None:
        for frame in self._frames_of(call):
            text = Clause(self.random, call, frame, alone=alone).text()
            if text is not None:
                return Written(text, frame.name)
        return None

    def _frames_of(self, call: PlannedCall) -> list[Frame]:
        """The planned frame first; else frames that leave few arguments over."""
        roles = roles_of(call.tool)
        shown = {roles[n] for n in call.shown()}
        usable = [(f, w) for f, w in self.chooser.usable(call.tool, shown) if _means(f, call)]
        picked = [call.frame] if call.frame is not None else []
        if usable:
            weights = [
                w * 0.3 ** sum(not slots_for(r) & f.named and r != "boolean" for r in shown)
                for f, w in usable
            ]
            picked += self.random.choices([f for f, _ in usable], weights, k=3)
        return picked


def _means(frame: Frame, call: PlannedCall) -> bool:
    """Whether what the whole sentence says is in the call."""
    return all(n in call.values and call.values[n].json == v for n, v in frame.means.items())


def _is_deed(text: str) -> bool:
    """Whether a sentence begins with a verb and is one clause: not "timer, 20 minutes"."""
    return verb_act(text.partition(" ")[0].lower()) not in ("", "remind") and not re.search(
        r"[.,?!:;]|\bme\b", text
    )
