"""Stage 7: the frozen test, asked of the model that is really served.

Every scored turn is one request to `/v1/chat/completions` at temperature 0: the conversation so
far and the tools in, the calls out. Base and base + adapter are asked the same in separate
servers. Counts and 95 % Wilson intervals stand beside every share.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from auto_lora._conversation import Conversation, Turn
from auto_lora._intervals import paired_test, proportion
from auto_lora._progress import Quiet, Reporter, Task
from auto_lora._settings import CATEGORIES
from auto_lora._toolcall import ToolCall, match_calls, same_value, settle
from auto_lora.llama_server import ChatReply, LlamaCppClient

# What is counted of each case, in the order of the report.
MEASURES = ("parsed", "tool", "argument_names", "argument_values", "exact")
TIMED_TOKENS = 64  # generated to measure the speed


@dataclass(frozen=True)
class TurnResult:
    """One answer beside what was expected.

    Attributes:
        expected, predicted: the calls, in any order.
        raw: the model's text as it came, call markup included.
        error: "" or the parser's class: "invalid_json", "truncated".
        parsed: nothing in the answer was malformed.
        tool: the same tools, each as often as expected.
        argument_names, argument_values: also the names, the names and values, of all arguments.
        exact: the same calls and no others; where none is due, no call.
    """

    expected: tuple[ToolCall, ...]
    predicted: tuple[ToolCall, ...]
    raw: str
    error: str
    parsed: bool
    tool: bool
    argument_names: bool
    argument_values: bool
    exact: bool


@dataclass(frozen=True)
class CaseResult:
    """One conversation's scored turns; a case has a property when all its turns have it."""

    conversation: Conversation
    turns: tuple[TurnResult, ...]

    def has(self, measure: str) -> bool:
        return all(getattr(turn, measure) for turn in self.turns)

    @property
    def must_call(self) -> bool:
        return any(turn.expected for turn in self.turns)

    @property
    def tools(self) -> set[str]:
        """Names of the tools it expects calls of."""
        return {call.name for turn in self.turns for call in turn.expected}

    @property
    def called(self) -> bool:
        return all(turn.predicted for turn in self.turns)


Metric = Callable[[CaseResult], bool]


@dataclass
class Evaluation:
    """All cases of one model, in the test's order; `metrics` are counted beside the measures.

    `speed`: what `ToolCallEvaluator.evaluate` measured with `timed`.
    """

    name: str
    cases: list[CaseResult] = field(default_factory=list)
    seconds: float = 0.0
    metrics: Mapping[str, Metric] = field(default_factory=dict)
    speed: Mapping[str, float] | None = None

    def summary(self) -> dict[str, Any]:
        """Counts with intervals: `overall`, `by_category`, `by_tool`, `must_call`, `no_call`, `metrics`.

        `failed` names the cases that are not exact, so that two summaries of the same cases can be compared.

        A case belongs to every tool that it expects a call of.

        `must_call` counts cases that need calls and got one in every turn, `no_call` cases that
        need none and got none; either alone can be gamed, so they stand side by side.
        """
        by_category = {
            category: _measures([c for c in self.cases if c.conversation.category == category])
            for category in CATEGORIES
            if any(c.conversation.category == category for c in self.cases)
        }
        tools = sorted({name for case in self.cases for name in case.tools})
        must = [c for c in self.cases if c.must_call]
        rest = [c for c in self.cases if not c.must_call]
        return {
            "model": self.name,
            "cases": len(self.cases),
            "overall": _measures(self.cases),
            "must_call": proportion(sum(c.called for c in must), len(must)),
            "no_call": proportion(sum(c.has("exact") for c in rest), len(rest)),
            "by_category": by_category,
            "by_tool": {name: _measures([c for c in self.cases if name in c.tools]) for name in tools},
            "metrics": {
                name: proportion(sum(bool(metric(c)) for c in self.cases), len(self.cases))
                for name, metric in self.metrics.items()
            },
            "failed": [c.conversation.id for c in self.cases if not c.has("exact")],
            "seconds": round(self.seconds, 1),
            "speed": self.speed,
        }

    @property
    def exact(self) -> float:
        return sum(c.has("exact") for c in self.cases) / max(len(self.cases), 1)


def mcnemar(first: Evaluation, second: Evaluation) -> dict[str, float | int]:
    """Exact two-sided McNemar test on exact cases: gained, lost, p.

    Args:
        first, second: evaluations of the same cases in the same order.
    """
    pairs = list(zip(first.cases, second.cases, strict=True))
    gained = sum(b.has("exact") and not a.has("exact") for a, b in pairs)
    lost = sum(a.has("exact") and not b.has("exact") for a, b in pairs)
    return paired_test(gained, lost)


def differing(first: Evaluation, second: Evaluation) -> dict[str, Any]:
    """How often two evaluations of the same cases, in the same order, do not say the same.

    `verdicts` counts cases that differ in any measure, `answers` those that differ in any character.
    """
    pairs = list(zip(first.cases, second.cases, strict=True))
    verdicts = [(a, b) for a, b in pairs if any(a.has(m) != b.has(m) for m in MEASURES)]
    answers = sum([t.raw for t in a.turns] != [t.raw for t in b.turns] for a, b in pairs)
    return {
        "cases": len(pairs),
        "verdicts": len(verdicts),
        "answers": answers,
        "ids": [a.conversation.id for a, _ in verdicts],
    }


def score_turn(
    expected: Sequence[ToolCall], predicted: Sequence[ToolCall], raw: str, error: str
) -> TurnResult:
    """Compares one answer's calls with the expected ones, one to one in any order."""
    expected = settle(expected, predicted)
    same_tools = Counter(c.name for c in expected) == Counter(c.name for c in predicted)
    pairs = match_calls(expected, predicted) if same_tools else []
    names = same_tools and all(a and b and a.arguments.keys() == b.arguments.keys() for a, b in pairs)
    values = names and all(a and b and same_value(a.arguments, b.arguments) for a, b in pairs)
    return TurnResult(
        tuple(expected),
        tuple(predicted),
        raw,
        error,
        not error,
        same_tools,
        names,
        values,
        values and not error,
    )


def _measures(cases: Iterable[CaseResult]) -> dict[str, Any]:
    cases = list(cases)
    return {measure: proportion(sum(c.has(measure) for c in cases), len(cases)) for measure in MEASURES}


class ToolCallEvaluator:
    """Asks a served model every scored turn of a list of conversations.

    Args:
        conversations: the frozen test (or the validation split).
        parallel: requests in flight; the server needs as many slots.
        max_tokens: tokens an answer may have; one that is cut there counts as it stands.
        reporter: where progress goes.
        metrics: name to a function of a CaseResult that says whether the case has it; each is
            counted with its interval under `metrics` in the summary, and decides nothing.
        cache_prompt: whether a request may go on from what its slot holds of the one before.
    """

    def __init__(
        self,
        conversations: Sequence[Conversation],
        *,
        parallel: int = 4,
        max_tokens: int = 256,
        reporter: Reporter | None = None,
        metrics: Mapping[str, Metric] | None = None,
        cache_prompt: bool = True,
    ) -> None:
        self.conversations = list(conversations)
        self.parallel = parallel
        self.max_tokens = max_tokens
        self.reporter = reporter or Quiet()
        self.metrics = dict(metrics or {})
        self.cache_prompt = cache_prompt

    async def evaluate(self, client: LlamaCppClient, name: str, *, timed: bool = False) -> Evaluation:
        """Scores the model behind `client`, and with `timed` measures its speed after that.

        Raises:
            ServerError: the server died or answered with an error; a malformed call is no error.
        """
        clock = asyncio.get_running_loop().time
        started = clock()
        turns = [c.scored_turns() for c in self.conversations]
        results: list[list[TurnResult]] = [[] for _ in turns]
        with self.reporter.task(f"scoring {name}", sum(map(len, turns))) as task:
            # All first turns, then all second ones: a slot then keeps the tools of the request before and none of its
            # answer, whose keys and values, made token by token, would differ in the last digits from a prompt's.
            for n in range(max(map(len, turns), default=0)):
                due = [i for i in range(len(turns)) if n < len(turns[i])]
                asked = [(self.conversations[i], turns[i][n]) for i in due]
                for i, result in zip(due, await self._asked(client, asked, task, alone=n == 0), strict=True):
                    results[i].append(result)
        seconds = clock() - started
        cases = [CaseResult(c, tuple(r)) for c, r in zip(self.conversations, results, strict=True)]
        speed = await self._speed(client) if timed else None
        return Evaluation(name, cases, seconds, self.metrics, speed)

    async def check_cache(
        self, client: LlamaCppClient, scored: Evaluation, sample: int = 10
    ) -> dict[str, Any]:
        """Asks a sample of what was scored again, without the prompt cache; returns what `differing` counts.

        On several slots llama.cpp's sums depend on what else is in the batch (its issue 7052), so a near tie
        may fall the other way; a prompt cache that holds another conversation would show as many.
        """
        chosen = scored.cases[:: max(1, len(scored.cases) // sample)][:sample]
        again = ToolCallEvaluator(
            [c.conversation for c in chosen],
            parallel=self.parallel,
            max_tokens=self.max_tokens,
            reporter=self.reporter,
            cache_prompt=False,
        )
        uncached = await again.evaluate(client, "a sample without cache")
        return differing(Evaluation(scored.name, chosen), uncached)

    async def final_answers(self, client: LlamaCppClient, name: str) -> dict[str, str]:
        """The closing answer to every conversation that has one, by conversation id."""
        slots = asyncio.Semaphore(self.parallel)
        wanted = {c.id: c for c in self.conversations if c.final_turn() is not None}
        with self.reporter.task(f"final answers of {name}", len(wanted)) as task:

            async def answer(conversation: Conversation) -> str:
                turn = conversation.final_turn()
                assert turn is not None
                async with slots:
                    reply = await client.chat(turn.history, conversation.tools, max_tokens=self.max_tokens)
                task.advance()
                return reply.text

            texts = await gather([answer(c) for c in wanted.values()])
        return dict(zip(wanted, texts, strict=True))

    async def _speed(self, client: LlamaCppClient) -> dict[str, float]:
        """Tokens a second of one request alone: `prompt` read without cache, `generated` whatever they say.

        The test's own answers do not serve: several are made at once, and the shorter a model's are, the more
        often one waits for another's prompt.
        """
        conversation = self.conversations[0]
        prompt = await client.render(conversation.scored_turns()[0].history, conversation.tools)
        tokens = min(TIMED_TOKENS, self.max_tokens)  # the server's context is made for max_tokens
        value = await client.complete(prompt, n_predict=tokens, ignore_eos=True, cache_prompt=False)
        found: dict[str, float] = {}
        for name, theirs in (("prompt", "prompt"), ("generated", "predicted")):
            count, milliseconds = (value["timings"][f"{theirs}_{unit}"] for unit in ("n", "ms"))
            found |= {f"{name}_tokens": count, name: round(1000 * count / max(milliseconds, 0.001), 2)}
        return found

    async def _asked(
        self, client: LlamaCppClient, asked: Sequence[tuple[Conversation, Turn]], task: Task, *, alone: bool
    ) -> list[TurnResult]:
        """The answers, in order; with `alone` the first request goes first, to fill the cache with the tools."""
        slots = asyncio.Semaphore(self.parallel)

        async def one(conversation: Conversation, turn: Turn) -> TurnResult:
            async with slots:
                result = await self._turn(client, conversation, turn)
            task.advance()
            return result

        first = [await one(*a) for a in asked[:1]] if alone else []
        return first + await gather([one(*a) for a in asked[len(first) :]])

    async def _turn(self, client: LlamaCppClient, conversation: Conversation, turn: Turn) -> TurnResult:
        reply = await client.chat(
            turn.history, conversation.tools, max_tokens=self.max_tokens, cache_prompt=self.cache_prompt
        )
        return score_turn(turn.expected, reply.calls, reply.raw, error_of(reply, turn.expected))


def error_of(reply: ChatReply, expected: Sequence[Any]) -> str:
    """What makes an answer no answer: its call is malformed or cut, "" where nothing does; words may be cut where no call is due."""
    if not reply.error and reply.finish_reason == "length" and (expected or reply.calls):
        return "truncated"
    return reply.error


async def gather(jobs: Sequence[Any]) -> list[Any]:
    """Runs coroutines together; the first failure cancels the rest and is raised."""
    tasks = [asyncio.ensure_future(job) for job in jobs]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
