"""JSON Schemas as values are sampled from them: references followed, one branch taken."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def resolve(schema: Any, root: Mapping[str, Any]) -> Mapping[str, Any]:
    """Follows `$ref` into `root` and takes the first usable branch of anyOf, oneOf and allOf."""
    for _ in range(8):
        if not isinstance(schema, Mapping):
            return {}
        if "$ref" in schema:
            target: Any = root
            for part in str(schema["$ref"]).removeprefix("#/").split("/"):
                target = target.get(part, {}) if isinstance(target, Mapping) else {}
            schema = target
        elif "allOf" in schema:
            merged: dict[str, Any] = {k: v for k, v in schema.items() if k != "allOf"}
            for part in schema["allOf"]:
                merged = {**resolve(part, root), **merged}
            schema = merged
        elif "anyOf" in schema or "oneOf" in schema:
            branches = [
                b
                for b in schema.get("anyOf", schema.get("oneOf"))
                if isinstance(b, Mapping) and b.get("type") != "null"
            ]
            rest = {k: v for k, v in schema.items() if k not in ("anyOf", "oneOf")}
            schema = {**rest, **(branches[0] if branches else {"type": "null"})}
        else:
            return schema
    return {}


def type_of(schema: Mapping[str, Any]) -> str:
    """The type of a schema: its first but null, or what its keywords are of; else a string."""
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((k for k in kind if k != "null"), "null")
    if kind is None:
        kind = "object" if "properties" in schema else "array" if "items" in schema else "string"
    return str(kind)
