"""What is asked for, before its words: one call's arguments, and what they have in common."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations, product
from typing import Any

from auto_lora.catalog import ToolDefinition
from auto_lora.dialogues.agreeing import agreeing, contradict
from auto_lora.dialogues.definitions.examples import described_values
from auto_lora.dialogues.definitions.meaning import asks, makes, switches_of, tool_act
from auto_lora.dialogues.definitions.phrasebook import split_of
from auto_lora.dialogues.definitions.programs import is_program
from auto_lora.dialogues.definitions.quoted import only_example
from auto_lora.dialogues.definitions.role_words import role_in
from auto_lora.dialogues.definitions.roles import roles_by_tool, roles_of
from auto_lora.dialogues.definitions.schemas import resolve
from auto_lora.dialogues.definitions.things import THINGS, says_another
from auto_lora.dialogues.definitions.units import kind_of_unit
from auto_lora.dialogues.values.casing import uncapitalised
from auto_lora.dialogues.values.dates import dated_alike
from auto_lora.dialogues.values.described import SLOT, described, shell_of
from auto_lora.dialogues.values.fitting import fitting
from auto_lora.dialogues.values.money import without_cents
from auto_lora.dialogues.values.own_values import OwnValues, ValueSampler
from auto_lora.dialogues.values.said_times import EVERYDAY
from auto_lora.dialogues.values.sampler import Sampler
from auto_lora.dialogues.values.surfaces import Value
from auto_lora.dialogues.values.work_texts import texts_of_one_matter
from auto_lora.dialogues.verify import values_key
from auto_lora.dialogues.wording.chooser import FrameChooser
from auto_lora.dialogues.wording.planned import PlannedCall
from auto_lora.dialogues.wording.several import may_differ
from auto_lora.dialogues.wording.together import NEAR_TO

_DATED = frozenset("date when start time daypart year month weekday".split())
_TWO_DIFFER = 0.3  # of the calls said together where two arguments may differ


@dataclass(frozen=True)
class Focus:
    """What the error loop wants more of.

    Attributes:
        tools: tool name to extra weight.
        parameters: (tool, parameter) to extra weight; such a parameter is given more often.
        topics: topic of requests that no tool covers to extra weight.
    """

    tools: Mapping[str, float] = field(default_factory=dict)
    parameters: Mapping[tuple[str, str], float] = field(default_factory=dict)
    topics: Mapping[str, float] = field(default_factory=dict)


class Planner:
    """Plans calls of one split.

    Args:
        tools: those to choose from.
        rng: decides all but the values, which `sampler` draws.
        samplers: values of the user's domain, by "parameter" or "tool.parameter".
    """

    def __init__(
        self,
        tools: Sequence[ToolDefinition],
        split: str,
        rng: random.Random,
        sampler: Sampler,
        samplers: Mapping[str, ValueSampler],
        focus: Focus,
    ) -> None:
        self.tools, self.split, self.random = list(tools), split, rng
        self.sampler, self.own, self.focus = sampler, OwnValues(samplers, split, rng), focus

    def tool(self, among: Sequence[ToolDefinition] | None = None) -> ToolDefinition:
        tools = list(among or self.tools)
        weights = [1.0 + self.focus.tools.get(t.name, 0.0) for t in tools]
        return self.random.choices(tools, weights)[0]

    def plan(
        self,
        chooser: FrameChooser,
        tool: ToolDefinition,
        *,
        optional: float,
        at_least: int = 0,
        given: Mapping[str, Any] | None = None,
        casual: bool = False,
    ) -> PlannedCall:
        """A frame and the arguments one would give in it; the combination belongs to this split where there are enough.

        Args:
            chooser: has the frames.
            optional: share of the optional arguments to give; at_least: as many of them.
            given: arguments that come from elsewhere, which the prompt does not say.
            casual: the prompt is typed without capitals.
        """
        weights = {k: self.focus.parameters.get((tool.name, k), 0.0) for k in tool.properties}
        self._samples_for(tool)
        roles = roles_of(tool)
        casual = casual and not is_program(tool)  # userStore is not userstore
        for _ in range(25):
            frame, chosen = chooser.choose(tool, optional=optional, at_least=at_least, weights=weights)
            self.sampler.slots = frame.named if frame else frozenset()
            if not any(roles[n] in NEAR_TO for n in chosen):  # "a pub nearby", not "a pub near"
                self.sampler.slots = self.sampler.slots - {"spatial"} | {"spatial_alone"}
            values: dict[str, Value] = {}
            for name, schema in dated_alike(tool).items():
                if given and name in given:
                    values[name] = Value(given[name], "", "hidden")
                elif name in chosen:
                    role = roles[name]
                    said = frame.says.get(role) if frame else None
                    enum = isinstance(schema, dict) and "enum" in schema
                    if frame and role == "command" and SLOT in frame.named:
                        value = described(self.sampler.pools, shell_of(tool))
                    elif frame and name in frame.means:
                        value = self.sampler.deed(frame.means[name], schema["enum"])
                    else:
                        value = Value(said, said.lower() if enum else said, role) if said else self._distinct(name, schema, tool, values)  # fmt: skip
                    values[name] = uncapitalised(value, schema, tool.parameters) if casual else value
            own = [n for n in values if self.own.key(tool, n) or n in (given or ())]
            values = agreeing(self.random, self.split, self.sampler, values, tool, frame, own, casual=casual)
            crowded = chooser.topic_of(tool) is None
            call = PlannedCall(
                tool, values, frozenset(given or ()), None if given else frame, casual, crowded
            )
            enough = len(values.keys() - set(tool.required)) >= at_least
            if contradict(values, tool):
                continue
            if enough and self.owns(call):
                break
        return call

    def _samples_for(self, tool: ToolDefinition) -> None:
        priced = any(r.startswith("currency") for r in roles_of(tool).values())  # then no "$" beside it
        self.sampler.tool_words = f"{tool.name} {tool.description}{' currency' if priced else ''}"
        self.sampler.switches, self.sampler.roles = switches_of(tool), roles_by_tool(tool)
        self.sampler.asked, self.sampler.made = asks(tool), makes(tool)
        self.sampler.warm = "warmth" in roles_of(tool).values()

    def alike(self, first: PlannedCall, count: int) -> list[PlannedCall]:
        """`count` calls, `first` among them, that differ in one argument; now and then in two, or two values of each are four calls.

        Empty where no argument that may differ is given, or too few values come up.
        """
        if any(isinstance(v.json, list) for v in first.values.values()):
            return []  # monday and friday at six and seven: which when?
        bound = texts_of_one_matter(
            first.tool
        )  # one ticket's title and another's description are of no ticket
        able = [n for n in first.shown() if may_differ(first, n) and n not in bound]
        two = len(able) > 1 and self.random.random() < _TWO_DIFFER
        names = sorted(self.random.sample(able, min(len(able), 1 + two)), key=able.index)
        drawn = [self._others(first, name, 2 if len(names) > 1 else count) for name in names]
        if not drawn or not all(drawn):
            return []
        roles = roles_of(first.tool)
        dated = any(
            roles[n] in _DATED for n in names
        )  # two towns on two days are four; two loans of two lengths are two
        reads = tool_act(first.tool)[0] in ("get", "find", "track", "compute", "convert")
        if len(names) == 1 or not dated or not reads or self.random.random() < 0.5:
            rows = list(zip(*drawn, strict=True))
        else:
            rows = list(product(*drawn))
        calls = [
            replace(first, values={**first.values, **dict(zip(names, row, strict=True))}) for row in rows
        ]
        mine = all(self.owns(call) for call in calls[1:])
        apart = not any(
            _clash(c.values[a], c.values[b]) for c in calls for a, b in combinations(names, 2)
        )  # from Oslo to Oslo
        return calls if mine and apart else []

    def another(self, call: PlannedCall, name: str) -> Value | None:
        """A value of one argument unlike the call's; None where none comes up."""
        return next(iter(self._others(call, name, 2)[1:]), None)

    def _others(self, first: PlannedCall, name: str, count: int) -> list[Value]:
        """`count` different values of one argument, the call's own first; none where too few come up."""
        tool = first.tool
        if first.values[name].role == SLOT:
            return []
        schema = dated_alike(tool)[name]
        self._samples_for(tool)
        others = {n: v for n, v in first.values.items() if n != name}
        values = [first.values[name]]
        for _ in range(20 * count):
            value = self._distinct(name, schema, tool, others)
            value = uncapitalised(value, schema, tool.parameters) if first.casual else value
            mine = self.owns(replace(first, values={**first.values, name: value}))
            changed = {**first.values, name: value}
            mine = mine and not without_cents(changed, tool)
            own = [n for n in changed if self.own.key(tool, n)]
            mine = mine and fitting(self.random, self.split, changed, tool, own) == changed
            if mine and value.surface and all(value.json != v.json for v in values):
                values.append(value)
            if len(values) == count:
                return values
        return []

    def _distinct(self, name: str, schema: Any, tool: ToolDefinition, given: Mapping[str, Value]) -> Value:
        """A value unlike the call's other texts: nobody flies from Rome to Rome, or converts miles into litres."""
        own = self.own.key(tool, name)
        tries = (
            200 if role_in(name, schema, "string").startswith("unit_") else 30
        )  # few are of the other's kind
        for _ in range(tries):
            value = (
                self.own.draw(own, name, schema)
                if own
                else self.sampler.sample(name, schema, tool.parameters)
            )
            another = (
                value.role in THINGS
                and isinstance(value.json, str)
                and says_another(value.json, name, tool.properties)
            )
            if not isinstance(value.json, str) or not (
                another or any(_clash(value, v) for v in given.values())
            ):
                break
        return value

    def owns(self, call: PlannedCall) -> bool:
        """Whether a call's value combination belongs to this split; where there are few, all are let through.

        A user's values decide alone, and a tool's only argument, if a string, is where strings are drawn: of 14 planets the test's
        fifth, not a fifth of that fifth.
        """
        if in_all_splits(call):
            return True
        own = {n: key for n in call.values if (key := self.own.key(call.tool, n))}
        if own:
            return all(self.own.owns(key, call.values[n].json) for n, key in own.items())
        if len(call.values) == len(call.tool.properties) == 1:
            ((name, value),) = call.values.items()
            told = described_values(str(call.tool.properties[name].get("description", "")))
            if str(value.json) in told:  # a scene's own names
                return True
            if isinstance(value.json, str):
                return split_of("value", value.json.casefold()) == self.split
        return split_of("call", values_key([call])) == self.split


def in_all_splits(call: PlannedCall) -> bool:
    """Whether the given arguments have so few values, or ones so common, that a split would miss them: "on" here, "off" there."""
    ways = 1
    for name, value in call.values.items():
        if str(value.json).casefold() in EVERYDAY:
            continue
        schema = resolve(call.tool.properties[name], call.tool.parameters)
        shown = only_example(name, str(schema.get("description", "")))
        if shown and str(value.json).casefold() == shown.casefold():  # half of what is said
            continue
        low, high = schema.get("minimum"), schema.get("maximum")
        if schema.get("enum"):
            ways *= len(schema["enum"])
        elif schema.get("type") == "boolean":
            ways *= 2
        elif schema.get("type") == "integer" and low is not None and high is not None:
            ways *= int(high - low) + 1
        else:
            return False
    return ways < 8


def _clash(value: Value, other: Value) -> bool:
    if value.json == other.json:
        return True
    units = value.role.startswith("unit") and other.role.startswith("unit") and isinstance(other.json, str)
    return units and kind_of_unit(str(value.json)) != kind_of_unit(str(other.json))
