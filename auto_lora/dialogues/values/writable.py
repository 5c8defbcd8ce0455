"""Whether argument values can be made up for the tools at all, before anything is written."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from jsonschema import Draft202012Validator

from auto_lora._errors import ToolsError
from auto_lora.catalog import ToolDefinition
from auto_lora.catalog.lint import FIX_TOOLS
from auto_lora.dialogues.values.own_values import OwnValues, ValueSampler
from auto_lora.dialogues.values.patterns import from_pattern
from auto_lora.dialogues.values.sampler import Sampler

_DRAWS = 60  # of a required argument; those of a pattern or a step fit at once, a "not" keeps few out


def check_values(tools: Sequence[ToolDefinition], samplers: Mapping[str, ValueSampler]) -> None:
    """Raises ToolsError where the writer cannot make up what a call needs.

    That is a pattern of which no text can be made up, or that Python reads otherwise than JSON Schema, and a required
    argument of which no drawn value fits its schema.

    Args:
        samplers: values of the user's domain, by "parameter" or "tool.parameter"; they are not tried.
    """
    rng, sampler = random.Random(0), Sampler(0, "train")
    own = OwnValues(samplers, "train", rng)
    for tool in tools:
        for path, pattern in _patterns(tool.parameters, "parameters"):
            try:
                from_pattern(pattern, rng)
            except (re.error, ValueError, RecursionError, OverflowError) as error:
                raise ToolsError(
                    f'"{tool.name}", {path}: no text can be made up for the pattern {pattern} ({error})',
                    FIX_TOOLS,
                ) from None
        for name in tool.required:
            if name in tool.properties and not own.key(tool, name) and not _drawable(sampler, tool, name):
                raise ToolsError(
                    f'"{tool.name}", parameters.properties.{name}: of {_DRAWS} values made up for it none fits its schema',
                    "correct what contradicts itself there, or say with an enum which values there are",
                )


def _drawable(sampler: Sampler, tool: ToolDefinition, name: str) -> bool:
    """Whether a value comes up that fits one parameter's schema."""
    about = {k: v for k, v in tool.parameters.items() if k in ("properties", "$defs", "definitions")}
    check = Draft202012Validator({**about, "required": [name]})  # not what ties several together
    draws = (sampler.sample(name, tool.properties[name], tool.parameters).json for _ in range(_DRAWS))
    return any(check.is_valid({name: value}) for value in draws)


def _patterns(schema: Any, path: str) -> Iterator[tuple[str, str]]:
    """The patterns in a schema with their places."""
    if isinstance(schema, list):
        for number, part in enumerate(schema):
            yield from _patterns(part, f"{path}[{number}]")
    if isinstance(schema, dict):
        if isinstance(schema.get("pattern"), str):
            yield path, schema["pattern"]
        for key, part in schema.items():
            if key not in ("enum", "const", "default", "examples"):
                yield from _patterns(part, f"{path}.{key}")
