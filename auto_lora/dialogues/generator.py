"""`SyntheticDataGenerator`: as many conversations of each category as are wanted, none twice, all verified."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from auto_lora._conversation import Conversation
from auto_lora._errors import DataError
from auto_lora._settings import TrainingConfig
from auto_lora.catalog import ToolDefinition
from auto_lora.dialogues.definitions.meaning import asks, tool_act
from auto_lora.dialogues.definitions.phrasebook import words_of
from auto_lora.dialogues.definitions.schemas import resolve
from auto_lora.dialogues.donated import NEAR_TEST, Donated
from auto_lora.dialogues.llm_writer import LLMWriter
from auto_lora.dialogues.maker import Draft, Maker, Writer, begin, judged
from auto_lora.dialogues.planner import Focus
from auto_lora.dialogues.respond import can_be_simulated
from auto_lora.dialogues.values.own_values import ValueSampler
from auto_lora.dialogues.verify import Duplicates, check_conversation

_LOOKED_UP = set(
    "id uuid code token key reference number email phone address url latitude longitude handle".split()
)
_TRIES = 60  # attempts at one conversation before its category is given up for this place


@dataclass(frozen=True)
class _Begun:
    """What came of one attempt at a conversation: a draft, a whole one, or why there is none."""

    category: str
    made: Conversation | Draft | None
    fault: str


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
        self.tools = [t if can_be_simulated(t) else replace(t, returns=None) for t in tools]
        self.donated = donated or Donated()
        self.config = config
        self.writer = writer
        self.samplers = dict(samplers or {})
        self.notes = list(self.donated.notes)
        self.verdict = ""  # of the last probe of a writer
        self.unfit = False
        self._known: dict[str, list[str]] = {}  # prompts of each split so far
        unlike = [t.name for t, kept in zip(tools, self.tools, strict=True) if kept is not t]
        if unlike:
            self.notes.append(
                f"no result fits the `returns` of {', '.join(unlike)}: their calls are answered with ok"
            )
        self._rejects = Counter(self.donated.dropped)
        self._by_name = {t.name: t for t in self.tools}
        self._links = find_links(self.tools)

    @property
    def rejects(self) -> dict[str, int]:
        """What was dropped so far, by reason."""
        return dict(self._rejects)

    def adopt(self, writer: Writer, *, probes: int = 8, at_least: float = 0.5) -> bool:
        """Uses `writer` if most of its texts for a few plans verify; `verdict` and `notes` say what came of it."""
        maker = self._maker("train", self.config.seed, Focus())
        plans = [maker.planned(maker.planner.tool(), optional=0.3) for _ in range(probes)]
        words = [begin(writer, plan) for plan in plans]
        faults: Counter[str] = Counter()
        for get, plan in zip(words, plans, strict=True):
            faults[judged(get(), plan)[1]] += 1
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
        return f"{who or 'the built-in writer'} (phrases, and names and combinations of values, that training never saw)"

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
        self.know(made, split)
        if not made:
            raise DataError(
                "no conversation could be written for these tools", "add descriptions or parameters to them"
            )
        if unasked := self._unasked(made):
            self.notes.append(
                f"no {split} conversation calls {', '.join(unasked)}: give it a description that says what it does, or values with examples"
            )
        if len(made) < count:
            self.notes.append(f"only {len(made)} different {split} conversations of {count} could be written")
        return made

    def know(self, conversations: Iterable[Conversation], split: str) -> None:
        """Keeps the prompts of a split, so that no other split gets them: `generate` does so by itself."""
        self._known.setdefault(split, []).extend(c.prompt for c in conversations)

    def _unasked(self, made: Sequence[Conversation]) -> list[str]:
        """Tools that nobody calls in conversations that are enough for each to be called some ten times."""
        called = {
            call["function"]["name"] for c in made for m in c.messages for call in m.get("tool_calls") or ()
        }
        return (
            [t.name for t in self.tools if t.name not in called] if len(made) >= 20 * len(self.tools) else []
        )

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
            split: "train", "validation" or "test"; no two share a prompt, a frame or a value combination (but `in_all_splits`).
            shares: of the categories; default: the config's.
            focus: tools and parameters to prefer.
            seed: default: the config's; the same seed gives the same bytes.
            avoid: conversations whose prompts must not come again.
        """
        maker = self._maker(split, self.config.seed if seed is None else seed, focus or Focus())
        ahead = self.writer.parallel if isinstance(self.writer, LLMWriter) else 1
        known = [c.prompt for c in [*avoid, *self.donated.seeds]]
        known += [p for other, prompts in self._known.items() if other != split for p in prompts]
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

    def _one(self, maker: Maker, begun: _Begun, name: str, seen: Duplicates) -> Conversation | None:
        """The begun conversation, or another of its category where that fails."""
        for _ in range(_TRIES):
            conversation, fault = begun.made, begun.fault
            if isinstance(conversation, Draft):
                conversation, fault = maker.finish(conversation)
            if conversation is not None:
                name_of = getattr(self.writer, "name", "")
                free = isinstance(self.writer, LLMWriter) and conversation.meta["writer"] == name_of
                fault = check_conversation(conversation, self._by_name)
                if not fault and not seen.is_new(conversation.prompt, near=free):
                    fault = "duplicate prompt"
                    if free and isinstance(begun.made, Draft):  # then in the built-in writer's words
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

    def _maker(self, split: str, seed: int, focus: Focus) -> Maker:
        return Maker(
            self.tools, self.config, split, seed, focus, links=self._links, writer=self.writer,
            style=self.donated.style, samplers=self.samplers, rejects=self._rejects,
        )  # fmt: skip

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
        results = resolve(giver.returns, giver.returns or {}).get("properties", {})
        for taker in tools:
            if taker is giver or (
                tool_act(giver)[0] == "create" and asks(taker)
            ):  # who has just made a ticket asks for no ticket
                continue
            for parameter, schema in taker.properties.items():
                for result, shape in results.items():
                    if not (isinstance(shape, Mapping) and isinstance(schema, Mapping)):
                        continue
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
