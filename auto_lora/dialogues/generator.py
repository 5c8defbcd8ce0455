"""`SyntheticDataGenerator`: plans calls, has them worded, simulates responses, keeps what verifies."""

from __future__ import annotations

import random
import string
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from auto_lora._conversation import Conversation, Message
from auto_lora._errors import DataError
from auto_lora._runs import dumps
from auto_lora._settings import CATEGORIES, TrainingConfig
from auto_lora._toolcall import ToolCall
from auto_lora.catalog import ToolDefinition
from auto_lora.dialogues.donated import NEAR_TEST, Donated
from auto_lora.dialogues.llm_writer import LLMWriter
from auto_lora.dialogues.phrasebook import role_of, split_of, words_of
from auto_lora.dialogues.respond import final_answer, tool_response
from auto_lora.dialogues.values import Sampler, Value
from auto_lora.dialogues.verify import Duplicates, check_conversation, fault_of, values_key
from auto_lora.dialogues.writer import BuiltinWriter, PlannedCall, Written

_LOOKED_UP = set(
    "id uuid code token key reference number email phone address url latitude longitude handle".split()
)
_TRIES = 60  # attempts at one conversation before its category is given up for this place


class Writer(Protocol):
    """Words planned calls; None, or a reason in words: it could not, the built-in writer takes over."""

    name: str

    def write(self, calls: Sequence[PlannedCall], *, chain: bool = False) -> Written | str | None: ...


# A value for a parameter, and how a person would write it: ("EGLL", "Heathrow").
ValueSampler = Callable[[random.Random], tuple[Any, str]]


@dataclass(frozen=True)
class Focus:
    """What the error loop wants more of.

    Attributes:
        tools: tool name to extra weight.
        parameters: (tool, parameter) to extra weight; such a parameter is given more often.
    """

    tools: Mapping[str, float] = field(default_factory=dict)
    parameters: Mapping[tuple[str, str], float] = field(default_factory=dict)


class SyntheticDataGenerator:
    """Writes verified conversations for a list of tools.

    Args:
        tools: the tools, in the order in which the model will see them.
        config: shares, system prompt, seed.
        writer: words the prompts; default: the built-in writer, which also takes over where this fails.
        samplers: values of one's own domain, by "parameter" or "tool.parameter" (which goes first).
        donated: what the user has beside the tools; nothing near their test cases is written.
    """

    def __init__(
        self,
        tools: Sequence[ToolDefinition],
        config: TrainingConfig,
        *,
        writer: Writer | None = None,
        samplers: Mapping[str, ValueSampler] | None = None,
        donated: Donated | None = None,
    ) -> None:
        self.tools = list(tools)
        self.donated = donated or Donated()
        self.config = config
        self.writer = writer
        self.samplers = dict(samplers or {})
        self.notes = list(self.donated.notes)
        self.verdict = ""  # of the last probe of a writer
        self.unfit = False
        self._rejects = Counter(self.donated.dropped)
        self._by_name = {t.name: t for t in self.tools}
        self._entries = tuple(t.to_openai() for t in self.tools)
        self._links = find_links(self.tools)

    @property
    def rejects(self) -> dict[str, int]:
        """What was dropped so far, by reason."""
        return dict(self._rejects)

    def adopt(self, writer: Writer, *, probes: int = 8, at_least: float = 0.5) -> bool:
        """Uses `writer` if most of its texts for a few plans verify; `verdict` and `notes` say what came of it."""
        maker = _Maker(self, "train", self.config.seed, Focus())
        plans = [maker._planned(maker._tool(), optional=0.3) for _ in range(probes)]
        words = [_begin(writer, plan) for plan in plans]
        faults: Counter[str] = Counter()
        for get, plan in zip(words, plans, strict=True):
            faults[_judge(get(), plan)[1]] += 1
            if sum(faults.values()) - faults[""] > (1 - at_least) * probes:
                break  # the rest cannot change the verdict
        kept = faults.pop("", 0)
        fit = kept >= at_least * probes
        why = f" ({', '.join(f'{n} {reason}' for reason, n in faults.most_common())})" if faults else ""
        then = "used as writer" if fit else "found unfit, so the built-in writer writes"
        self.verdict = (
            f"{writer.name}: {kept} of {kept + sum(faults.values())} probe texts verified{why}; {then}"
        )
        self.notes.append(self.verdict)
        self.unfit = not fit
        self.writer = writer if fit else None
        return fit

    def describe_writer(self, conversations: Iterable[Conversation]) -> str:
        """Who wrote these prompts, for the headline: never mistaken for people."""
        found = sorted({str(c.meta.get("writer", "builtin")) for c in conversations})
        who = ", ".join("the built-in writer" if n == "builtin" else n for n in found)
        return f"{who or 'the built-in writer'} (phrases and values that training never saw)"

    def plan(self, count: int, shares: Mapping[str, float] | None = None) -> dict[str, int]:
        """Conversations per category; what the tools cannot do goes to the others in proportion."""
        shares = {
            c: s for c, s in (shares or self.config.category_shares).items() if s > 0 and self._possible(c)
        }
        total = sum(shares.values())
        if not total:
            return {"single": count}
        exact = {c: count * s / total for c, s in shares.items()}
        plan = {c: int(n) for c, n in exact.items()}
        for category in sorted(exact, key=lambda c: plan[c] - exact[c])[: count - sum(plan.values())]:
            plan[category] += 1
        return {c: n for c, n in plan.items() if n}

    def generate(
        self,
        count: int,
        split: str,
        *,
        shares: Mapping[str, float] | None = None,
        focus: Focus | None = None,
        seed: int | None = None,
        avoid: Iterable[Conversation] = (),
    ) -> list[Conversation]:
        """`count` conversations of one split; see `stream`.

        Raises:
            DataError: the tools leave nothing to write.
        """
        made = list(self.stream(count, split, shares=shares, focus=focus, seed=seed, avoid=avoid))
        if not made:
            raise DataError(
                "no conversation could be written for these tools", "add descriptions or parameters to them"
            )
        if len(made) < count:
            self.notes.append(f"only {len(made)} different {split} conversations of {count} could be written")
        return made

    def training(
        self,
        count: int,
        before: Sequence[Conversation] = (),
        *,
        shares: Mapping[str, float] | None = None,
        focus: Focus | None = None,
        seed: int | None = None,
    ) -> list[Conversation]:
        """A round's new training data: `count` written conversations, and what the user gave beside them.

        Args:
            before: the rounds before; what is in them does not come again.
            shares, focus, seed: see `stream`; default shares: the config's for training.
        """
        shares = shares or self.config.training_shares or None
        new = self.generate(count, "train", shares=shares, focus=focus, seed=seed, avoid=before)
        return [*new, *self.donated.beside(before, new)]

    def held_out(self, count: int, split: str) -> list[Conversation]:
        """The validation split, or the test: the user's own cases where they gave some."""
        own = self.donated.test if split == "test" else ()
        return list(own) or self.generate(count, split)

    def stream(
        self,
        count: int,
        split: str,
        *,
        shares: Mapping[str, float] | None = None,
        focus: Focus | None = None,
        seed: int | None = None,
        avoid: Iterable[Conversation] = (),
    ) -> Iterator[Conversation]:
        """Yields conversations in mixed order; memory holds 8 bytes a prompt.

        Args:
            count: how many; fewer come when the tools allow no more different ones.
            split: "train", "validation" or "test"; no two share a prompt, a frame or a value combination.
            shares: of the categories; default: the config's.
            focus: tools and parameters to prefer.
            seed: default: the config's; the same seed gives the same bytes.
            avoid: conversations whose prompts must not come again.
        """
        maker = _Maker(self, split, self.config.seed if seed is None else seed, focus or Focus())
        ahead = self.writer.parallel if isinstance(self.writer, LLMWriter) else 1
        known = [c.prompt for c in [*avoid, *self.donated.seeds]]
        seen = Duplicates(known, near=isinstance(self.writer, LLMWriter))
        left, begun = self.plan(count, shares), deque[_Begun]()
        number = failures = 0
        while (left or begun) and failures < 200:
            if left and len(begun) < ahead:
                category = maker.random.choices(list(left), list(left.values()))[0]
                begun.append(_Begun(category, *maker.make(category, "")))
                left[category] -= 1
                left = {c: n for c, n in left.items() if n}
                continue
            first = begun.popleft()
            conversation = self._one(maker, first, f"{split}-{maker.seed}-{number:06d}", seen)
            if conversation is None:
                failures += 1
                left[first.category] = left.get(first.category, 0) + 1
                continue
            failures = 0
            number += 1
            yield conversation

    def _one(self, maker: _Maker, begun: _Begun, name: str, seen: Duplicates) -> Conversation | None:
        """The begun conversation, or another of its category where that fails."""
        for _ in range(_TRIES):
            conversation, fault = begun.made, begun.fault
            if isinstance(conversation, _Draft):
                conversation, fault = maker.finish(conversation)
            if conversation is not None:
                name_of = getattr(self.writer, "name", "")
                free = isinstance(self.writer, LLMWriter) and conversation.meta["writer"] == name_of
                fault = check_conversation(conversation, self._by_name)
                if not fault and not seen.is_new(conversation.prompt, near=free):
                    fault = "duplicate prompt"
                    if free and isinstance(begun.made, _Draft):  # then in the built-in writer's words
                        self._rejects[f"text by {name_of}: near copy of an earlier prompt"] += 1
                        begun = replace(begun, made=replace(begun.made, words=None))
                        continue
                if not fault and self.donated.is_near_test(conversation):
                    fault = NEAR_TEST
            if not fault and conversation is not None:
                return replace(conversation, id=name)
            self._rejects[fault] += 1
            begun = _Begun(begun.category, *maker.make(begun.category, ""))
        return None

    def _possible(self, category: str) -> bool:
        return {
            "single": True,
            "no_call": True,
            "parallel": any(t.properties for t in self.tools) or len(self.tools) > 1,
            "chain": bool(self._links),
            "optional": any(set(t.properties) - set(t.required) for t in self.tools),
            "missing_argument": any(t.required for t in self.tools),
        }[category]


def find_links(tools: Sequence[ToolDefinition]) -> list[tuple[str, str, str, str]]:
    """(giver, its result, taker, its parameter) where a result of one tool is an argument of another.

    They link when the names are equal and speak of something only a lookup can know (an id, a code, an
    address), or the parameter's description names the giver, or the result is `id` and the parameter
    `<giver's noun>_id`.
    """
    links = []
    for giver in tools:
        results = (giver.returns or {}).get("properties", {})
        for taker in tools:
            if taker is giver:
                continue
            for parameter, schema in taker.properties.items():
                for result, shape in results.items():
                    noun = [w for w in words_of(giver.name) if w in words_of(parameter)]
                    looked_up = _LOOKED_UP & set(words_of(parameter)) or giver.name in str(
                        schema.get("description")
                    )
                    same = result == parameter and parameter not in giver.properties and bool(looked_up)
                    same = same or (result == "id" and parameter.endswith("id") and bool(noun))
                    fits = schema.get("type") == shape.get("type") and not schema.get("enum")
                    if same and fits and parameter in taker.required:
                        links.append((giver.name, result, taker.name, parameter))
    return links


@dataclass(frozen=True)
class _Draft:
    """A conversation without its words, for which a writer has been asked; `words` waits for them."""

    category: str
    name: str
    calls: list[PlannedCall]
    responses: Sequence[Any]
    chain: bool
    values: str
    words: Callable[[], Written | str | None] | None


@dataclass(frozen=True)
class _Begun:
    """What came of one attempt at a conversation: a draft, a whole one, or why there is none."""

    category: str
    made: Conversation | _Draft | None
    fault: str


def _begin(
    writer: Writer, calls: Sequence[PlannedCall], chain: bool = False
) -> Callable[[], Written | str | None]:
    """Asks a writer; a language model's answer is on its way while the next conversation is planned."""
    if isinstance(writer, LLMWriter):
        return writer.start(calls, chain=chain)
    written = writer.write(calls, chain=chain)
    return lambda: written


def _judge(written: Written | str | None, calls: Sequence[PlannedCall]) -> tuple[Written | None, str]:
    """A writer's words if they fit, else why not."""
    if not isinstance(written, Written):
        return None, written or "no text"
    fault = fault_of(written.text, calls)
    return (None, fault) if fault else (written, "")


class _Maker:
    """Makes single conversations of one split and seed."""

    def __init__(self, generator: SyntheticDataGenerator, split: str, seed: int, focus: Focus) -> None:
        if split not in ("train", "validation", "test"):
            raise ValueError(f"split is {split!r}, not train, validation or test")
        self.generator, self.split, self.seed, self.focus = generator, split, seed, focus
        self.random = random.Random(f"{seed}/{split}")
        self.sampler = Sampler(self.random.randrange(2**31), split)
        self.style = generator.donated.style
        self.builtin = BuiltinWriter(self.random, split, self.style)
        self.tools = generator.tools

    def make(self, category: str, name: str) -> tuple[Conversation | _Draft | None, str]:
        """A conversation, or None with the reason why this attempt failed."""
        if category not in CATEGORIES:
            raise ValueError(f"unknown category {category!r}")
        return getattr(self, f"_{category}")(name)

    # Categories.

    def _single(self, name: str) -> tuple[Conversation | _Draft | None, str]:
        return self._calls("single", name, self._planned(self._tool(), optional=0.0))

    def _optional(self, name: str) -> tuple[Conversation | _Draft | None, str]:
        able = [t for t in self.tools if set(t.properties) - set(t.required)]
        return self._calls("optional", name, self._planned(self._tool(able), optional=0.3, at_least=1))

    def _parallel(self, name: str) -> tuple[Conversation | _Draft | None, str]:
        count = 2 if self.random.random() < 0.8 else 3
        casual = self._casual()
        one = self._tool() if self.random.random() < 0.35 else None  # several of one kind are asked for often
        calls = [self._plan_call(one or self._tool(), optional=0.1, casual=casual) for _ in range(count)]
        if len({values_key([c]) for c in calls}) < count:
            return None, "the same call twice"
        return self._calls("parallel", name, calls)

    def _planned(self, tool: ToolDefinition, *, optional: float, at_least: int = 0) -> list[PlannedCall]:
        return [self._plan_call(tool, optional=optional, at_least=at_least, casual=self._casual())]

    def _casual(self, share: float = 0.4) -> bool:
        """Whether a prompt is typed without capitals: by the user's style, else by `share`."""
        share = self.style.lower if self.style else share
        return share > 0 and self.random.random() < share

    def _chain(self, name: str) -> tuple[Conversation | _Draft | None, str]:
        giver, result, taker, parameter = self.random.choice(self.generator._links)
        by_name = self.generator._by_name
        casual = self._casual(0.0)
        first = self._plan_call(by_name[giver], optional=0.1, casual=casual)
        response = tool_response(first.tool, first.arguments(), self.sampler)
        given = {parameter: response[result]}
        second = self._plan_call(by_name[taker], optional=0.1, given=given, casual=casual)
        return self._calls("chain", name, [first, second], responses=[response], chain=True)

    def _no_call(self, name: str) -> tuple[Conversation | None, str]:
        found = self.builtin.no_call(self.tools)
        if found is None:
            return None, "no-call prompt near a tool"
        written, answer = found
        messages = [
            *self._system(),
            {"role": "user", "content": written.text},
            {"role": "assistant", "content": answer},
        ]
        return self._conversation("no_call", name, messages, written, "builtin", ""), ""

    def _missing_argument(self, name: str) -> tuple[Conversation | None, str]:
        tool = self._tool([t for t in self.tools if t.required])
        whole = self._plan_call(tool, optional=0.1, casual=self._casual(0.0))
        left_out = self.random.choice(tool.required)
        values = {k: v for k, v in whole.values.items() if k != left_out}
        partial = PlannedCall(tool, values, casual=whole.casual)
        written = self.builtin.write([partial])
        if written is None:
            return None, "no frame fits"
        question = self.builtin.ask_for(left_out)
        messages = [
            *self._system(),
            {"role": "user", "content": written.text},
            {"role": "assistant", "content": question},
        ]
        return self._conversation("missing_argument", name, messages, written, "builtin", ""), ""

    # Parts.

    def _tool(self, among: Sequence[ToolDefinition] | None = None) -> ToolDefinition:
        tools = list(among or self.tools)
        weights = [1.0 + self.focus.tools.get(t.name, 0.0) for t in tools]
        return self.random.choices(tools, weights)[0]

    def _plan_call(
        self,
        tool: ToolDefinition,
        *,
        optional: float,
        at_least: int = 0,
        given: Mapping[str, Any] | None = None,
        casual: bool = False,
    ) -> PlannedCall:
        """A frame and the arguments one would give in it; the combination belongs to this split where there are enough."""
        weights = {k: self.focus.parameters.get((tool.name, k), 0.0) for k in tool.properties}
        for _ in range(25):
            frame, chosen = self.builtin.choose(tool, optional=optional, at_least=at_least, weights=weights)
            values: dict[str, Value] = {}
            for name, schema in tool.properties.items():
                if given and name in given:
                    values[name] = Value(given[name], "", "hidden")
                elif name in chosen:
                    value = self._distinct(name, schema, tool, values)
                    values[name] = _uncapitalised(value, schema) if casual else value
            values = _possible_together(values, tool)
            call = PlannedCall(tool, values, frozenset(given or ()), None if given else frame, casual)
            enough = len(values.keys() - set(tool.required)) >= at_least
            if enough and (not values or split_of("call", values_key([call])) == self.split):
                break
        return call

    def _distinct(self, name: str, schema: Any, tool: ToolDefinition, given: Mapping[str, Value]) -> Value:
        """A value unlike the call's other texts: nobody flies from Rome to Rome."""
        own = self.generator.samplers.get(f"{tool.name}.{name}") or self.generator.samplers.get(name)
        for _ in range(10):
            value = (
                self._from_domain(own, name, schema)
                if own
                else self.sampler.sample(name, schema, tool.parameters)
            )
            if not isinstance(value.json, str) or all(value.json != v.json for v in given.values()):
                break
        return value

    def _from_domain(self, sampler: ValueSampler, name: str, schema: Any) -> Value:
        """A user's value, of this split if one comes up in 30 tries."""
        for _ in range(30):
            value, surface = sampler(self.random)
            if split_of("value", surface) == self.split:
                break
        role = role_of(name, str(schema.get("description", "")), str(schema.get("type", "string")))
        return Value(value, surface, role)

    def _calls(
        self,
        category: str,
        name: str,
        calls: list[PlannedCall],
        *,
        responses: Sequence[Any] = (),
        chain: bool = False,
    ) -> tuple[Conversation | _Draft | None, str]:
        combined = values_key(calls) if any(c.values for c in calls) else ""
        if combined and not self._in_split(calls):
            return None, "value combination of another split"
        writer = self.generator.writer
        turn = writer is not None and (self.generator.config.writer != "both" or self.random.random() < 0.5)
        words = _begin(writer, calls, chain) if writer is not None and turn else None
        return _Draft(category, name, calls, responses, chain, combined, words), ""

    def finish(self, draft: _Draft) -> tuple[Conversation | None, str]:
        """The draft with its words, the built-in writer's where the other's do not fit, and with what follows."""
        calls, chain = draft.calls, draft.chain
        written, writer = self._written(draft)
        if written is None:
            return None, "no frame fits"
        fault = fault_of(written.text, calls)
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

    def _written(self, draft: _Draft) -> tuple[Written | None, str]:
        writer = self.generator.writer
        if writer is not None and draft.words is not None:
            written, fault = _judge(draft.words(), draft.calls)
            if written is not None:
                return written, writer.name
            self.generator._rejects[f"text by {writer.name}: {fault}"] += 1
        return self.builtin.write(draft.calls, chain=draft.chain), "builtin"

    def _in_split(self, calls: Sequence[PlannedCall]) -> bool:
        """Whether the combination is this split's; tools with few combinations are let through."""
        return all(
            not c.values or _combinations(c.tool) < 8 or split_of("call", values_key([c])) == self.split
            for c in calls
            if not c.hidden
        )

    def _exchange(self, calls: Sequence[PlannedCall], responses: Sequence[Any]) -> list[Message]:
        ids = ["".join(self.random.choices(string.ascii_letters + string.digits, k=9)) for _ in calls]
        made = [ToolCall(c.tool.name, c.arguments()).to_message(i) for c, i in zip(calls, ids, strict=True)]
        answers = [
            {"role": "tool", "tool_call_id": i, "name": c.tool.name, "content": dumps(r)}
            for c, i, r in zip(calls, ids, responses, strict=True)
        ]
        return [{"role": "assistant", "content": "", "tool_calls": made}, *answers]

    def _system(self) -> list[Message]:
        prompt = self.generator.config.system_prompt
        return [{"role": "system", "content": prompt}] if prompt else []

    def _conversation(
        self, category: str, name: str, messages: list[Message], written: Written, writer: str, values: str
    ) -> Conversation:
        meta = {"writer": writer, "shape": written.shape, "split": self.split, "values": values}
        return Conversation(name, category, tuple(messages), self.generator._entries, meta)


def _uncapitalised(value: Value, schema: Any) -> Value:
    """A value as it is typed in a prompt without capitals; only where the words are taken over as they are."""
    free = isinstance(value.json, str) and not any(
        k in schema for k in ("enum", "const", "pattern", "format")
    )
    if not free or not value.surface.strip('"').endswith(value.json):  # an article may stand before it
        return value
    kept = value.json if value.role in _CODES else value.json.lower()
    return replace(value, json=kept, surface=value.surface.lower())


_CODES = frozenset(("time_zone", "currency", "symbol"))  # written one way however they are typed
_OFF = frozenset("off closed close locked lock disabled stop stopped".split())


def _possible_together(values: dict[str, Value], tool: ToolDefinition) -> dict[str, Value]:
    """Without what makes no sense beside the rest: nobody switches a lamp off at 75 percent."""
    off = any(v.role == "state" and str(v.json).lower() in _OFF for v in values.values())
    if not off:
        return values
    levels = ("percent", "level", "color", "temperature", "warmth", "mood")
    return {n: v for n, v in values.items() if n in tool.required or v.role not in levels}


def _combinations(tool: ToolDefinition) -> int:
    """How many argument combinations a tool has, counting only enums, booleans and narrow ranges."""
    total = 1
    for schema in tool.properties.values():
        low, high = schema.get("minimum"), schema.get("maximum")
        if schema.get("enum"):
            total *= len(schema["enum"])
        elif schema.get("type") == "boolean":
            total *= 2
        elif schema.get("type") == "integer" and low is not None and high is not None:
            total *= int(high - low) + 1
        else:
            return 10**9
    return total
