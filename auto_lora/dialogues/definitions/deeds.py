"""Deeds that arguments name beside the tool's own verb: "rejected" of an enum is to reject, "Whether to email the invoice" to email it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

from auto_lora.catalog import ToolDefinition
from auto_lora.catalog.definition import per_tool
from auto_lora.dialogues.definitions.acted_on import objects_of
from auto_lora.dialogues.definitions.meaning import asks, switches_of, tool_act, verb_act
from auto_lora.dialogues.definitions.phrasebook import phrases, stem, words_of

_WHETHER = re.compile(
    r"\W*(?:whether|if true,?|set to true|true)(?: or not)? to (?:also )?(\w+) (?:(?:the|an?|this) )?(\w+)",
    re.I,
)


@per_tool
def other_deeds(tool: ToolDefinition) -> frozenset[str]:
    """Verbs for what a boolean says is done as well with a tool's thing, where the tool makes or changes it: a sentence with one would say it."""
    if asks(tool):
        return frozenset()
    verb = tool_act(tool)[1].partition(" ")[0]
    heads = {stem(p.split()[-1].lower()) for p in objects_of(tool.name, tool.description)} | {"it"}
    found: set[str] = set()
    for name, schema in tool.properties.items():
        if not isinstance(schema, Mapping) or schema.get("type") != "boolean" or name in switches_of(tool):
            continue
        first, *rest = words_of(name) or [""]
        told = _WHETHER.match(str(schema.get("description", "")))
        deeds = [(first, rest[-1:]), *([(told[1].lower(), [told[2]])] if told else [])]
        found |= {v for v, thing in deeds if verb_act(v) and (not thing or stem(thing[0].lower()) in heads)}
    if verb_act(verb) != "send" and any(verb_act(v) == "send" for v in found):
        found |= {*phrases("acts")["send"]["verbs"]}  # "email the invoice" sends it
    return frozenset(found - {verb})


@cache
def says(deeds: frozenset[str]) -> re.Pattern[str]:
    """What finds one of some verbs in a sentence."""
    return re.compile(rf"\b(?:{'|'.join(map(re.escape, sorted(deeds)))})(?:s|ed|ing)?\b", re.I)
