"""How an argument is said where what its tool does tells more than its role: "due on friday", "assigned to Ann"."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from auto_lora.dialogues.meaning import tool_act
from auto_lora.dialogues.phrasebook import words_of
from auto_lora.dialogues.planned import PlannedCall
from auto_lora.dialogues.surfaces import Value

_SERVING = re.compile(r"restaurant|place|eater|cafe|bar\b", re.I)  # "that serves ramen"
_WHO = frozenset("person recipient person_name".split())
_PROVIDER = re.compile(r"doctor|dentist|therapist|stylist|physician|provider|barber|trainer", re.I)
_PEOPLE = re.compile(r"guest|passenger|people|person|adult|child|traveler|attendee|participant")
# A date that is not the deed's own: an invoice made today is due later.
_MEANT = re.compile(r"(due|clos(?:e|ing)|birth|expir(?:y|ation)|expected|target|issue|hire) (?:date|on)$")


def forms_by_definition(
    call: PlannedCall,
    roles: Mapping[str, str],
    name: str,
    value: Value,
    text: str,
    *,
    twice: bool,
    counted: bool,
) -> list[str]:
    """How an argument is said where what its tool does tells more than its role; empty where it tells no more.

    Args:
        text: the argument's words with those that stand beside it.
        twice: another argument has its role.
        counted: a number that says what it counts, as no other of the call's does.
    """
    role, (act, verb) = roles[name], tool_act(call.tool)
    people = sum(r in _WHO for r in roles.values())
    told = (
        name
        if people > 1 or re.search(r"patient|client|customer", name)
        else f"{name} {_about(call.tool.properties.get(name))}"
    )
    if role == "room" and re.match(r"(?:the|my|our|all|every|up|down)", text):
        return ["in {v}"]
    if role == "dish" and not _SERVING.search(f"{call.tool.name} {call.tool.description}"):
        return ["with {v}", "with {v}", "for {v}", "of {v}"]
    if counted:
        return ["for {v}"] if _PEOPLE.search(text) else ["with {v}"]
    if role == "object" and isinstance(value.json, dict) and not _parts_of(call.tool.properties[name]):
        return ["with {name} {v}", "with the {name} {v}", "and {name} {v}", "using {name} {v}"]
    if (
        role == "date"
        and (meant := _MEANT.match(" ".join(words_of(name))))
        and meant[1] not in words_of(call.tool.name)
    ):
        due = ["due {v}", "due on {v}"] if meant[1] == "due" else []
        return [*due, "with the {name} {v}", "with a {name} of {v}", "{name} {v}"]
    if role == "person" and words_of(name)[-1:] == ["assignee"]:
        return ["assigned to {v}", "with {v} as the {name}", "{name} {v}"]
    if role == "language" and act not in ("translate", "set"):
        return ["in {v}", "in {v}", "with {name} {v}"]
    if role == "username" and "reviewer" in name:
        return ["with {v} as {name}", "reviewed by {v}", "for {v} to review"]
    if "subtitle" in name:
        return ["with {v} subtitles"]
    if role == "temperature" and twice:
        return ["with {name} {v}", "with a {name} of {v}"]
    if role == "temperature" and act not in ("set", "switch"):
        return ["at {v}", "at {v}", "with a {name} of {v}"]
    if role == "org" and act == "book":
        return ["at {v}"]
    if role == "status" and act in ("set", "do"):
        return ["to {v}", "as {v}"]
    if words_of(name)[:1] in (["sender"], ["from"]) and role in _WHO:
        return ["from {v}"]
    if role in ("person", "player") and _PROVIDER.search(told):
        return ["with {v}"]  # "for Michael" would be the patient
    if role in _WHO and people == 1 and (act == "send" or verb in ("share", "transfer")):
        return ["to {v}", "with {v}"] if verb == "share" else ["to {v}"]
    return []


def _about(schema: Any) -> str:
    return str(schema.get("description", "")) if isinstance(schema, Mapping) else ""


def _parts_of(schema: Any) -> Any:
    """The properties that an object's schema names; none of a map with free keys."""
    return schema.get("properties") if isinstance(schema, Mapping) else None
