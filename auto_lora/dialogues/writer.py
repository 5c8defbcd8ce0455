"""The built-in writer: words for planned calls, from the phrasebook.

A prompt is a frame ("can you set {object} {tail}"), the object and a phrase for each argument in
random order, and around it openers, reasons, closers, casing and typos as people type them.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from auto_lora.catalog import ToolDefinition
from auto_lora.dialogues.phrasebook import (
    MAIN_ROLES,
    frames_of,
    is_state,
    objects_of,
    phrases,
    role_of,
    share_out,
    tool_act,
    words_of,
)
from auto_lora.dialogues.values import Value


@dataclass(frozen=True)
class PlannedCall:
    """A tool and its arguments with their surfaces, in schema order.

    `hidden` are arguments whose value comes from an earlier result, so no words give it.
    """

    tool: ToolDefinition
    values: dict[str, Value]
    hidden: frozenset[str] = frozenset()

    def arguments(self) -> dict[str, object]:
        return self.tool.order_arguments({name: value.json for name, value in self.values.items()})


@dataclass(frozen=True)
class Written:
    """A prompt and the shape it was made after (frame ids joined by `+`)."""

    text: str
    shape: str


class BuiltinWriter:
    """Writes prompts without a model.

    Args:
        rng: the source of all choices.
        split: whose frames may be used.
    """

    name = "builtin"

    def __init__(self, rng: random.Random, split: str) -> None:
        self.random = rng
        self.split = split

    def write(self, calls: Sequence[PlannedCall], *, chain: bool = False) -> Written | None:
        """A prompt that asks for `calls` in order; None when no frame of this split fits."""
        parts = [self._clause(call) for call in calls]
        if any(part is None for part in parts):
            return None
        texts = [part.text for part in parts if part]
        shape = "+".join(part.shape for part in parts if part)
        text = texts[0]
        for following in texts[1:]:
            joiner = self.random.choice(phrases("around")["chain_joiners" if chain else "joiners"])
            text += joiner + (following[0].upper() + following[1:] if joiner.endswith(". ") else following)
        return Written(self._around(text, question=_is_question(texts[0])), shape)

    def no_call(self, tools: Sequence[ToolDefinition]) -> tuple[Written, str] | None:
        """A prompt that no tool serves, and the answer to it; None when the tools' words are near it."""
        book = phrases("no_call")
        kind = self.random.choices(["small_talk", "feelings", "knowledge", "uncovered"], [3, 2, 2, 4])[0]
        if kind == "uncovered":
            request = self.random.choice(share_out(book["uncovered"]["requests"], self.split))
            frame = self.random.choice(share_out(book["uncovered"]["frames"], self.split))
            answer = book["uncovered"]["answer"].format(x=_second_person(request))
            prompt, shape = frame.format(x=request), f"uncovered/{frame}/{request}"
        else:
            family = self.random.choice(book[kind])
            prompt = shape = self.random.choice(share_out(family["prompts"], self.split))
            answer = family["answer"]
            facts = self._facts(book["facts"])
            prompt, answer = prompt.format(**facts), answer.format(**facts)
        if _shares_words(prompt, tools):
            return None
        return Written(
            self._around(prompt, question=_is_question(prompt), plain=kind != "uncovered"), shape
        ), answer

    def _facts(self, facts: dict[str, Any]) -> dict[str, str]:
        country, capital = self.random.choice(share_out(facts["country_capital"], self.split))
        book, author = self.random.choice(share_out(facts["book_author"], self.split))
        thing, meaning = self.random.choice(share_out(facts["thing_meaning"], self.split))
        word = self.random.choice(share_out(facts["word"], self.split))
        return {
            "country": country, "capital": capital, "book": book, "author": author,
            "thing": thing, "meaning": meaning, "word": word,
        }  # fmt: skip

    def ask_for(self, parameter: str) -> str:
        """The question for a required argument that was not given."""
        return str(phrases("no_call")["missing"]).format(name=" ".join(words_of(parameter)))

    def _clause(self, call: PlannedCall) -> Written | None:
        act, verb = tool_act(call.tool)
        objects = objects_of(call.tool.name, call.tool.description)
        shown = {n: v for n, v in call.values.items() if n not in call.hidden}
        state = next((n for n in shown if is_state(call.tool.properties.get(n, {}))), None)
        main = self._main(act, shown, call.tool)
        if state and self.random.random() < 0.95:
            act = "switch"
        elif act == "switch":
            act = "set"
        frames = [f for f in frames_of(act, self.split) if self._usable(f[1], state, main)]
        if not frames:
            act = "any"
            frames = list(frames_of("any", self.split))
        if not frames:
            return None
        shape, frame = self.random.choice(frames)
        slots = {"object": self.random.choice(objects), "verb": verb}
        used = set()
        if "{main}" in frame and main:
            slots["main"], used = shown[main].surface, {main}
        if "{state}" in frame and state:
            slots["state"] = shown[state].surface
            used.add(state)
        tail = [self._phrase(n, v, call.tool) for n, v in shown.items() if n not in used]
        self.random.shuffle(tail)
        if call.hidden:
            kind = "person" if _is_person(call) else "thing"
            tail.insert(0, self.random.choice(phrases("around")["links"][kind]))
        slots["tail"] = " ".join(tail)
        text = " ".join(_typos(frame, self.random).format(**slots).split())
        return Written(re.sub(r"\s+([,.;?])", r"\1", text), shape)

    def _usable(self, frame: str, state: str | None, main: str | None) -> bool:
        return ("{state}" not in frame or bool(state)) and ("{main}" not in frame or bool(main))

    def _main(self, act: str, shown: dict[str, Value], tool: ToolDefinition) -> str | None:
        """The argument that stands right after the verb, where the act takes one."""
        for role in MAIN_ROLES.get(act, ()):
            for name, value in shown.items():
                if (
                    value.role == role
                    and isinstance(value.json, (str, int, float))
                    and (name in tool.required or role != "generic")
                ):
                    return name
        return None

    def _phrase(self, name: str, value: Value, tool: ToolDefinition) -> str:
        """An argument's words: "in the kitchen", "at 7 pm", "priority high"."""
        if value.role == "boolean":
            return value.surface
        spoken = " ".join(words_of(name))
        if value.role == "generic_enum":
            return self.random.choice(
                ["with {name} {v}", "{name} {v}", "with {v} {name}", "{v} {name}"]
            ).format(name=spoken, v=value.surface)
        table = phrases("roles")
        many = sum(v.role == value.role for v in self._roles(tool)) > 1
        forms = table["generic"] if many or value.role not in table else table[value.role]
        return self.random.choice(forms).format(v=value.surface, name=spoken)

    def _roles(self, tool: ToolDefinition) -> list[Value]:
        """The roles of all of a tool's parameters: two alike need their names said."""
        return [
            Value(None, "", role_of(n, str(s.get("description", "")), str(s.get("type", "string"))))
            for n, s in tool.properties.items()
            if isinstance(s, dict) and not s.get("enum")
        ]

    def _around(self, text: str, *, question: bool, plain: bool = False) -> str:
        book, chance = phrases("around"), self.random.random
        if not plain and chance() < 0.12:
            text = self.random.choice(book["reasons"]) + text
        elif chance() < (0.1 if plain else 0.25):
            text = self.random.choice(book["openers"]) + text
        asks = "please" in text.split()
        if not plain and not asks and not question and chance() < 0.2:
            text += self.random.choice(book["closers"])
        style = chance()
        if style < 0.35:
            return text
        if style < 0.45:
            return text.lower() if '"' not in text else text
        end = "?" if question else self.random.choice([".", "", "!"] if style < 0.9 else [".", ""])
        return text[0].upper() + text[1:] + (end if text[-1] not in ".!?" else "")


def _is_question(text: str) -> bool:
    first = text.split()[0].lower().rstrip(",")
    return first in {
        "what",
        "what's",
        "can",
        "could",
        "would",
        "do",
        "does",
        "how",
        "where",
        "which",
        "who",
        "is",
        "any",
        "when",
        "why",
        "are",
    }


def _is_person(call: PlannedCall) -> bool:
    hidden = " ".join(words_of(" ".join(call.hidden)))
    return any(
        w in hidden
        for w in ("contact", "user", "person", "customer", "employee", "recipient", "patient", "member")
    )


def _second_person(request: str) -> str:
    return re.sub(r"\bme\b", "you", re.sub(r"\bmy\b", "your", request))


def _typos(frame: str, rng: random.Random) -> str:
    """Swaps two letters of one word of the frame, now and then; never inside a slot."""
    words = frame.split()
    long = [i for i, w in enumerate(words) if len(w) > 4 and "{" not in w and w.isalpha()]
    if not long or rng.random() > 0.04:
        return frame
    i = rng.choice(long)
    at = rng.randrange(1, len(words[i]) - 2)
    w = words[i]
    words[i] = w[:at] + w[at + 1] + w[at] + w[at + 2 :]
    return " ".join(words)


_COMMON = set(
    "a an the of for to in on at by with from and or is it its this that what which who how do does you your my me i can could would please "
    "set get make use tool name text one any all some new be are was not if as into about up out off time day number value type".split()
)


def _shares_words(prompt: str, tools: Sequence[ToolDefinition]) -> bool:
    """Whether a prompt speaks of what some tool is about: then it may not be a no-call."""
    spoken = {_stem(w) for w in re.findall(r"[a-z]+", prompt.lower())} - _COMMON
    for tool in tools:
        about = [*words_of(tool.name), *re.findall(r"[a-z]+", tool.description.lower())]
        about += [w for name in tool.properties for w in words_of(name)]
        if spoken & ({_stem(w) for w in about if len(w) > 2} - _COMMON):
            return True
    return False


def _stem(word: str) -> str:
    return word.removesuffix("s").removesuffix("e")
