"""What llama.cpp's grammar compiler cannot take of the tools' schemas, and the projection that it takes.

llama-server turns every tool's `parameters` into a grammar for each request; one schema that it refuses
makes it refuse them all. Sources: common/json-schema-to-grammar.cpp and src/llama-grammar.cpp, issues 17473,
26930 and 27087 of ggml-org/llama.cpp, and the answers of a server to each case (tests/test_sources.py).

One walk makes both the findings and the projection, so that they cannot disagree.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from auto_lora._errors import ToolsError
from auto_lora.catalog.definition import ToolDefinition
from auto_lora.catalog.grammar_patterns import MOST_REPETITIONS, read_pattern
from auto_lora.catalog.schemas import (
    UnresolvedReference,
    goes_in_circles,
    inline,
    map_children,
    merged,
    never_ends,
)

FIX_TOOLS = "see `auto-lora tools SOURCE`; `--fix-tools FILE` writes tools that work"
_ANY = {"description": "Any value."}  # {} alone is read as an object
_BOUNDS = ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum")
_UNENFORCED = (
    "not", "if", "dependentRequired", "dependentSchemas", "patternProperties", "propertyNames", "minProperties",
    "maxProperties", "uniqueItems", "contains", "multipleOf", "unevaluatedProperties", "unevaluatedItems",
)  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """One place in a tool's schema.

    Attributes:
        tool: name of the tool.
        path: place in its definition, as in `parameters.properties.city.pattern`.
        level: "error": llama-server refuses the tools (or never answers), or no value fits; "warning": some builds refuse
            them, or the grammar means something else; "note": not enforced, so the model must know it.
        what: what is there and what comes of it.
        fix: what `fixed` puts there; empty for notes, which stay.
    """

    tool: str
    path: str
    level: str
    what: str
    fix: str = ""

    def __str__(self) -> str:
        fix = f" Instead: {self.fix}." if self.fix else ""
        return f'{self.level}: "{self.tool}", {self.path}: {self.what}.{fix}'


def lint(tools: Sequence[ToolDefinition]) -> list[Finding]:
    """All findings, in the order of the tools and of the places in them."""
    return [finding for tool in tools for finding in _Walk(tool).findings]


def fixed(tools: Sequence[ToolDefinition]) -> list[ToolDefinition]:
    """The tools with every error and warning projected to what llama.cpp takes; `lint` has at most notes on them."""
    return [ToolDefinition(t.name, t.description, _Walk(t).projected, t.returns) for t in tools]


def refuse_errors(tools: Sequence[ToolDefinition]) -> None:
    """Raises ToolsError naming the first finding that makes llama-server refuse the tools."""
    errors = [f for f in lint(tools) if f.level == "error"]
    if errors:
        more = f" ({len(errors) - 1} more)" if len(errors) > 1 else ""
        first = errors[0]
        raise ToolsError(f'"{first.tool}", {first.path}: {first.what}{more}', FIX_TOOLS)


class _Walk:
    """One tool's schema, walked once: `findings` and the `projected` parameters."""

    def __init__(self, tool: ToolDefinition) -> None:
        self.tool = tool
        self.findings: list[Finding] = []
        self.projected: dict[str, Any] = self._schema(tool.parameters, "parameters")

    def _say(self, level: str, path: str, what: str, fix: str = "") -> None:
        finding = Finding(self.tool.name, path, level, what, fix)
        if finding not in self.findings:
            self.findings.append(finding)

    def _schema(self, schema: Any, path: str) -> Any:
        if not isinstance(schema, Mapping):
            self._say("error", path, f"`{str(schema).lower()}` as a schema is refused", "any value")
            return dict(_ANY)
        out = self._reference(dict(schema), path)
        out.pop("$defs", None)
        out.pop("definitions", None)
        for rule in (
            self._all_of,
            self._branches,
            self._enum,
            self._lengths,
            self._numbers,
            self._pattern,
            self._items,
        ):
            out = rule(out, path)
        for key in _UNENFORCED:
            if key in out:
                self._say("note", f"{path}.{key}", "the grammar does not enforce this")
        # What is not enforced is not compiled either: no need to look inside.
        kept = {k: v for k, v in out.items() if k not in (*_UNENFORCED, "then", "else")}

        def walk(sub: Any, place: str) -> Any:
            allowed = place == "additionalProperties" and isinstance(sub, bool)
            return sub if allowed else self._schema(sub, f"{path}.{place}")

        walked = map_children(kept, walk)
        return {k: walked.get(k, v) for k, v in out.items()}

    # Rules: each says what it finds and returns the schema as it should be.

    def _reference(self, schema: dict[str, Any], path: str) -> dict[str, Any]:
        reference = schema.get("$ref")
        if not isinstance(reference, str):
            return schema
        place = f"{path}.$ref"
        beside = {k: v for k, v in schema.items() if k != "$ref"}
        try:
            fix = "any value" if not beside else "what stands beside it"
            if goes_in_circles(reference, self.tool.parameters):
                self._say("error", place, f"{reference} leads only to references, and back to itself", fix)
                return beside or dict(_ANY)
            if never_ends(schema, self.tool.parameters):
                what = f"{reference} requires itself, without end: nothing fits"
                self._say("error", place, what, "what it refers to, any object where that stands in itself")
            whole = inline(schema, self.tool.parameters)
        except UnresolvedReference as error:
            self._say("error", place, f"{error} is not in this schema, which is refused", fix)
            return beside or dict(_ANY)
        if not isinstance(whole, Mapping) or reference == "#" or "~" in reference or "%" in reference:
            self._say("error", place, f"a reference such as {reference} is refused", "what it refers to")
            return dict(whole) if isinstance(whole, Mapping) else dict(_ANY)
        ignored = f", and {', '.join(beside)} beside it not read" if set(beside) - {"description"} else ""
        what = f"{reference} is refused or misread by some builds{ignored}"
        self._say("warning", place, what, "what it refers to, in its place")
        return dict(whole)

    def _all_of(self, schema: dict[str, Any], path: str) -> dict[str, Any]:
        if "allOf" not in schema:
            return schema
        parts = [self._reference(dict(p), f"{path}.allOf.{i}") if isinstance(p, Mapping) else p
                 for i, p in enumerate(schema["allOf"])]  # fmt: skip
        what = "with allOf every property counts as required, and other keywords are not read"
        self._say("warning", f"{path}.allOf", what, "one schema of all parts")
        return merged({**schema, "allOf": parts})

    def _branches(self, schema: dict[str, Any], path: str) -> dict[str, Any]:
        for key in ("anyOf", "oneOf"):
            if key in schema and "properties" in schema:
                what = f"beside {key} the properties are not read, so calls without them pass"
                self._say("warning", f"{path}.{key}", what, f"the properties without {key}")
                schema.pop(key)
        return schema

    def _enum(self, schema: dict[str, Any], path: str) -> dict[str, Any]:
        if schema.get("enum") == []:
            self._say("error", f"{path}.enum", "an empty list of values is refused", "no enum")
            schema.pop("enum")
        values = schema["enum"] if isinstance(schema.get("enum"), list) else [schema.get("const")]
        key = "enum" if "enum" in schema else "const"
        if key in schema and "type" in schema and not any(_is_of(value, schema["type"]) for value in values):
            kind = schema["type"] if isinstance(schema["type"], str) else " or ".join(schema["type"])
            what = f"none of its values is of the type {kind}: nothing fits"
            self._say("error", f"{path}.{key}", what, f"{key} without type")
            schema.pop("type")
        return schema

    def _lengths(self, schema: dict[str, Any], path: str) -> dict[str, Any]:
        for what, low, high in (("characters", "minLength", "maxLength"), ("items", "minItems", "maxItems")):
            for key in (low, high):
                if isinstance(schema.get(key), float):
                    self._say("error", f"{path}.{key}", f"{schema[key]} is refused", f"{int(schema[key])}")
                    schema[key] = int(schema[key])
            if schema.get(low, 0) >= MOST_REPETITIONS:
                self._say("error", f"{path}.{low}", f"{schema[low]} or more {what} are refused", f"no {low}")
                schema.pop(low)
            # The limit is compared with the count times the rules repeated: half of it is free of doubt.
            if schema.get(high, 0) >= MOST_REPETITIONS // 2:
                several = f"up to {schema[high]} {what} are refused by some builds and not enforced by others"
                self._say("warning", f"{path}.{high}", several, f"no {high}")
                schema.pop(high)
            if schema.get(low, 0) > schema.get(high, schema.get(low, 0)):
                # minLength above maxLength: the server computes for ever.
                never = f"{low} {schema[low]} is above {high} {schema[high]}: nothing fits, and a server may never answer"
                self._say("error", f"{path}.{low}", never, f"no {low}")
                schema.pop(low)
        return schema

    def _numbers(self, schema: dict[str, Any], path: str) -> dict[str, Any]:
        if what := _empty_range(schema):
            # Which of them is wrong, only the author knows.
            first = next(key for key in _BOUNDS if key in schema)
            self._say("error", f"{path}.{first}", f"{what}: nothing fits", "no bounds")
            schema = {k: v for k, v in schema.items() if k not in _BOUNDS}
        for key in _BOUNDS:
            if key in schema and schema.get("type") == "number":
                self._say(
                    "note",
                    f"{path}.{key}",
                    "the grammar does not enforce bounds of numbers that are no integers",
                )
        return schema

    def _pattern(self, schema: dict[str, Any], path: str) -> dict[str, Any]:
        if not isinstance(pattern := schema.get("pattern"), str):
            return schema
        level, what, works = read_pattern(pattern)
        if not what:
            return schema
        self._say(level, f"{path}.pattern", what, works or "no pattern, but in the description")
        out = {k: v for k, v in schema.items() if k != "pattern"}
        if works:
            return {**out, "pattern": works}
        about = str(out.get("description", "")).rstrip(". ")
        said = f"Pattern: {pattern}"
        return {**out, "description": f"{about}. {said}" if about and pattern not in about else about or said}

    def _items(self, schema: dict[str, Any], path: str) -> dict[str, Any]:
        if isinstance(schema.get("items"), bool):
            self._say("error", f"{path}.items", "true or false as a schema is refused", "no items")
            schema.pop("items")
        if isinstance(properties := schema.get("properties"), Mapping) and False in properties.values():
            never = [k for k, v in properties.items() if v is False]
            for name in never:
                self._say(
                    "error", f"{path}.properties.{name}", "false as a schema is refused", "no such property"
                )
            schema["properties"] = {k: v for k, v in properties.items() if k not in never}
            schema["required"] = [k for k in schema.get("required", ()) if k not in never]
        return schema


def _is_of(value: Any, kind: Any) -> bool:
    from jsonschema import Draft202012Validator

    return Draft202012Validator({"type": kind}).is_valid(value)


def _empty_range(schema: Mapping[str, Any]) -> str:
    """What keeps every number out of a numeric schema's bounds; empty where one fits or bounds are not read."""
    kinds = schema.get("type")
    kinds = kinds if isinstance(kinds, list) else [kinds]
    if not set(kinds) <= {"integer", "number"}:
        return ""
    lows = [(schema[k], k) for k in ("minimum", "exclusiveMinimum") if k in schema]
    highs = [(schema[k], k) for k in ("maximum", "exclusiveMaximum") if k in schema]
    if not lows or not highs or not all(math.isfinite(bound) for bound, _ in lows + highs):
        return ""
    (low, low_key), (high, high_key) = max(lows), min(highs)
    said = f"{low_key} {low} and {high_key} {high}"
    excluded = low_key == "exclusiveMinimum" or high_key == "exclusiveMaximum"
    if low > high or (low == high and excluded):
        return f"no number is between {said}"
    if "number" not in kinds:
        first = math.floor(low) + 1 if low_key == "exclusiveMinimum" else math.ceil(low)
        last = math.ceil(high) - 1 if high_key == "exclusiveMaximum" else math.floor(high)
        step = schema.get("multipleOf", 1)
        step = step if isinstance(step, int) else 1
        if -(-first // step) * step > last:
            return f"no whole number{f' that {step} divides' if step > 1 else ''} is between {said}"
    return ""
