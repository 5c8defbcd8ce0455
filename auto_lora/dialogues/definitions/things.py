"""Words of a thing that another argument says: no "black office chair" where its color is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from auto_lora.dialogues.definitions.phrasebook import phrases, words_of

THINGS = frozenset(("dish", "item", "product"))
# Arguments whose words stand before a thing.
_SIZES = {"small", "medium", "large", "double", "mini", "jumbo"}
_BEFORE = {"color": "color", "colour": "color", "size": "size"}


def says_another(thing: str, name: str, properties: Mapping[str, Any]) -> bool:
    """Whether the words of a thing are those of an argument beside it: "black office chair" where its color is asked for."""
    spoken = set(thing.lower().split())
    for other, schema in properties.items():
        pool = next((_BEFORE[w] for w in words_of(other) if w in _BEFORE), "")
        if other == name or not pool:
            continue
        listed = schema.get("enum", ()) if isinstance(schema, Mapping) else ()
        known = {str(v).lower() for v in (*listed, *phrases("inventories")[pool])} | (
            _SIZES if pool == "size" else set()
        )
        if spoken & known:
            return True
    return False
