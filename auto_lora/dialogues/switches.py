"""A boolean argument that says what is to be done with the tool's thing: on or off, open or close, lock or unlock.

People say it by its own word ("turn the lamp off"), not by the argument's name ("the lamp without on").
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from auto_lora.catalog import ToolDefinition
from auto_lora.dialogues.phrasebook import is_state, words_of

Switch = tuple[str, str, str]  # role, its word where true, its word where false

_WORDS: dict[str, Switch] = {}
for _role, _yes, _no, _names, _inverse in (
    ("state", "on", "off", "on power powered enable enabled active activate activated", "off disable disabled inactive"),
    ("action", "open", "close", "open opened", "close closed shut"),
    ("action", "lock", "unlock", "lock locked", "unlock unlocked"),
    ("action", "mute", "unmute", "mute muted", "unmute unmuted"),
    ("action", "arm", "disarm", "arm armed", "disarm disarmed"),
):  # fmt: skip
    _WORDS |= dict.fromkeys(_names.split(), (_role, _yes, _no))
    _WORDS |= dict.fromkeys(_inverse.split(), (_role, _no, _yes))
# Words of a name that say nothing of which: "is_on", "turn_on", "state".
_EMPTY = frozenset(
    "is turn turned switch switched set should be new desired target make to state status value do".split()
)
# What such a tool does, by its verb; "open_account" and "update_user" are not told on or off.
_TURNING = frozenset("turn switch toggle enable disable activate deactivate set control operate power flip put move change".split())  # fmt: skip
_OF_ITS_OWN = frozenset("open close lock unlock mute arm shut".split())  # such a verb must be the argument's


def switch_of(tool: ToolDefinition, act: str, verb: str) -> dict[str, Switch]:
    """The argument that switches, by name; empty where there is none, or more than one.

    Args:
        act, verb: what the tool does (`meaning.act_of`).
    """
    schemas = {n: s for n, s in tool.properties.items() if isinstance(s, Mapping)}
    if any(map(is_state, schemas.values())):
        return {}
    found = {n: said for n, s in schemas.items() if s.get("type") == "boolean" and (said := _said(n, s))}
    if len(found) > 1:
        found = {n: said for n, said in found.items() if n in tool.required}
    if len(found) != 1:
        return {}
    said, first = next(iter(found.values())), verb.partition(" ")[0]
    named = any(name in tool.required for name in found)
    turning = first in _TURNING or (act == "any" and named)
    fits = first in said[1:] if first in _OF_ITS_OWN else turning
    # "Set the thermostat to 21 degrees": whether it is on is beside the point.
    measured = any(schemas.get(n, {}).get("type") in ("integer", "number") for n in tool.required)
    return found if fits and (named or not measured) else {}


def _said(name: str, schema: Mapping[str, Any]) -> Switch | None:
    """The words of a boolean: by its name, where that says nothing by its description ("True to turn on, false to turn off")."""
    telling = [w for w in words_of(name) if w not in _EMPTY]
    if telling:
        return _WORDS.get(telling[0]) if len(telling) == 1 else None
    about = str(schema.get("description", "")).lower()
    if_true = re.search(r"\btrue\b(.*?)(?:\bfalse\b|$)", about)
    for words in (if_true[1] if if_true else "", about):
        known = next((w for w in re.findall(r"[a-z]+", words) if w in _WORDS), "")
        if known:
            return _WORDS[known]
    return None
