"""One tool, checked; and the JSON lists of tools that people have.

A JSON list (or `{"tools": [...]}`) of OpenAI entries (`{"type": "function", "function": {...}}`)
or bare `{name, description, parameters, returns}`, the arguments also under the names that
Anthropic, MCP and LangChain have for them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property, wraps
from typing import Any, TypeVar

from auto_lora._errors import ToolsError
from auto_lora.catalog.schemas import MANY, in_2020_12, opened

T = TypeVar("T")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
# Of OpenAI, Anthropic, MCP and LangChain.
_PARAMETERS = ("parameters", "input_schema", "inputSchema", "args_schema")
_RESULT = ("output_schema", "outputSchema")  # near them in spelling, but of the result
# In a bare mapping of names to schemas each value is a mapping: one of these with another value is the keyword.
_KEYWORDS = frozenset(
    "$schema $id $anchor $comment title description default examples deprecated readOnly writeOnly type required"
    " additionalProperties unevaluatedProperties minProperties maxProperties".split()
)


@dataclass(frozen=True)
class ToolDefinition:
    """One tool a model can call.

    Args:
        name: letters, digits, `_`, `-` and `.`, at most 64 characters.
        description: what it does, in the words the model will read.
        parameters: JSON Schema of the arguments (`{"type": "object", "properties": ...}`);
            a bare mapping of parameter name to schema is taken as properties, all required;
            keywords alone (`{"additionalProperties": false}`) are an object without arguments. What the object
            refers to, consists of (`allOf`) or may be (`oneOf`, `anyOf`) is opened, see `opened`.
        returns: JSON Schema of the result, used to simulate responses; never shown to the model.

    Raises:
        ToolsError: the definition is not valid; names the tool and the place in its schema.
    """

    name: str
    description: str
    parameters: dict[str, Any] = field(default_factory=dict)
    returns: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "parameters", _as_object_schema(in_2020_12(self.parameters)))
        object.__setattr__(self, "returns", in_2020_12(self.returns))
        _check(self)

    @cached_property
    def properties(self) -> dict[str, Any]:
        """Parameter name to schema ({} where it is only true), required ones first: the order calls are written in.

        llama.cpp's grammar accepts arguments only in this order
        (common/json-schema-to-grammar.cpp, `_build_object_rule`).
        """
        return {k: v if isinstance(v, dict) else {} for k, v in required_first(self.parameters).items()}

    @property
    def required(self) -> tuple[str, ...]:
        return tuple(self.parameters.get("required", ()))

    def order_arguments(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The same arguments in schema order, required first, objects within them too; unknown ones last."""
        return _ordered(arguments, self.parameters)

    def to_openai(self) -> dict[str, Any]:
        """The entry for a request's `tools` list, as the model sees it."""
        return {
            "type": "function",
            "function": {
                "name": self.name,
                "description": self.description,
                "parameters": self.parameters,
            },
        }

    def to_json(self) -> dict[str, Any]:
        """The bare entry of a tools file, `returns` with it."""
        return self.to_openai()["function"] | ({"returns": self.returns} if self.returns is not None else {})


def parse_tools(data: Any, source: str = "tools") -> list[ToolDefinition]:
    """Tool definitions from parsed JSON; `source` names the place in errors."""
    if isinstance(data, Mapping) and "tools" in data:
        data = data["tools"]
    if not isinstance(data, Sequence) or isinstance(data, str) or not data:
        raise ToolsError(
            f"{source} holds no list of tools",
            'expected [{"name": ..., "description": ..., "parameters": {...}}, ...]',
        )
    tools = [_parse_tool(entry, f"{source}, tool {i}") for i, entry in enumerate(data, 1)]
    check_names(tools, source)
    return tools


def check_names(tools: Sequence[ToolDefinition], source: str = "tools") -> None:
    """Raises ToolsError when two tools share a name."""
    first: dict[str, int] = {}
    for i, tool in enumerate(tools, 1):
        if tool.name in first:
            raise ToolsError(
                f'{source}: tools {first[tool.name]} and {i} are both named "{tool.name}"',
                "give each tool a name of its own",
            )
        first[tool.name] = i


def required_first(schema: Mapping[str, Any]) -> dict[str, Any]:
    """An object schema's properties, required ones first."""
    given, required = schema.get("properties", {}), schema.get("required", ())
    return {k: given[k] for k in sorted(given, key=lambda k: k not in required)}


def _ordered(value: Any, schema: Any) -> Any:
    if isinstance(value, Mapping) and isinstance(schema, Mapping):
        known = {k: s for k, s in required_first(schema).items() if k in value}
        return {k: _ordered(value[k], known.get(k)) for k in [*known, *(k for k in value if k not in known)]}
    if isinstance(value, list) and isinstance(schema, Mapping):
        return [_ordered(item, schema.get("items")) for item in value]
    return value


def _parse_tool(entry: Any, where: str) -> ToolDefinition:
    if isinstance(entry, Mapping) and isinstance(entry.get("function"), Mapping):
        entry = {"returns": entry.get("returns"), **entry["function"]}
    if not isinstance(entry, Mapping):
        raise ToolsError(f"{where} is not an object", "each tool is {name, description, parameters}")
    try:
        return ToolDefinition(
            name=entry.get("name", ""),
            description=entry.get("description", ""),
            parameters=_parameters(entry),
            returns=entry.get("returns"),
        )
    except ToolsError as error:
        raise ToolsError(f"{where}: {error.message}", error.hint) from None


def _parameters(entry: Mapping[str, Any]) -> Any:
    for key in _PARAMETERS:
        if entry.get(key) is not None:
            return entry[key]
    for key in entry:
        near = get_close_matches(str(key), _PARAMETERS, 1, 0.7)
        if near and key not in (*_PARAMETERS, *_RESULT):
            raise ToolsError(
                f"{key!r} is no key of a tool", f"the schema of its arguments goes by {near[0]!r}"
            )
    return {}


def _as_object_schema(parameters: Any) -> Any:
    if not isinstance(parameters, Mapping):
        return parameters
    parameters = dict(parameters)
    whole = isinstance(parameters.get("$ref"), str) or any(isinstance(parameters.get(k), list) for k in MANY)
    is_schema = whole or "properties" in parameters or isinstance(parameters.get("type"), str)
    if not is_schema:
        said = {k: v for k, v in parameters.items() if k in _KEYWORDS and not isinstance(v, Mapping)}
        bare = {k: v for k, v in parameters.items() if k not in said}
        parameters = ({"properties": bare, "required": list(bare)} if bare else {}) | said
    return {"type": "object", "properties": {}, **opened(parameters, parameters)}


def _check(tool: ToolDefinition) -> None:
    if not isinstance(tool.name, str) or not _NAME.fullmatch(tool.name):
        raise ToolsError(
            f"{tool.name!r} is not a tool name",
            "use a letter or _ first, then letters, digits, _ - . (64 at most)",
        )
    if not isinstance(tool.description, str) or not tool.description.strip():
        raise ToolsError(f'"{tool.name}" has no description', "say in a sentence what the tool does")
    if not isinstance(tool.parameters, Mapping):
        raise ToolsError(
            f'"{tool.name}": parameters are {tool.parameters!r}',
            'expected a JSON Schema: {"type": "object", "properties": {...}}',
        )
    for part, schema in (("parameters", tool.parameters), ("returns", tool.returns)):
        if schema is not None:
            _check_schema(tool.name, part, schema)
    if tool.parameters.get("type") != "object":
        raise ToolsError(
            f'"{tool.name}": parameters.type is {tool.parameters.get("type")!r}',
            'the arguments of a call are an object: "type": "object"',
        )
    unknown = [k for k in tool.required if k not in tool.parameters["properties"]]
    if unknown:
        raise ToolsError(
            f'"{tool.name}": parameters.required names {unknown[0]!r}, which is not a property',
            "add the property or drop it from required",
        )


def _check_schema(name: str, part: str, schema: Any) -> None:
    from jsonschema import Draft202012Validator

    error = next(iter(Draft202012Validator(Draft202012Validator.META_SCHEMA).iter_errors(schema)), None)
    if error is not None:
        place = ".".join([part, *map(str, error.absolute_path)])
        raise ToolsError(f'"{name}": {place} is not JSON Schema: {error.message}', "mend it there")


def per_tool(function: Callable[[ToolDefinition], T]) -> Callable[[ToolDefinition], T]:
    """Keeps what a function says of a tool; of the object: one with its parameters in another order is another."""
    known: dict[int, tuple[ToolDefinition, T]] = {}

    @wraps(function)
    def kept(tool: ToolDefinition) -> T:
        if id(tool) not in known:
            if len(known) > 10_000:
                known.clear()
            known[id(tool)] = tool, function(tool)  # the tool is held, so that its id stays its own
        return known[id(tool)][1]

    return kept
