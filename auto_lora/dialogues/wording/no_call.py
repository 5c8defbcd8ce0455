"""Requests that no tool of a list serves, and the answers in words."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from functools import cached_property

from auto_lora.catalog import ToolDefinition
from auto_lora.dialogues.definitions.frames import Frame, Slot, fill, parse
from auto_lora.dialogues.definitions.phrasebook import phrases, share_out, stem, tails_of, values_of, words_of
from auto_lora.dialogues.definitions.topics import Topic, topics
from auto_lora.dialogues.values.naming import ENDS_IN_PREPOSITION, spoken_name
from auto_lora.dialogues.wording.clause import is_question
from auto_lora.dialogues.wording.near import (
    answers_anything,
    kindred,
    near,
    near_deeds,
    near_misses,
    touches,
)
from auto_lora.dialogues.wording.planned import Written
from auto_lora.dialogues.wording.surroundings import Surroundings
from auto_lora.dialogues.wording.timely import BARE_TIMES


def ask_for(parameter: str, kind: object = "string") -> str:
    """The question for a required argument that was not given: "Which date should I use?"."""
    words = spoken_name(parameter, number=kind in ("integer", "number"))
    while words and words[-1] in ENDS_IN_PREPOSITION:
        words = words[:-1]
    while words and words[0] in ENDS_IN_PREPOSITION:
        words = words[1:]
    if not words or words[0] in ("who", "what", "where", "when"):
        return f'What should "{parameter}" be?'
    counted = kind in ("integer", "number") and words[-1].endswith("s")
    return str(phrases("no_call")["how_many" if counted else "missing"]).format(name=" ".join(words))


_NEAR = 0.2  # of all but what takes a request back


class NoCallWriter:
    """Writes prompts for which no call is right.

    Args:
        rng: the source of all choices.
        split: whose phrases may be used.
        tools: the whole list.
    """

    def __init__(
        self, rng: random.Random, split: str, tools: Sequence[ToolDefinition], surroundings: Surroundings
    ) -> None:
        self.random, self.split, self.tools, self.surroundings = rng, split, list(tools), surroundings

    def write(self, wanted: Mapping[str, float] | None = None) -> tuple[Written, str] | None:
        """A prompt that no tool serves, and the answer to it; None when the tools' words are near it.

        Chat; a request on a topic that none of the tools is about, worded like any other request; in a fifth, where there are
        such, a request beside a tool's topic (`near_misses`) or another deed on its things (`near_deeds`). `wanted` gives topics extra weight.
        """
        kind = self.random.random()
        if kind < 0.35:
            stock, answer = self.random.choice(self._chat)
            frame = parse(self.random.choice(stock))
            if self.random.random() < 0.2 and len(stock) > 1:  # people say more than one thing, here too
                second = self._filled(parse(self.random.choice(stock)))
                first = self._filled(frame)
                if first and second and first != second and not near(f"{first} {second}", self.tools):
                    return self._said(
                        f"{first}{self.random.choice(['. ', ', ', '! '])}{second}", frame.name, True
                    ), answer
        else:
            missed = [frames for frames in self._missed if frames]
            frames: Sequence[Frame] = self.random.choice(missed) if kind >= 1 - _NEAR and missed else ()
            others = [] if frames else self._far
            if others:
                weights = [1.0 + (wanted or {}).get(t.name, 0.0) for t in others]
                frames = self.random.choices(others, weights)[0].frames[self.split]
            if not frames:
                return None
            frame, answer = self.random.choice(frames), str(phrases("no_call")["uncovered"])
        prompt, shape = self._filled(frame), frame.name
        if prompt is None:
            return None
        if not shape.startswith("near_") and near(prompt, self.tools):
            return None
        return self._said(prompt, shape, kind < 0.35), answer

    def _said(self, prompt: str, shape: str, plain: bool) -> Written:
        """A prompt as people type it; `plain`: without reasons and closers."""
        style = self.surroundings.style
        # What is asked of no tool has reasons and closers as what is asked of one: else its length would tell.
        prompt = self.surroundings.around(prompt, question=is_question(prompt), plain=plain)
        lower = style.lower if style else 0.4
        return Written(prompt.lower() if self.random.random() < lower else prompt, shape)

    def wrap(self, deed: str, *, casual: bool) -> tuple[Written, str] | None:
        """A deed that nobody asks for: "don't ...", "I told you to ... yesterday"; with its answer."""
        kinds = [k for k in phrases("wrapped") if not (k == "how" and answers_anything(self.tools))]
        kind = self.random.choice(kinds)
        entry = phrases("wrapped")[kind]
        frames = share_out(entry["frames"], self.split)
        if not frames:
            return None
        frame = self.random.choice(frames)
        text = " ".join(str(self._filled(parse(frame.replace("{r}", "\x00")))).replace("\x00", deed).split())
        text = self.surroundings.around(text, question=is_question(text), plain=True)
        return Written(text.lower() if casual else text, f"wrapped/{frame}"), str(entry["answer"])

    @cached_property
    def _chat(self) -> list[tuple[list[str], str]]:
        """Groups of what people say beside requests, and their answers; none that a tool is named after ("would"), questions only where no tool may take them."""
        uncovered, asked = phrases("no_call")["uncovered"], answers_anything(self.tools)
        groups = []
        named = {stem(w) for tool in self.tools for w in words_of(tool.name)}
        for group in phrases("chat")["groups"]:
            if not named.isdisjoint(map(stem, group.get("would", ()))):
                continue
            stock = share_out(group["prompts"], self.split)
            stock = [p for p in stock if not ("{" in p and touches(p, self.tools))]
            if stock and not (asked and group["answer"] == uncovered):
                groups.append((stock, group["answer"]))
        return groups

    @cached_property
    def _far(self) -> list[Topic]:
        asked = answers_anything(
            self.tools
        )  # a web search serves "how do I cook lentils", but books no flight
        return [t for t in topics() if not kindred(t, self.tools) and not (asked and t.asks)]

    @cached_property
    def _missed(self) -> tuple[list[Frame], list[Frame]]:
        return near_misses(self.tools, self.split), near_deeds(self.tools, self.split)

    def _filled(self, frame: Frame) -> str | None:
        """A frame with made-up values and without a tool."""
        chosen = set(frame.needed) | {r for r in sorted(frame.named) if self.random.random() < 0.35}

        def words(slot: Slot) -> str:
            value = self.surroundings.pools.make(values_of(slot.role))
            form = self.random.choice(tails_of(slot.role))
            bare = not slot.phrase or BARE_TIMES.match(value) is not None
            return value if bare else form.format(v=value, name=slot.role)

        made = fill(frame, chosen.__contains__, words, self.random)
        return re.sub(r"\s+([,.;?])", r"\1", " ".join(made.split()).lstrip(" ,")) if made else None
