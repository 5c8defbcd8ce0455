"""Copies of training conversations: without the closing answer, with foreign tools in the list, with names that mean nothing.

The last two are done to whole groups of conversations, each as large as an optimizer step, so that a group still shares its
prefix.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from auto_lora._conversation import Conversation, Message
from auto_lora._runs import dumps
from auto_lora._settings import TrainingConfig
from auto_lora.catalog import ToolDefinition
from auto_lora.dialogues.definitions.phrasebook import words_of
from auto_lora.dialogues.wording.near import fitting_distractors, kindred, near, topic_of_shape

# A parameter schema of these keywords alone names its parameters nowhere but in properties and required.
_RENAMED = frozenset(
    ("type", "properties", "required", "additionalProperties", "title", "description", "$defs", "$schema")
)


@dataclass(frozen=True)
class Names:
    """A tool's other name, and those of its parameters."""

    tool: str
    parameters: Mapping[str, str]


def vary(
    conversations: Sequence[Conversation], tools: Sequence[ToolDefinition], config: TrainingConfig, seed: int
) -> list[Conversation]:
    """The same conversations in the same order, a share of them closed, with distractors, masked.

    A group is as many conversations as an optimizer step has examples (batch_size x gradient_accumulation_steps), drawn at
    random; `distractor_share` and `masked_share` of the groups are taken independently, so some are both. Conversations with
    other tools than `tools` stay as they are. `meta` says what was done.

    Args:
        seed: of the groups, distractors and names.
    """
    rng, varied = random.Random(f"{seed}/variants"), list(conversations)
    size = config.batch_size * config.gradient_accumulation_steps
    plain = tuple(t.to_openai() for t in tools)
    left = [i for i, c in enumerate(varied) if c.tools == plain]
    rng.shuffle(left)
    for i in left[round(config.closing_share * len(left)) :]:
        varied[i] = varied[i].without_closing()
    rng.shuffle(left)
    count = len(left) // size
    crowded = set(rng.sample(range(count), round(config.distractor_share * count)))
    masked = set(rng.sample(range(count), round(config.masked_share * count)))
    # Those with distractors choose first: not every conversation may stand beside every distractor.
    for number in [*sorted(crowded), *sorted(masked - crowded)]:
        extra = distractors_for(tools, rng) if number in crowded else []
        group = [i for i in left if not any(_asks_for(varied[i], d) for d in extra)][:size]
        if len(group) < size:
            continue
        left = [i for i in left if i not in set(group)]
        shown = [*tools, *extra]
        if extra:
            rng.shuffle(shown)
        names = masking(shown, rng) if number in masked else {}
        for i in group:
            varied[i] = _crowded(varied[i], shown, [d.name for d in extra])
            varied[i] = rename(varied[i], names) if names else varied[i]
    return varied


# Distractors.


def _crowded(conversation: Conversation, shown: Sequence[ToolDefinition], extra: list[str]) -> Conversation:
    if not extra:
        return conversation
    meta = {**conversation.meta, "distractors": extra}
    return replace(conversation, tools=tuple(t.to_openai() for t in shown), meta=meta)


def distractors_for(tools: Sequence[ToolDefinition], rng: random.Random) -> list[ToolDefinition]:
    """Two to six tools to stand among `tools`, half of them look-alikes where there are enough."""
    found = fitting_distractors(tools)
    count = min(rng.randint(2, 6), len(found))
    alike, far = ([t for t, a in found if a is kind] for kind in (True, False))
    first = rng.sample(alike, min(count // 2, len(alike)))
    second = rng.sample(far, min(count - len(first), len(far)))
    return first + second


def _asks_for(conversation: Conversation, distractor: ToolDefinition) -> bool:
    """Whether a conversation that needs no call might need the distractor."""
    if conversation.category != "no_call":
        return False
    if conversation.meta.get("foreign") == distractor.name:
        return True
    topic = topic_of_shape(str(conversation.meta.get("shape", "")))
    return near(conversation.prompt, [distractor]) or (topic is not None and kindred(topic, [distractor]))


# Masks.


def masking(tools: Sequence[ToolDefinition], rng: random.Random) -> dict[str, Names]:
    """Meaningless names for tools and parameters, numbered at random (Hammer, arXiv 2410.04587)."""
    numbers = rng.sample(range(1, len(tools) + 1), len(tools))
    return {t.name: Names(f"func_{n}", _masked(t, rng)) for t, n in zip(tools, numbers, strict=True)}


def _masked(tool: ToolDefinition, rng: random.Random) -> dict[str, str]:
    parameters = list(tool.properties)
    if not tool.parameters.keys() <= _RENAMED or "#/properties/" in json.dumps(tool.parameters):
        return {p: p for p in parameters}
    numbers = rng.sample(range(1, len(parameters) + 1), len(parameters))
    return {p: f"arg_{n}" for p, n in zip(parameters, numbers, strict=True)}


def rename(conversation: Conversation, names: Mapping[str, Names]) -> Conversation:
    """The conversation with other names of tools and parameters in its tools, calls and results' headers.

    Descriptions and results stay; a parameter without a description gets its old name as one, else nothing would tell it.
    """
    tools = tuple(_renamed_tool(entry, names) for entry in conversation.tools)
    messages = tuple(_renamed_message(m, names) for m in conversation.messages)
    meta = {**conversation.meta, "names": {n.tool: old for old, n in names.items()}}
    return replace(conversation, tools=tools, messages=messages, meta=meta)


def _renamed_tool(entry: dict[str, Any], names: Mapping[str, Names]) -> dict[str, Any]:
    function = entry["function"]
    new, parameters = names[function["name"]], function["parameters"]
    properties = {
        new.parameters[p]: _described(schema, p) if new.parameters[p] != p else schema
        for p, schema in parameters.get("properties", {}).items()
    }
    changed: dict[str, Any] = {"properties": properties}
    if "required" in parameters:
        changed["required"] = [new.parameters[p] for p in parameters["required"]]
    return {**entry, "function": {**function, "name": new.tool, "parameters": {**parameters, **changed}}}


def _described(schema: Any, name: str) -> Any:
    if not isinstance(schema, dict) or schema.get("description"):
        return schema
    return {**schema, "description": " ".join(words_of(name)).capitalize()}


def _renamed_message(message: Message, names: Mapping[str, Names]) -> Message:
    if message["role"] == "tool" and message.get("name") in names:
        return {**message, "name": names[message["name"]].tool}
    if not message.get("tool_calls"):
        return message
    calls = []
    for call in message["tool_calls"]:
        new = names[call["function"]["name"]]
        given = json.loads(call["function"]["arguments"])
        arguments = dumps({new.parameters.get(k, k): v for k, v in given.items()})
        calls.append({**call, "function": {**call["function"], "name": new.tool, "arguments": arguments}})
    return {**message, "tool_calls": calls}
