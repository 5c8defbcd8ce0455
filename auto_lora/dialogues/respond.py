"""What comes after a call: a simulated tool response that fits `returns`, and the final answer."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from jsonschema import Draft202012Validator

from auto_lora.catalog import ToolDefinition
from auto_lora.dialogues.definitions.phrasebook import words_of
from auto_lora.dialogues.definitions.schemas import resolve
from auto_lora.dialogues.values.sampler import Sampler

_DEEPEST = 12  # levels of a result; only a schema that holds itself has more
_SHORT = 6  # levels below which a list is empty where it may be: a tree's branches double with each


def can_be_simulated(tool: ToolDefinition, tries: int = 20) -> bool:
    """Whether results can be made up that fit the tool's `returns`: a quarter of `tries` fit."""
    if tool.returns is None:
        return True
    sampler = Sampler(0, "train")
    try:
        fits = Draft202012Validator(tool.returns).is_valid
        return 4 * sum(fits(tool_response(tool, {}, sampler)) for _ in range(tries)) >= tries
    except Exception:  # whatever a foreign schema does to the validator or the sampler
        return False


def tool_response(tool: ToolDefinition, arguments: Mapping[str, Any], sampler: Sampler) -> Any:
    """A result that fits the tool's `returns`; values that were arguments come back as they were.

    Flags of success are true, so that the final answer can say that it worked.
    """
    if tool.returns is None:
        return {"status": "ok"}
    sampler.roles, sampler.switches = {}, {}  # those of arguments
    return _fill(resolve(tool.returns, tool.returns), arguments, sampler, tool.returns, "result", 0)


def _fill(
    schema: Mapping[str, Any],
    arguments: Mapping[str, Any],
    sampler: Sampler,
    root: Mapping[str, Any],
    name: str,
    depth: int,
) -> Any:
    if depth > _DEEPEST:
        raise RecursionError(name)
    schema = resolve(schema, root)
    if schema.get("type") == "object" or "properties" in schema:
        return {
            key: _echo(key, arguments)
            if _same_type(part, root, _echo(key, arguments))
            else _fill(part, arguments, sampler, root, key, depth + 1)
            for key, part in schema.get("properties", {}).items()
        }
    if schema.get("type") == "array" and isinstance(schema.get("items"), Mapping):
        if depth > _SHORT and not schema.get("minItems"):
            return []
        count = max(schema.get("minItems", 1), min(2, schema.get("maxItems", 2)))
        return [
            _fill(schema["items"], arguments, sampler, root, name.removesuffix("s"), depth + 1)
            for _ in range(count)
        ]
    if schema.get("type") == "boolean":
        return True
    return sampler.sample(name, schema, root).json


def _echo(key: str, arguments: Mapping[str, Any]) -> Any:
    """The argument a result repeats: of its own name, or of the name after target, new or requested."""
    bare = key.split("_", 1)[1] if key.startswith(("target_", "new_", "requested_")) else key
    return arguments.get(key, arguments.get(bare))


def _same_type(schema: Any, root: Mapping[str, Any], value: Any) -> bool:
    """Whether a value fits a part of `root`, whose definitions the part may refer to."""
    if value is None:
        return False
    whole = Draft202012Validator(root)
    return whole.evolve(schema=schema).is_valid(value)


def final_answer(responses: Sequence[tuple[ToolDefinition, Any]]) -> str:
    """A closing sentence made of the responses' own values, at most three of each.

    Always of one form: a random opening is loss that nothing can lower, and tells the model nothing.
    """
    return "Done: " + "; ".join(_facts(tool, response) for tool, response in responses) + "."


def _facts(tool: ToolDefinition, response: Any) -> str:
    if isinstance(response, list):
        response = response[0] if response else {}
    if not isinstance(response, Mapping):
        return f"the result is {_spoken(response)}"
    facts = []
    for key, value in response.items():
        words = " ".join(words_of(key))
        if value is True:
            continue
        if isinstance(value, Mapping):
            inner = ", ".join(f"{' '.join(words_of(k))} {_spoken(v)}" for k, v in list(value.items())[:2])
            facts.append(f"{words} {inner}")
        else:
            facts.append(f"{words} {_spoken(value)}")
    done = ", ".join(facts[:3])
    return done or f"{' '.join(words_of(tool.name))} is done"


def _spoken(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_spoken(v) for v in value[:3])
    if isinstance(value, (Mapping, bool)) or value is None:
        return json.dumps(value, ensure_ascii=False)
    return str(value)
