"""Stage 8: what went wrong on validation, and the next round's data that follows from it.

Only the validation split is looked at here; the frozen test decides nothing.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from auto_lora._conversation import Conversation, read_conversations
from auto_lora._runs import read_json
from auto_lora._settings import LOWEST_RATE, TrainingConfig
from auto_lora._toolcall import ToolCall, match_calls, same_value
from auto_lora.catalog import ToolDefinition
from auto_lora.dialogues import Focus
from auto_lora.dialogues.wording.near import topic_of_shape
from auto_lora.handover import floor_verdict
from auto_lora.score import CaseResult, Evaluation, TurnResult

ERROR_CLASSES = (
    "invalid_json", "truncated", "missed_call", "unexpected_call", "wrong_tool", "unknown_tool",
    "missing_argument", "extra_argument", "wrong_type", "wrong_value",
)  # fmt: skip


@dataclass(frozen=True)
class Fault:
    """One thing wrong with an answer: its class, and the tool and parameter it concerns ("": none)."""

    kind: str
    tool: str = ""
    parameter: str = ""


@dataclass(frozen=True)
class RoundPlan:
    """The next iteration's training data.

    Attributes:
        new_examples: conversations to write beside those already there.
        shares: share of each category among them.
        focus: tools and parameters that get more of them.
        reasons: one sentence for each lever that moved.
    """

    new_examples: int
    shares: Mapping[str, float]
    focus: Focus
    reasons: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        focus = {
            "tools": dict(self.focus.tools),
            "parameters": [[*key, weight] for key, weight in self.focus.parameters.items()],
            "topics": dict(self.focus.topics),
        }
        return {**asdict(self), "shares": dict(self.shares), "focus": focus}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> RoundPlan:
        """The plan that `to_json` wrote."""
        found = value["focus"]
        parameters = {(tool, parameter): weight for tool, parameter, weight in found["parameters"]}
        focus = Focus(tools=found["tools"], parameters=parameters, topics=found.get("topics", {}))
        return cls(value["new_examples"], value["shares"], focus, value["reasons"])


@dataclass(frozen=True)
class Round:
    """A finished iteration: its number, its exact share and loss on validation, and what follows from it.

    `keeps`: its adapter stays below `max_forgetting_kl`; `drift`: KL per token by adapter scale, None: not measured.
    `gain`: validation cases gained and lost since the round before, None of the first.
    `rank`: the larger is the better; one that keeps the floor is better than any that does not, and of two with as many
    exact cases the one with the lower validation loss.
    """

    number: int
    exact: float
    loss: float
    keeps: bool
    drift: dict[str, float] | None
    plan: RoundPlan
    gain: Mapping[str, Any] | None = None

    @property
    def within_error(self) -> bool:
        """Whether it gained no more over the round before than the error bar: the square root of the cases that changed,
        which is McNemar's standard error of gained less lost."""
        if self.gain is None:
            return False
        gained, lost = self.gain["gained"], self.gain["lost"]
        return bool(gained - lost <= math.sqrt(gained + lost))

    @property
    def rank(self) -> tuple[bool, float, float]:
        return self.keeps, self.exact, -self.loss

    @classmethod
    def read(cls, path: Path, max_forgetting_kl: float) -> Round:
        """The round whose `metrics.json` this is."""
        metrics = read_json(path)
        exact, drift = metrics["validation"]["overall"]["exact"], metrics["drift"]
        keeps = not floor_verdict(drift["1.0"] if drift else None, max_forgetting_kl)
        plan = RoundPlan.from_json(metrics["next_round"])
        training = metrics["training"]
        loss = training["history"][training["best_epoch"] - 1]["validation_loss"]
        share = exact["count"] / max(exact["of"], 1)
        return cls(metrics["iteration"], share, loss, keeps, drift, plan, metrics.get("gain"))


def next_lesson(
    config: TrainingConfig, number: int, conversations: Sequence[Conversation], first: Path, before: Path
) -> tuple[TrainingConfig, tuple[Conversation, ...]]:
    """Settings and training data of a later round: on from the adapter before it, at half the first's learning rate.

    It sees its new conversations and as many of the earlier ones, which it would forget without (replay; Rolnick et al.,
    arXiv 1811.11682). docs/LOG.md, twentieth part, has what else was tried.

    Args:
        number: of the round, from 2 on.
        conversations: all so far, those of the round before first.
        first, before: folders of the first round and of the one before, with `training.json`, `train.jsonl` and adapter.
    """
    rate = max(read_json(first / "training.json")["learning_rate"] / 2, LOWEST_RATE)
    known = len(read_conversations(before / "train.jsonl"))
    new = conversations[known:]
    again = random.Random(f"{config.seed + number}/again").sample(conversations[:known], min(len(new), known))
    return replace(config, init_adapter=str(before), learning_rate=rate), (*new, *again)


def faults_of(turn: TurnResult, tools: Mapping[str, ToolDefinition]) -> list[Fault]:
    """Every fault of one answer, by comparing it with what was expected."""
    if turn.exact:
        return []
    faults = [Fault(turn.error)] if turn.error else []
    pairs = match_calls(turn.expected, turn.predicted)
    surplus = [actual for expected, actual in pairs if expected is None and actual is not None]
    for expected, actual in pairs:
        if expected is None:
            continue
        if actual is not None:
            faults += _argument_faults(expected, actual, tools.get(expected.name))
        elif surplus:
            other = surplus.pop(0)
            faults.append(Fault("wrong_tool" if other.name in tools else "unknown_tool", expected.name))
        elif not turn.error:
            faults.append(Fault("missed_call", expected.name))
    for call in surplus:
        faults.append(Fault("unexpected_call" if call.name in tools else "unknown_tool", call.name))
    return faults


def _argument_faults(expected: ToolCall, actual: ToolCall, tool: ToolDefinition | None) -> list[Fault]:
    name, faults = expected.name, []
    for key, value in expected.arguments.items():
        if key not in actual.arguments:
            faults.append(Fault("missing_argument", name, key))
        elif not same_value(value, actual.arguments[key]):
            schema = tool.properties.get(key, {}) if tool else {}
            fits = Draft202012Validator(_type_only(schema)).is_valid(actual.arguments[key])
            faults.append(Fault("wrong_value" if fits else "wrong_type", name, key))
    return faults + [
        Fault("extra_argument", name, key) for key in actual.arguments if key not in expected.arguments
    ]


def _type_only(schema: Any) -> dict[str, Any]:
    return {"type": schema["type"]} if isinstance(schema, Mapping) and "type" in schema else {}


def analyse(evaluation: Evaluation, tools: list[ToolDefinition]) -> dict[str, Any]:
    """The content of `error_analysis.json`: counts by class, tool and parameter, and each failure."""
    by_name = {tool.name: tool for tool in tools}
    failures = [f for case in evaluation.cases if not case.has("exact") for f in _failures(case, by_name)]
    faults = [Fault(**f) for failure in failures for f in failure["faults"]]
    return {
        "cases": len(evaluation.cases),
        "failed_cases": sum(not case.has("exact") for case in evaluation.cases),
        "by_class": dict(Counter(f.kind for f in faults).most_common()),
        "by_tool": dict(Counter(f.tool for f in faults if f.tool).most_common()),
        "by_parameter": dict(Counter(f"{f.tool}.{f.parameter}" for f in faults if f.parameter).most_common()),
        "failures": failures,
    }


def _failures(case: CaseResult, tools: Mapping[str, ToolDefinition]) -> list[dict[str, Any]]:
    found = []
    for turn in case.turns:
        faults = faults_of(turn, tools)
        if faults:
            found.append(
                {
                    "id": case.conversation.id,
                    "category": case.conversation.category,
                    "prompt": case.conversation.prompt,
                    "expected_calls": [c.to_json() for c in turn.expected],
                    "predicted_calls": [c.to_json() for c in turn.predicted],
                    "raw_text": turn.raw,
                    "error_class": faults[0].kind,
                    "faults": [asdict(f) for f in faults],
                }
            )
    return found


def case_rows(base: Evaluation, adapter: Evaluation, tools: list[ToolDefinition]) -> list[dict[str, Any]]:
    """The lines of `cases.jsonl`: every case with what was expected and both models' answers.

    `expected` and `turns` have one entry a scored turn; `faults` are those of all turns.

    Args:
        base, adapter: evaluations of the same cases in the same order.
    """
    by_name = {tool.name: tool for tool in tools}
    return [
        {
            "id": before.conversation.id,
            "category": before.conversation.category,
            "prompt": before.conversation.prompt,
            "expected": [[c.to_json() for c in turn.expected] for turn in before.turns],
            "base": _answers(before, by_name),
            "adapter": _answers(after, by_name),
        }
        for before, after in zip(base.cases, adapter.cases, strict=True)
    ]


def _answers(case: CaseResult, tools: Mapping[str, ToolDefinition]) -> dict[str, Any]:
    return {
        "exact": case.has("exact"),
        "faults": [asdict(f) for turn in case.turns for f in faults_of(turn, tools)],
        "turns": [
            {"raw": t.raw, "calls": [c.to_json() for c in t.predicted], "error": t.error} for t in case.turns
        ],
    }


def plan_next_round(evaluation: Evaluation, analysis: Mapping[str, Any], config: TrainingConfig) -> RoundPlan:
    """What to write next: more where it failed.

    New examples: 4 for each failed case (LoopTool, arXiv 2511.09148, found 4 new variations of an
    error better than its repetition), at least a quarter and at most all of the first round's
    number. Categories (as training has them), tools, parameters and the topics of no-call prompts are weighted by
    their error rates.
    """
    first = config.num_synthetic_examples
    new = min(first, max(first // 4, 4 * analysis["failed_cases"], 1))
    reasons = [
        f"{analysis['failed_cases']} of {analysis['cases']} validation cases failed: {new} new examples"
    ]
    rates = _error_rates(evaluation)
    usual = config.training_shares or config.category_shares
    weights = {c: share * (0.5 + 3 * rates.get(c, 0.0)) for c, share in usual.items()}
    total = sum(weights.values())
    shares = {c: weight / total for c, weight in weights.items()}
    worst = max(rates, key=lambda c: rates[c], default="")
    if worst and rates[worst] > 0:
        reasons.append(f"more of the category {worst} ({rates[worst]:.0%} failed)")
    focus = _focus(evaluation, analysis)
    if focus.tools:
        reasons.append(f"more of the tool {max(focus.tools, key=lambda t: focus.tools[t])}")
    if focus.parameters:
        tool, parameter = max(focus.parameters, key=lambda p: focus.parameters[p])
        reasons.append(f"more of the parameter {tool}.{parameter}")
    if focus.topics:
        reasons.append(f"more prompts that need no call about {', '.join(list(focus.topics)[:3])}")
    return RoundPlan(new, shares, focus, reasons)


def _error_rates(evaluation: Evaluation) -> dict[str, float]:
    cases = Counter(c.conversation.category for c in evaluation.cases)
    failed = Counter(c.conversation.category for c in evaluation.cases if not c.has("exact"))
    return {category: failed[category] / n for category, n in cases.items()}


# Faults that more conversations with the parameter mend; one that was given too much needs more of its tool without it.
_OF_PARAMETERS = frozenset(("missing_argument", "wrong_value", "wrong_type"))
# A call that was not due is mended by prompts that need none, not by more calls.
_OF_TOOLS = _OF_PARAMETERS | {"missed_call", "wrong_tool", "extra_argument"}


def _focus(evaluation: Evaluation, analysis: Mapping[str, Any]) -> Focus:
    """Extra weights: three times the share that failed of what asks for a tool or gives a parameter; for a topic 3 a false call."""
    asked, given, topics = Counter[str](), Counter[tuple[str, str]](), Counter[str]()
    for case in evaluation.cases:
        for call in [c for turn in case.turns for c in turn.expected]:
            asked[call.name] += 1
            given.update((call.name, key) for key in call.arguments)
        topic = topic_of_shape(str(case.conversation.meta.get("shape", "")))
        if case.conversation.category == "no_call" and topic and not case.has("exact"):
            topics[topic.name] += 1
    tools, parameters = Counter[str](), Counter[tuple[str, str]]()
    for failure in analysis["failures"]:
        faults = [Fault(**f) for f in failure["faults"]]
        tools.update({f.tool for f in faults if f.kind in _OF_TOOLS})
        parameters.update({(f.tool, f.parameter) for f in faults if f.kind in _OF_PARAMETERS})
    return Focus(
        tools={
            t: round(3 * n / (asked[t] + 2), 3) for t, n in tools.items()
        },  # + 2: of few cases little is known
        parameters={p: round(3 * n / (given[p] + 2), 3) for p, n in parameters.items()},
        topics={t: 3.0 * n for t, n in topics.items()},
    )
