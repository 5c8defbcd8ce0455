"""Values as they are typed in a prompt without capitals; those that are written one way keep theirs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from auto_lora.dialogues.definitions.schemas import resolve
from auto_lora.dialogues.values.surfaces import Value

_CODES = frozenset(
    ("time_zone", "symbol", "vin", "plate", "hex_color", "chemical_formula", "dna", "musical_key")
)  # written one way however they are typed


def uncapitalised(value: Value, schema: Any, root: Mapping[str, Any] | None = None) -> Value:
    """A value as it is typed in a prompt without capitals; only where the words are taken over as they are."""
    if isinstance(value.json, (list, dict)):
        if value.role in _CODES:
            return value
        lowered = _lowered(value.json, schema, value.surface, root or {})
        return replace(value, json=lowered, surface=value.surface.lower())
    free = isinstance(value.json, str) and not any(
        k in schema for k in ("enum", "const", "pattern", "format")
    )
    if free and value.role in ("place", "origin", "destination") and re.search(r", [A-Z]{2}$", value.json):
        return replace(value, surface=value.surface.lower())  # the form that the definition asks for
    if free and value.parts:
        parts = tuple(p.lower() for p in value.parts)
        return replace(value, json=value.json.lower(), surface=value.surface.lower(), parts=parts)
    bare = value.surface.removeprefix('"').removesuffix('"')
    if not free or (
        not value.surface.endswith(value.json) and not bare.endswith(value.json)
    ):  # an article may stand before it
        return value
    shown = re.search(r"\b[A-Z]+[-_/#]?\d", f"{schema.get('description', '')} {schema.get('examples', '')}")
    code = value.role in _CODES or re.fullmatch("[A-Z]{1,4}" if not shown else r"[A-Z\d/#_-]+", value.json)
    kept = value.json if code else value.json.lower()
    return replace(value, json=kept, surface=value.surface.lower())


def _lowered(value: Any, schema: Any, said: str, root: Mapping[str, Any]) -> Any:
    """The strings within a list or object that stand in what is said, without capitals; not those of a closed form."""
    schema = resolve(schema, root)
    if isinstance(value, list):
        return [_lowered(v, schema.get("items"), said, root) for v in value]
    if isinstance(value, dict):
        inner = schema.get("properties") or {}
        return {k: _lowered(v, inner.get(k), said, root) for k, v in value.items()}
    closed = any(k in schema for k in ("enum", "const", "pattern", "format"))
    if (
        not isinstance(value, str)
        or closed
        or value not in said
        or re.fullmatch("[A-Z]{1,4}|\\S*[\\d/_]\\S*", value)
    ):
        return value
    return value.lower()
