"""A call's values, drawn one by one, made to agree with one another: an end after its start, a kind that fits its title."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

from auto_lora.catalog import ToolDefinition
from auto_lora.dialogues.definitions.frames import Frame
from auto_lora.dialogues.definitions.moments import read, told
from auto_lora.dialogues.definitions.roles import KINDS, roles_of
from auto_lora.dialogues.definitions.schemas import resolve
from auto_lora.dialogues.values.casing import uncapitalised
from auto_lora.dialogues.values.contradicted import consistent
from auto_lora.dialogues.values.counted import counted
from auto_lora.dialogues.values.dates import dated_alike, in_order
from auto_lora.dialogues.values.ends import ascending
from auto_lora.dialogues.values.fitting import fitting
from auto_lora.dialogues.values.money import in_cents, without_cents
from auto_lora.dialogues.values.one_time import at_one_time
from auto_lora.dialogues.values.sampler import Sampler
from auto_lora.dialogues.values.side_by_side import of_one_length
from auto_lora.dialogues.values.surfaces import Value
from auto_lora.dialogues.values.work_texts import of_one_matter
from auto_lora.dialogues.wording.said import kind_beside

Step = Callable[[dict[str, Value]], dict[str, Value]]
_OFF = frozenset("off closed close locked lock disabled stop stopped".split())


def agreeing(
    rng: random.Random,
    split: str,
    sampler: Sampler,
    values: dict[str, Value],
    tool: ToolDefinition,
    frame: Frame | None,
    own: Collection[str],
    *,
    casual: bool = False,
) -> dict[str, Value]:
    """Values of which some are left out, changed or drawn again, so that somebody could mean them all at once.

    Args:
        split: whose names and dates are drawn.
        sampler: of this call's tool.
        frame: the sentence around them; what its words say stays.
        own: names of the user's values and of given ones, which stay as they are.
        casual: the prompt is typed without capitals.
    """
    roles = roles_of(tool)
    kept = {*own, *(n for n in values if frame and (roles[n] in frame.says or n in frame.means))}

    def typed(step: Step) -> Step:
        """What a step drew again is typed without capitals as well."""

        def then(before: dict[str, Value]) -> dict[str, Value]:
            after = step(before)
            if not casual:
                return after
            return {n: v if v == before[n] else uncapitalised(v, tool.properties[n], tool.parameters) for n, v in after.items()}  # fmt: skip

        return then

    steps: tuple[Step, ...] = (
        lambda v: _possible_together(v, tool),
        lambda v: at_one_time(rng, v, tool),
        typed(lambda v: consistent(rng, v, tool, kept)),
        lambda v: counted(rng, sampler, v, tool, own),
        lambda v: _of_its_kind(v, tool, frame),
        lambda v: in_order(rng, split, v, dated_alike(tool), own, sampler.tool_words),
        lambda v: ascending(v, own, tool.properties),
        lambda v: of_one_length(rng, v, tool, own),
        typed(lambda v: fitting(rng, split, v, tool, kept)),
        lambda v: in_cents(rng, v, tool),
        typed(lambda v: of_one_matter(rng, sampler.pools, split, v, tool, kept)),
    )
    for step in steps:
        values = step(values)
    return values


def contradict(values: Mapping[str, Value], tool: ToolDefinition) -> bool:
    """Whether values say what cannot be, and no step can tell which of them is wrong."""
    return _backwards(values, tool) or without_cents(values, tool)


def _possible_together(values: dict[str, Value], tool: ToolDefinition) -> dict[str, Value]:
    """Without what makes no sense beside the rest: nobody switches a lamp off at 75 percent."""
    deeds = [v for v in values.values() if v.role in ("state", "action")]
    said = [str(v.json).lower().removeprefix("turn_").removeprefix("switch_") for v in deeds]
    if "on" in said and any(
        "set" in s.get("enum", ()) for s in tool.properties.values() if isinstance(s, dict)
    ):
        return {n: v for n, v in values.items() if n in tool.required or n not in ("value", "level")}
    if _OFF.isdisjoint([*said, *(v.surface.lower() for v in deeds)]):
        return values
    levels = ("percent", "level", "color", "temperature", "warmth", "mood")
    return {n: v for n, v in values.items() if n in tool.required or (v.role not in levels and n != "value")}


def _of_its_kind(values: dict[str, Value], tool: ToolDefinition, frame: Frame | None) -> dict[str, Value]:
    """With a kind that fits what it stands beside; without one where there is none, or another stands in the sentence."""
    roles = roles_of(tool)
    name = next((n for n in values if roles[n] in KINDS and isinstance(values[n].json, str)), None)
    if name is None or (frame and roles[name] in frame.named):
        return values
    kind = kind_beside(tool, [roles[n] for n in values], values[name].json)
    if kind == values[name].json:
        return values
    if kind:
        return {**values, name: replace(values[name], json=kind, surface=kind)}
    return {n: v for n, v in values.items() if n != name or n in tool.required}


def _backwards(values: Mapping[str, Value], tool: ToolDefinition) -> bool:
    """Whether of two objects with a date each the second is earlier: an event that ends before it starts."""
    moments = []
    for name, value in values.items():
        if isinstance(value.json, dict):
            inner = resolve(tool.properties[name], tool.parameters).get("properties", {})
            texts = ((inner.get(k), v) for k, v in value.json.items() if isinstance(v, str))
            found = [m for schema, v in texts if isinstance(schema, dict) and (m := read(v, told(schema)))]
            moments += found if len(found) == 1 else []
    return len(moments) == 2 and moments[0] > moments[1]
