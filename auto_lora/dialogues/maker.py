"""One conversation of a category: its calls planned and worded, the responses simulated."""

from __future__ import annotations

import random
import string
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, Protocol

from auto_lora._conversation import Conversation, Message
from auto_lora._runs import dumps
from auto_lora._settings import CATEGORIES, TrainingConfig
from auto_lora._toolcall import ToolCall
from auto_lora.catalog import ToolDefinition
from auto_lora.dialogues.definitions.enum_deeds import managed_by
from auto_lora.dialogues.definitions.phrasebook import phrases
from auto_lora.dialogues.definitions.roles import roles_of
from auto_lora.dialogues.definitions.schemas import resolve
from auto_lora.dialogues.llm_writer import LLMWriter
from auto_lora.dialogues.planner import Focus, Planner, in_all_splits
from auto_lora.dialogues.respond import final_answer, tool_response
from auto_lora.dialogues.values.own_values import ValueSampler
from auto_lora.dialogues.values.sampler import Sampler
from auto_lora.dialogues.values.surfaces import Value
from auto_lora.dialogues.verify import fault_of, names_value_of, values_key
from auto_lora.dialogues.wording.corrections import with_correction
from auto_lora.dialogues.wording.near import fitting_distractors, near
from auto_lora.dialogues.wording.no_call import NoCallWriter, ask_for
from auto_lora.dialogues.wording.planned import PlannedCall, Written
from auto_lora.dialogues.wording.several import undoes
from auto_lora.dialogues.wording.style import Style
from auto_lora.dialogues.wording.writer import BuiltinWriter


class Writer(Protocol):
    """Words planned calls; None, or a reason in words: it could not, the built-in writer takes over."""

    name: str

    def write(self, calls: Sequence[PlannedCall], *, chain: bool = False) -> Written | str | None: ...


@dataclass(frozen=True)
class Draft:
    """A conversation without its words, for which a writer has been asked; `words` waits for them."""

    category: str
    name: str
    calls: list[PlannedCall]
    responses: Sequence[Any]
    chain: bool
    values: str
    words: Callable[[], Written | str | None] | None


def begin(
    writer: Writer, calls: Sequence[PlannedCall], chain: bool = False
) -> Callable[[], Written | str | None]:
    """Asks a writer; a language model's answer is on its way while the next conversation is planned."""
    if isinstance(writer, LLMWriter):
        return writer.start(calls, chain=chain)
    written = writer.write(calls, chain=chain)
    return lambda: written


def judged(written: Written | str | None, calls: Sequence[PlannedCall]) -> tuple[Written | None, str]:
    """A writer's words if they fit, else why not."""
    if not isinstance(written, Written):
        return None, written or "no text"
    fault = fault_of(written.text, calls)
    return (None, fault) if fault else (written, "")


class Maker:
    """Makes single conversations of one split and seed.

    Args:
        links: where a result of one tool is an argument of another (`find_links`).
        writer: words the prompts; None: the built-in writer.
        style: how the user's own prompts are typed.
        samplers: values of the user's domain.
        rejects: counts what a writer's texts were dropped for.
    """

    def __init__(
        self,
        tools: Sequence[ToolDefinition],
        config: TrainingConfig,
        split: str,
        seed: int,
        focus: Focus,
        *,
        links: Sequence[tuple[str, str, str, str]],
        writer: Writer | None,
        style: Style | None,
        samplers: Mapping[str, ValueSampler],
        rejects: Counter[str],
    ) -> None:
        if split not in ("train", "validation", "test"):
            raise ValueError(f"split is {split!r}, not train, validation or test")
        self.tools, self.config, self.links = list(tools), config, links
        self.split, self.seed, self.focus, self.rejects = split, seed, focus, rejects
        self.random = random.Random(f"{seed}/{split}")
        self.sampler = Sampler(self.random.randrange(2**31), split)
        self.writer, self.style = writer, style
        self.planner = Planner(tools, split, self.random, self.sampler, samplers, focus)
        self.builtin = BuiltinWriter(self.random, split, style, self.tools)
        self.no_calls = NoCallWriter(self.random, split, self.tools, self.builtin.surroundings)
        # Some of what no tool covers (_ABSENT) is asked of tools that are not there, in the same words as of those that are.
        self._absent = [t for t, alike in fitting_distractors(tools) if not alike]
        self._absent_writer = BuiltinWriter(self.random, split, style, [*tools, *self._absent])
        self._by_name = {t.name: t for t in tools}
        self._entries = tuple(t.to_openai() for t in tools)

    def make(self, category: str, name: str) -> tuple[Conversation | Draft | None, str]:
        """A conversation, or None with the reason why this attempt failed."""
        if category not in CATEGORIES:
            raise ValueError(f"unknown category {category!r}")
        return getattr(self, f"_{category}")(name)

    # Categories.

    def _single(self, name: str) -> tuple[Conversation | Draft | None, str]:
        return self._calls("single", name, self.planned(self.planner.tool(), optional=0.0))

    def _optional(self, name: str) -> tuple[Conversation | Draft | None, str]:
        able = [t for t in self.tools if set(t.properties) - set(t.required)]
        tool = self.planner.tool(able)
        # Nobody gives more than what is to be done with "next song": the enum's value decides.
        least = 0 if managed_by(tool) else 1
        return self._calls("optional", name, self.planned(tool, optional=0.3, at_least=least))

    def _parallel(self, name: str) -> tuple[Conversation | Draft | None, str]:
        casual = self._casual()
        if self.random.random() < _TOGETHER:
            first = self._plan(self.planner.tool(), optional=0.1, casual=casual)
            calls = self.planner.alike(first, self.random.choices([2, 3, 4], [6, 3, 1])[0])
            if calls and not _undone(calls):
                return self._calls("parallel", name, calls)
        count = 2 if self.random.random() < 0.8 else 3
        one = (
            self.planner.tool() if self.random.random() < 0.35 else None
        )  # several of one kind are asked for often
        calls = [self._plan(one or self.planner.tool(), optional=0.1, casual=casual) for _ in range(count)]
        if len({values_key([c]) for c in calls}) < count:
            return None, "the same call twice"
        if _undone(calls):
            return None, "two values where there is one"
        return self._calls("parallel", name, calls)

    def planned(self, tool: ToolDefinition, *, optional: float, at_least: int = 0) -> list[PlannedCall]:
        call = self._plan(tool, optional=optional, at_least=at_least, casual=self._casual())
        changed = self.random.random() < _CORRECTED
        return [with_correction(self.random, self.planner.another, call) if changed else call]

    def _casual(self, share: float = 0.4) -> bool:
        """Whether a prompt is typed without capitals: by the user's style, else by `share`."""
        share = self.style.lower if self.style else share
        return share > 0 and self.random.random() < share

    def _chain(self, name: str) -> tuple[Conversation | Draft | None, str]:
        giver, result, taker, parameter = self.random.choice(self.links)
        casual = self._casual()
        first = self._plan(self._by_name[giver], optional=0.1, casual=casual)
        response = tool_response(first.tool, first.arguments(), self.sampler)
        given = {parameter: response[result]}
        second = self._plan(self._by_name[taker], optional=0.1, given=given, casual=casual)
        return self._calls("chain", name, [first, second], responses=[response], chain=True)

    def _no_call(self, name: str) -> tuple[Conversation | None, str]:
        chance = self.random.random()
        if self._absent and chance < _ABSENT:
            return self._asked_of_none(name)
        if chance > 1 - _WRAPPED and (wrapped := self._wrapped()):
            return self._answered("no_call", name, *wrapped), ""
        found = self.no_calls.write(self.focus.topics)
        if found is None:
            return None, "no-call prompt near a tool"
        written, answer = found
        return self._answered("no_call", name, written, answer), ""

    def _asked_of_none(self, name: str) -> tuple[Conversation | None, str]:
        """A request to a tool that is not in the list: the same sentences, and no call is right."""
        tool = self.random.choice(self._absent)
        call = self.planner.plan(self._absent_writer.chooser, tool, optional=0.2, casual=self._casual())
        written = self._absent_writer.write([call])
        if written is None or near(written.text, self.tools):
            return None, "no-call prompt near a tool"
        made = self._answered("no_call", name, written, str(phrases("no_call")["uncovered"]))
        return replace(made, meta={**made.meta, "foreign": tool.name}), ""

    def _wrapped(self) -> tuple[Written, str] | None:
        """A request to one of the tools within words that take it back, tell of it or ask about it: "don't turn the lights off"."""
        for _ in range(8):  # many sentences for a tool are of another form
            call = self._plan(self.planner.tool(), optional=0.1, casual=self._casual())
            if deed := self.builtin.deed(call):
                return self.no_calls.wrap(deed, casual=call.casual)
        return None

    def _answered(self, category: str, name: str, written: Written, answer: str) -> Conversation:
        """A prompt answered in words."""
        messages = [
            *self._system(),
            {"role": "user", "content": written.text},
            {"role": "assistant", "content": answer},
        ]
        return self._conversation(category, name, messages, written, "builtin", "")

    def _missing_argument(self, name: str) -> tuple[Conversation | None, str]:
        tool = self.planner.tool([t for t in self.tools if t.required])
        whole = self._plan(tool, optional=0.1, casual=self._casual())
        names, roles = list(tool.required), roles_of(tool)
        count = 1 if len(names) == 1 or self.random.random() < 0.6 else self.random.randint(2, len(names))
        gone = self.random.sample(names, count)
        left_out = min(gone, key=names.index)
        # "Text him", "a timer for a while": said, but nothing to call with.
        parts = {n: resolve(tool.properties[n], tool.parameters) for n in gone}
        closed = not isinstance(tool.properties[left_out], Mapping) or bool(
            {"enum", "const"} & parts[left_out].keys()
        )
        vague = [] if closed or self.random.random() > 0.25 else phrases("vague").get(roles[left_out], [])
        words = self.random.choice(vague) if vague else ""
        said = {left_out: Value(words, words, roles[left_out])} if words else {}
        values = {k: said.get(k, v) for k, v in whole.values.items() if k in said or k not in gone}
        partial = PlannedCall(tool, values, casual=whole.casual, crowded=whole.crowded)
        written = self.builtin.write([partial], named=False)
        if written is None:
            return None, "no frame fits"
        if any(names_value_of(part, written.text) for part in parts.values()):
            return None, "a missing value is said"
        question = ask_for(left_out, parts[left_out].get("type"))
        return self._answered("missing_argument", name, written, question), ""

    # Parts.

    def _plan(self, tool: ToolDefinition, **how: Any) -> PlannedCall:
        return self.planner.plan(self.builtin.chooser, tool, **how)

    def _calls(
        self,
        category: str,
        name: str,
        calls: list[PlannedCall],
        *,
        responses: Sequence[Any] = (),
        chain: bool = False,
    ) -> tuple[Conversation | Draft | None, str]:
        combined = "" if all(map(in_all_splits, calls)) else values_key(calls)
        if combined and not self._in_split(calls):
            return None, "value combination of another split"
        turn = self.writer is not None and (self.config.writer != "both" or self.random.random() < 0.5)
        words = begin(self.writer, calls, chain) if self.writer is not None and turn else None
        return Draft(category, name, calls, responses, chain, combined, words), ""

    def finish(self, draft: Draft) -> tuple[Conversation | None, str]:
        """The draft with its words, the built-in writer's where the other's do not fit, and with what follows."""
        calls, chain = draft.calls, draft.chain
        written, writer = self._written(draft)
        if written is None:
            return None, "no frame fits"
        fault = fault_of(written.text, calls, told=writer != "builtin")
        if fault:
            return None, fault
        given = list(draft.responses) + [
            tool_response(c.tool, c.arguments(), self.sampler) for c in calls[len(draft.responses) :]
        ]
        messages: list[Message] = [*self._system(), {"role": "user", "content": written.text}]
        for group in [[i] for i in range(len(calls))] if chain else [list(range(len(calls)))]:
            messages += self._exchange([calls[i] for i in group], [given[i] for i in group])
        answer = final_answer([(c.tool, r) for c, r in zip(calls, given, strict=True)])
        messages.append({"role": "assistant", "content": answer})
        return self._conversation(draft.category, draft.name, messages, written, writer, draft.values), ""

    def _written(self, draft: Draft) -> tuple[Written | None, str]:
        if self.writer is not None and draft.words is not None:
            written, fault = judged(draft.words(), draft.calls)
            if written is not None:
                return written, self.writer.name
            self.rejects[f"text by {self.writer.name}: {fault}"] += 1
        return self.builtin.write(draft.calls, chain=draft.chain), "builtin"

    def _in_split(self, calls: Sequence[PlannedCall]) -> bool:
        """Whether the value combinations are this split's, but for what an earlier result gives."""
        return all(self.planner.owns(c) for c in calls if not c.hidden)

    def _exchange(self, calls: Sequence[PlannedCall], responses: Sequence[Any]) -> list[Message]:
        ids = ["".join(self.random.choices(string.ascii_letters + string.digits, k=9)) for _ in calls]
        made = [ToolCall(c.tool.name, c.arguments()).to_message(i) for c, i in zip(calls, ids, strict=True)]
        answers = [
            {"role": "tool", "tool_call_id": i, "name": c.tool.name, "content": dumps(r)}
            for c, i, r in zip(calls, ids, responses, strict=True)
        ]
        return [{"role": "assistant", "content": "", "tool_calls": made}, *answers]

    def _system(self) -> list[Message]:
        prompt = self.config.system_prompt
        return [{"role": "system", "content": prompt}] if prompt else []

    def _conversation(
        self, category: str, name: str, messages: list[Message], written: Written, writer: str, values: str
    ) -> Conversation:
        meta = {"writer": writer, "shape": written.shape, "split": self.split, "values": values}
        return Conversation(name, category, tuple(messages), self._entries, meta)


def _undone(calls: Sequence[PlannedCall]) -> bool:
    """Whether one of several calls takes back what another did."""
    return any(undoes(*pair) for pair in combinations(calls, 2))


_CORRECTED = 0.025  # of the prompts for one call
_ABSENT = 0.2  # of the no-call prompts
_WRAPPED = 0.08
_TOGETHER = 0.35  # of the prompts for several calls: they differ in one argument
