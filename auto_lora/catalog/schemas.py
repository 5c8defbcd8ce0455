"""Walking JSON Schema: which keywords hold schemas, and references put in their place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote

# Keywords whose value is a schema, a list of schemas, a mapping of names to schemas (JSON Schema 2020-12, core 10).
ONE = ("items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames")
MANY = ("allOf", "anyOf", "oneOf", "prefixItems")
NAMED = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
_DEEPEST = 6  # references within references; a deeper one becomes any value of its type


class UnresolvedReference(ValueError):
    """A `$ref` that points nowhere in its document."""


def map_children(schema: Mapping[str, Any], change: Callable[[Any, str], Any]) -> dict[str, Any]:
    """The schema with `change(subschema, path from here)` in the place of each direct subschema."""
    out: dict[str, Any] = {}
    for key, value in schema.items():
        if key in NAMED and isinstance(value, Mapping):
            out[key] = {name: change(sub, f"{key}.{name}") for name, sub in value.items()}
        elif isinstance(value, list) and key in (*MANY, "items"):
            out[key] = [change(sub, f"{key}.{i}") for i, sub in enumerate(value)]
        elif key in ONE:
            out[key] = change(value, key)
        else:
            out[key] = value
    return out


def look_up(reference: str, root: Any) -> Any:
    """What a local reference (`#/a/b`, RFC 6901) points at in its document.

    Raises:
        UnresolvedReference: nothing is there, or it is not a local reference.
    """
    target = root
    if reference != "#" and not reference.startswith("#/"):
        raise UnresolvedReference(reference)
    for part in reference[2:].split("/") if reference != "#" else ():
        part = unquote(part).replace("~1", "/").replace("~0", "~")
        if isinstance(target, Mapping) and part in target:
            target = target[part]
        elif isinstance(target, list) and part.isdigit() and int(part) < len(target):
            target = target[int(part)]
        else:
            raise UnresolvedReference(reference)
    return target


def goes_in_circles(reference: str, root: Any) -> bool:
    """Whether a reference leads only to references and back: nothing is said of the value.

    Raises:
        UnresolvedReference: one of them points nowhere.
    """
    seen: set[str] = set()
    while reference not in seen:
        seen.add(reference)
        target = look_up(reference, root)
        if not (isinstance(target, Mapping) and isinstance(target.get("$ref"), str)):
            return False
        reference = target["$ref"]
    return True


def never_ends(schema: Any, root: Any, within: tuple[str, ...] = (), ends: set[str] | None = None) -> bool:
    """Whether every value of a schema holds another value of it, so that nothing finite fits: a node that requires a node.

    Args:
        within: references that the schema stands in; ends: those known to end, each followed once.

    Raises:
        UnresolvedReference: a reference points nowhere.
    """
    if not isinstance(schema, Mapping):
        return False
    ends = set() if ends is None else ends
    if isinstance(reference := schema.get("$ref"), str):
        if reference in within or reference in ends:
            return reference not in ends
        endless = never_ends(look_up(reference, root), root, (*within, reference), ends)
        ends |= set() if endless else {reference}
        return endless
    needed = list(schema["allOf"]) if isinstance(schema.get("allOf"), list) else []
    if isinstance(properties := schema.get("properties"), Mapping):
        needed += [properties[name] for name in schema.get("required") or () if name in properties]
    if schema.get("minItems", 0) >= 1:
        needed.append(schema.get("items"))
    if any(never_ends(part, root, within, ends) for part in needed):
        return True
    branches = [schema[key] for key in ("anyOf", "oneOf") if isinstance(schema.get(key), list)]
    return any(options and all(never_ends(o, root, within, ends) for o in options) for options in branches)


def inline(schema: Any, root: Any, *, deepest: int = _DEEPEST, within: tuple[str, ...] = ()) -> Any:
    """The schema with every local `$ref` replaced by its target; what stands beside it wins, properties and requirements add up.

    A reference to something it stands in, or more than `deepest` references deep, becomes any value of its type.

    Raises:
        UnresolvedReference: a reference points nowhere.
    """
    if not isinstance(schema, Mapping):
        return schema
    if isinstance(reference := schema.get("$ref"), str):
        beside = {k: v for k, v in schema.items() if k not in ("$ref", "$defs", "definitions")}
        target = look_up(reference, root)
        if reference in within or len(within) >= deepest:
            known = target if isinstance(target, Mapping) else {}
            return {
                "type": "object",
                **{k: known[k] for k in ("type", "description") if k in known},
                **beside,
            }
        target = inline(target, root, deepest=deepest, within=(*within, reference))
        if not beside:
            return target
        beside = inline(beside, root, deepest=deepest, within=within)
        return _joined(target if isinstance(target, Mapping) else {}, beside)
    kept = {k: v for k, v in schema.items() if k not in ("$defs", "definitions")}
    return map_children(kept, lambda sub, _: inline(sub, root, deepest=deepest, within=within))


def _joined(target: Mapping[str, Any], beside: Mapping[str, Any]) -> dict[str, Any]:
    """What a reference means with what stands beside it."""
    if any(key in target and key in beside for key in ("properties", "required")):
        parts = beside["allOf"] if isinstance(beside.get("allOf"), list) else []
        return merged({**beside, "allOf": [*parts, target]})
    return {**target, **beside}


def opened(schema: Any, root: Any, depth: int = _DEEPEST) -> Any:
    """An object's schema with its properties in their place: those of what it refers to, of all its parts, and, where it has
    none of its own, of its alternatives. Only the object itself is opened; what its properties refer to stays.

    Args:
        root: the document of the references; one that points nowhere is left as it is.
        depth: references and parts within each other that are followed.
    """
    if not isinstance(schema, Mapping) or not depth:
        return schema
    if isinstance(reference := schema.get("$ref"), str):
        try:
            target = look_up(reference, root)
        except UnresolvedReference:
            return schema
        if not isinstance(target, Mapping) or target is schema:
            return schema
        beside = {k: v for k, v in schema.items() if k != "$ref"}
        return opened(_joined(target, beside), root, depth - 1)
    if isinstance(schema.get("allOf"), list):
        schema = merged({**schema, "allOf": [opened(part, root, depth - 1) for part in schema["allOf"]]})
    if schema.get("properties"):
        return schema
    branches = {k: schema[k] for k in ("anyOf", "oneOf") if isinstance(schema.get(k), list)}
    branches = {k: [opened(b, root, depth - 1) for b in branch] for k, branch in branches.items()}
    whole = with_alternatives({**schema, "properties": {}, **branches})
    return whole if whole["properties"] else schema


def with_alternatives(schema: Mapping[str, Any]) -> dict[str, Any]:
    """An object's properties with those of its alternatives, which are optional: arguments know no either-or."""
    if not isinstance(schema.get("properties"), Mapping):
        return dict(schema)
    out = {k: v for k, v in schema.items() if k not in ("oneOf", "anyOf")}
    for key in ("oneOf", "anyOf"):
        branches = schema[key] if isinstance(schema.get(key), list) else []
        for branch in branches:
            branch = branch if isinstance(branch, Mapping) else {}
            more = with_alternatives({"properties": {}, **branch})["properties"]
            own = out["properties"]
            out["properties"] = {**own, **{k: v for k, v in more.items() if k not in own}}
    return out


def in_2020_12(schema: Any) -> Any:
    """The schema with tuples as JSON Schema 2020-12 writes them: draft 7's list of `items` is `prefixItems` since."""
    if not isinstance(schema, Mapping):
        return schema
    out = dict(schema)
    if isinstance(out.get("items"), list):
        out["prefixItems"] = out.pop("items")
        if "additionalItems" in out:
            out["items"] = out.pop("additionalItems")
    return map_children(out, lambda sub, _: in_2020_12(sub))


def strip(schema: Any, unwanted: Callable[[str], bool]) -> Any:
    """The schema without the keywords for which `unwanted` holds, at any depth; property names stay."""
    if not isinstance(schema, Mapping):
        return schema
    kept = {k: v for k, v in schema.items() if not unwanted(k)}
    return map_children(kept, lambda sub, _: strip(sub, unwanted))


def merged(schema: Mapping[str, Any]) -> dict[str, Any]:
    """`allOf` in one piece: all properties, all requirements; of other keywords the first one said."""
    if not isinstance(schema.get("allOf"), list):
        return dict(schema)
    out = {k: v for k, v in schema.items() if k != "allOf"}
    for part in schema["allOf"]:
        if isinstance(part, Mapping):
            part = merged(part)
            mine, theirs = ({"properties": {}, "required": [], **s} for s in (out, part))
            out = {**part, **out}
            if all(isinstance(s["properties"], Mapping) for s in (mine, theirs)) and "properties" in out:
                out["properties"] = {**theirs["properties"], **mine["properties"]}
            if all(isinstance(s["required"], list) for s in (mine, theirs)) and "required" in out:
                more = [name for name in theirs["required"] if name not in mine["required"]]
                out["required"] = [*mine["required"], *more]
    return out


def without_null(schema: Any) -> Any:
    """The schema with null dropped wherever a property may be left out instead, at any depth."""
    if not isinstance(schema, Mapping):
        return schema
    required = schema.get("required")
    required = required if isinstance(required, list) else []

    def change(sub: Any, path: str) -> Any:
        kind, _, name = path.partition(".")
        optional = kind == "properties" and name not in required
        return without_null(_not_null(sub) if optional else sub)

    return map_children(schema, change)


def _not_null(schema: Any) -> Any:
    if not isinstance(schema, Mapping):
        return schema
    out = {k: v for k, v in schema.items() if not (k == "default" and v is None)}
    for key in ("anyOf", "oneOf"):
        if isinstance(out.get(key), list):
            branches = [b for b in out[key] if not (isinstance(b, Mapping) and b.get("type") == "null")]
            rest = {k: v for k, v in out.items() if k != key}
            out = {**branches[0], **rest} if len(branches) == 1 else {**rest, key: branches}
    if isinstance(out.get("type"), list):
        kinds = [t for t in out["type"] if t != "null"]
        out["type"] = kinds[0] if len(kinds) == 1 else kinds
    if isinstance(out.get("enum"), list):
        out["enum"] = [v for v in out["enum"] if v is not None]
    return out
