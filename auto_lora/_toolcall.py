"""One tool call: how it is parsed out of text, and when two calls are the same.

Wire format (Hermes, used by Qwen2.5/Qwen3 and most small models): one JSON object
`{"name": ..., "arguments": {...}}` between `<tool_call>` and `</tool_call>`, repeated
for parallel calls. A malformed call from a model is data, never an exception.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from auto_lora._runs import loads

_BLOCK = re.compile(r"<tool_call>(.*?)(</tool_call>|\Z)", re.DOTALL)


@dataclass(frozen=True)
class ToolCall:
    """A tool's name and its arguments (JSON values)."""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def to_message(self, call_id: str) -> dict[str, Any]:
        """The call as an entry of an OpenAI assistant message's `tool_calls`."""
        arguments = json.dumps(self.arguments, ensure_ascii=False)
        return {
            "id": call_id,
            "type": "function",
            "function": {"name": self.name, "arguments": arguments},
        }

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "arguments": dict(self.arguments)}

    def nearest(self, actual: ToolCall) -> ToolCall:
        """The right form of this call that is nearest to an answer: this one."""
        return self


@dataclass(frozen=True)
class AcceptedCall(ToolCall):
    """An expected call with more than one right form; `arguments` are the first of them.

    Args:
        accepted: argument to its right values.
        optional: arguments that may be left out; one without accepted values may be anything.
    """

    accepted: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    optional: frozenset[str] = frozenset()

    @classmethod
    def of(cls, rule: Mapping[str, Any]) -> AcceptedCall:
        """From `{"name", "arguments": {parameter: [accepted values]}, "optional": [parameters]}`."""
        accepted, optional = rule["arguments"], frozenset(rule.get("optional", ()))
        return cls(rule["name"], {k: v[0] for k, v in accepted.items()}, accepted, optional)

    def nearest(self, actual: ToolCall) -> ToolCall:
        given = actual.arguments
        kept = {
            key: next((v for v in values if key in given and same_value(v, given[key])), values[0])
            for key, values in self.accepted.items()
            if key in given or key not in self.optional
        }
        free = {k: given[k] for k in given if k in self.optional and k not in self.accepted}
        return ToolCall(self.name, kept | free)


@dataclass(frozen=True)
class ParsedReply:
    """What a model's raw text holds: calls, the words around them, and what was malformed.

    `error` is "" when every block parsed, else one of the classes "invalid_json" (a block
    that is not a call) and "truncated" (a block that never ended).
    """

    calls: tuple[ToolCall, ...] = ()
    text: str = ""
    error: str = ""


def parse_arguments(value: Any) -> dict[str, Any] | None:
    """Arguments as an object, from an object or a JSON string; None when they are neither."""
    if isinstance(value, str):
        try:
            value = loads(value or "{}")
        except ValueError:
            return None
    return dict(value) if isinstance(value, Mapping) else None


def parse_reply(raw: str) -> ParsedReply:
    """Reads every `<tool_call>` block of a model's raw text."""
    calls: list[ToolCall] = []
    error = ""
    for body, end in _BLOCK.findall(raw):
        call = _parse_block(body)
        if call is not None:
            calls.append(call)
        else:
            error = error or ("invalid_json" if end else "truncated")
    return ParsedReply(tuple(calls), _BLOCK.sub("", raw).strip(), error)


def _parse_block(body: str) -> ToolCall | None:
    try:
        value = loads(body)
    except ValueError:
        return None
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        return None
    arguments = parse_arguments(value.get("arguments", {}))
    return None if arguments is None else ToolCall(value["name"], arguments)


def calls_of_message(message: Mapping[str, Any]) -> tuple[ToolCall, ...]:
    """The calls of an OpenAI assistant message that this program wrote itself.

    Raises:
        ValueError: arguments that are not a JSON object.
    """
    calls = []
    for entry in message.get("tool_calls") or ():
        function = entry["function"]
        arguments = parse_arguments(function["arguments"])
        if arguments is None:
            raise ValueError(f"arguments of {function['name']} are not a JSON object")
        calls.append(ToolCall(function["name"], arguments))
    return tuple(calls)


def same_value(expected: Any, actual: Any) -> bool:
    """Whether two JSON values are the same to a tool.

    Numbers by value (1 equals 1.0, never true; whole ones to the last digit, others to nine); strings without regard to case, Unicode
    form, surrounding space and runs of space; arrays in order; objects by key.
    """
    if isinstance(expected, bool) or isinstance(actual, bool):
        return expected is actual
    if isinstance(expected, int) and isinstance(actual, int):
        return expected == actual
    if isinstance(expected, (int, float)) and isinstance(actual, (int, float)):
        try:
            return math.isclose(expected, actual, rel_tol=1e-9)
        except OverflowError:  # a whole number beyond any float
            return False
    if isinstance(expected, str) and isinstance(actual, str):
        return normal_text(expected) == normal_text(actual)
    if isinstance(expected, Mapping) and isinstance(actual, Mapping):
        return expected.keys() == actual.keys() and all(
            same_value(value, actual[key]) for key, value in expected.items()
        )
    if isinstance(expected, (list, tuple)) and isinstance(actual, (list, tuple)):
        return len(expected) == len(actual) and all(map(same_value, expected, actual))
    return expected is None and actual is None


def normal_text(text: str) -> str:
    """Case-folded, NFKC, single spaces: the form in which strings are compared."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def same_call(expected: ToolCall, actual: ToolCall) -> bool:
    """Same tool and the same arguments, none missing and none added."""
    return expected.name == actual.name and same_value(expected.arguments, actual.arguments)


def match_calls(
    expected: Sequence[ToolCall], actual: Sequence[ToolCall]
) -> list[tuple[ToolCall | None, ToolCall | None]]:
    """Pairs expected with actual calls one to one, whatever their order.

    The pairing with the highest total likeness wins (same call, else same tool with the
    most equal arguments); what is left over is paired with None. Exhaustive over at most
    8 calls of either side, greedy beyond: 4 expected among 60 took a hundred seconds.
    """
    if max(len(expected), len(actual)) > 8:
        return _match_greedily(expected, actual)

    @cache
    def best(i: int, used: int) -> tuple[float, tuple[int | None, ...]]:
        if i == len(expected):
            return 0.0, ()
        score, rest = best(i + 1, used)
        choice: tuple[float, tuple[int | None, ...]] = (score, (None, *rest))
        for j, call in enumerate(actual):
            like = _likeness(expected[i], call)
            if like and not used >> j & 1:
                score, rest = best(i + 1, used | 1 << j)
                if score + like > choice[0]:
                    choice = (score + like, (j, *rest))
        return choice

    return _pairs(expected, actual, best(0, 0)[1])


def settle(expected: Sequence[ToolCall], actual: Sequence[ToolCall]) -> tuple[ToolCall, ...]:
    """The expected calls, each in its right form that is nearest to the answer it is matched with."""
    pairs = match_calls(expected, actual)
    return tuple(e.nearest(a or ToolCall(e.name, e.arguments)) for e, a in pairs if e is not None)


def _match_greedily(
    expected: Sequence[ToolCall], actual: Sequence[ToolCall]
) -> list[tuple[ToolCall | None, ToolCall | None]]:
    free = set(range(len(actual)))
    chosen: list[int | None] = []
    for call in expected:
        likeness = {j: _likeness(call, actual[j]) for j in sorted(free)}
        j = max(likeness, key=lambda k: likeness[k], default=None)
        if j is not None and not likeness[j]:
            j = None
        free.discard(-1 if j is None else j)
        chosen.append(j)
    return _pairs(expected, actual, chosen)


def _pairs(
    expected: Sequence[ToolCall], actual: Sequence[ToolCall], chosen: Sequence[int | None]
) -> list[tuple[ToolCall | None, ToolCall | None]]:
    pairs: list[tuple[ToolCall | None, ToolCall | None]] = [
        (call, None if j is None else actual[j]) for call, j in zip(expected, chosen, strict=True)
    ]
    pairs += [(None, call) for j, call in enumerate(actual) if j not in chosen]
    return pairs


def _likeness(expected: ToolCall, actual: ToolCall) -> float:
    """0 for another tool, 2 for the same call, between for equal arguments in part."""
    if expected.name != actual.name:
        return 0.0
    expected = expected.nearest(actual)
    keys = expected.arguments.keys() | actual.arguments.keys()
    missing = object()
    equal = sum(
        same_value(expected.arguments.get(k, missing), actual.arguments.get(k, missing)) for k in keys
    )
    return 1.0 + (equal / len(keys) if keys else 1.0)
