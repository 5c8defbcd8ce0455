"""How an argument is said where what its tool does tells more than its role: "due on friday", "assigned to Ann"."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from auto_lora.catalog import ToolDefinition
from auto_lora.dialogues.definitions.meaning import tool_act
from auto_lora.dialogues.definitions.phrasebook import words_of
from auto_lora.dialogues.values.money import change_forms, is_change
from auto_lora.dialogues.values.surfaces import Value
from auto_lora.dialogues.wording.planned import PlannedCall

_MOVES = frozenset("set change move update scale assign raise lower promote".split())
_TARGETS = frozenset("generic status type category priority count person username".split())
_BECOMES = re.compile(r"(?:the )?(?:new|another|target|desired)\b", re.I)
_SERVING = re.compile(r"restaurant|place|eater|cafe|bar\b", re.I)  # "that serves ramen"
_WHO = frozenset("person recipient person_name".split())
# Names that are verbs are said as such: "avoiding tolls", not "with tolls as avoid".
_VERBAL = {
    "avoid": ("avoiding", "without", "but avoid"),
    "exclude": ("without", "excluding", "leaving out"),
    "include": ("including", "with"),
}
_PROVIDER = re.compile(r"doctor|dentist|therapist|stylist|physician|provider|barber|trainer", re.I)
_PEOPLE = re.compile(r"guest|passenger|people|person|adult|child|traveler|attendee|participant")


def is_target(tool: ToolDefinition, name: str, role: str) -> bool:
    """Whether an argument is what the tool's thing becomes, and no other is: "move the deal to proposal", "assign the ticket to Ann"."""
    act, verb = tool_act(tool)
    if act not in ("set", "do") or verb not in _MOVES or role not in _TARGETS:
        return False
    meant = [
        n
        for n, s in tool.properties.items()
        if _BECOMES.match(described(s))
        or words_of(n)[:1] in (["new"], ["target"], ["desired"])
        or (verb == "assign" and words_of(n)[-1:] == ["assignee"])
    ]
    return meant == [name]


def is_repeated(name: str, schema: Any) -> bool:
    """Whether a length of time is that between two times: every_days, "Repeat every N days"."""
    return words_of(name)[:1] == ["every"] or _EVERY.match(described(schema)) is not None


def _held(name: str, call: PlannedCall) -> str:
    """The noun of a length of time that is not the deed's own: the snooze; "" where another argument has one, too."""
    found = [(n, m[1]) for n in call.tool.properties if (m := _HELD.search(" ".join(words_of(n))))]
    own = next((noun for n, noun in found if n == name), "")
    return own if [noun for _, noun in found].count(own) == 1 else ""


def _weekdays(schema: Any) -> bool:
    items = schema.get("items") if isinstance(schema, Mapping) else None
    values = items.get("enum") if isinstance(items, Mapping) else None
    shown = values or re.findall(r"['\"](\w{3,9})['\"]", described(schema))
    return bool(shown) and all(isinstance(v, str) and v[:3].lower() in _WEEK for v in shown)


def _bare_numbers(value: Mapping[str, Any]) -> bool:
    """Whether an object holds numbers of its own keys, none of which counts something: the heating of two seats, not 3 adults."""
    return all(type(v) in (int, float) and not key.endswith(("s", "ren")) for key, v in value.items())


_HOSTS = frozenset(
    "hotel restaurant gym salon clinic hospital school store shop cinema theater venue".split()
)
_COMES = re.compile(r"check ?(in|out)(?: date)?$")
_GUESTS = frozenset("adults adult children child infants kids seniors teens babies toddlers students".split())
_LOOKED_AT = frozenset(
    "detect classify analyze analyse check count identify recognize score rate evaluate".split()
)
_LASTS = re.compile(
    r"event|meeting|appointment|call\b|session|video|trip|class|workout|timer|playlist|recording|clip|fade|transition",
    re.I,
)
_FOR_A_TIME = frozenset("rent book reserve borrow share park hire lend".split())
_WEEK = frozenset("mon tue wed thu fri sat sun".split())
_CLAUSE = re.compile(r"(?:[Ii]t|[Tt]hey|[Ww]e|[Hh]e|[Ss]he|I) (?!and\b)\w")
_REPEATED = re.compile(r"\brepeat|\brecur|\bevery|\bweekly|days of (?:the )?week", re.I)
_EVERY = re.compile(
    r"(?:repeat |water |feed )?(?:every|how often|days between|interval (?:in|between|of))\b", re.I
)
_HELD = re.compile(r"\b(snooze|delay|gap|cooldown|buffer|notice|lead|warning|fade|transition|grace)\b")
# Things whose name is given when they are made.
_MADE = frozenset("playlist list album folder project team event group channel".split())
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
        else f"{name} {described(call.tool.properties.get(name))}"
    )
    if role == "room" and re.match(r"(?:the|my|our|all|every|up|down)", text):
        return ["in {v}"]
    if role == "dish" and not _SERVING.search(f"{call.tool.name} {call.tool.description}"):
        return ["with {v}", "with {v}", "for {v}", "of {v}"]
    schema = call.tool.properties.get(name)
    made = words_of(call.tool.name)
    if act == "create" and role in _MADE and role == made[-1] and not {"to", "in", "into"} & set(made):
        return ["called {v}", "called {v}", "named {v}", "with the name {v}"]
    if role == "duration" and (words_of(name)[:2] == ["number", "of"] or verb in _FOR_A_TIME):
        return ["for {v}"]
    if (
        role == "duration"
        and act in ("set", "switch", "act", "do")
        and not _LASTS.search(f"{call.tool.name} {call.tool.description}")
    ):
        return ["for {v}"]
    if role in ("text", "message") and verb in _LOOKED_AT:
        return ["of {v}", "in {v}", "for this text: {v}"]
    if role == "symptom" and act in ("create", "book"):
        return ["for {v}", "because of {v}", "about {v}"]
    if words_of(name)[-2:] == ["account", "type"] and act not in ("create", "find", "compute"):
        of = re.sub(r" accounts?$", "", text)
        theirs = {"recipient", "destination", "to", "target", "receiver"} & set(words_of(name))
        return [f"{w} their {of} account" for w in ("to", "into")] if theirs else [f"{w} my {of} account" for w in ("from", "from", "using")]  # fmt: skip
    if role == "duration" and is_repeated(name, schema):
        return [f"every {re.sub('^(?:an?|one) ', '', text)}"]
    if role == "duration" and (held := _held(name, call)):
        return [f"with a {held} of {{v}}", f"with {{v}} {held}", f"{held} {{v}}"]
    if (
        act not in ("get", "find")
        and isinstance(value.json, list)
        and _weekdays(schema)
        and _REPEATED.search(f"{name} {described(schema)}")
    ):
        return ["every {v}", "every {v}", "on {v} every week", "repeating on {v}"]
    if is_change(name, schema, value):
        return change_forms(schema, value)
    if counted:
        return ["for {v}"] if _PEOPLE.search(text) else ["with {v}"]
    if (
        role == "object"
        and isinstance(value.json, dict)
        and (not _parts_of(call.tool.properties[name]) or _bare_numbers(value.json))
    ):
        return ["with {name} {v}", "with the {name} {v}", "using {name} {v}"]
    if (
        role == "date"
        and (meant := _MEANT.match(" ".join(words_of(name))))
        and meant[1] not in words_of(call.tool.name)
    ):
        due = ["due {v}", "due on {v}"] if meant[1] == "due" else []
        return [*due, "with the {name} {v}", "with a {name} of {v}", "{name} {v}"]
    if role == "generic" and words_of(name)[-1:] == ["channel"] and act == "send":
        return ["in {v}", "to {v}", "to the {v} {name}", "in the {v} {name}"]
    if role == "reason" and isinstance(schema, Mapping) and "enum" in schema:  # not "because of sold"
        return ["with the {name} {v}", "with {v} as the {name}", "{name} {v}"]
    if role == "reason" and _CLAUSE.match(text):
        return ["because {v}", "because {v}", "since {v}"]
    if role == "person" and words_of(name)[-1:] == ["assignee"]:
        return ["assigned to {v}", "with {v} as the {name}", "{name} {v}"]
    if (
        role == "duration"
        and act == "compute"
        and re.search(r"elapsed|passed|after|time (?:taken|of)|\btime\b", told)
    ):
        return ["after {v}", "after {v}", "over {v}", "with {name} of {v}"]
    if role == "distance" and act in ("compute", "get") and " between " in described(schema):
        return ["{v} apart", "at a distance of {v}", "with {name} {v}"]  # of two charges
    if role == "language" and act not in ("translate", "set"):
        return ["in {v}", "in {v}", "with {name} {v}"]
    if role == "username" and "reviewer" in name:
        return ["with {v} as {name}", "reviewed by {v}", "for {v} to review"]
    if (
        words_of(name)[-1:] == ["value"]
        and act in ("set", "act", "switch")
        and isinstance(value.json, int | float)
    ):
        return ["to {v}"]
    if words_of(name)[-1:] == ["prompt"] and re.search(
        r"image|picture|drawing|(?<![a-z])art", call.tool.name
    ):
        return ["of {v}", "of {v}", "showing {v}"]
    if name == "to":  # beside a cc
        return ["to {v}"]
    if len(words_of(name)) == 1 and (led := _VERBAL.get(name)):
        return [f"{word} {{v}}" for word in led]
    if "subtitle" in name:
        return ["with {v} subtitles"]
    if role == "temperature" and twice:
        return ["with {name} {v}", "with a {name} of {v}"]
    if role == "temperature" and act not in ("set", "switch"):
        return ["at {v}", "at {v}", "with a {name} of {v}"]
    if role == "org" and (
        act == "book" or (_HOSTS & set(words_of(name)) and act in ("create", "find", "get"))
    ):
        return ["at {v}"]
    if (way := _COMES.match(" ".join(words_of(name)))) and role == "date":
        return (
            ["checking in on {v}", "from {v}", "arriving {v}"]
            if way[1] == "in"
            else ["checking out on {v}", "until {v}", "leaving {v}"]
        )
    if role == "object" and isinstance(value.json, dict) and value.json and value.json.keys() <= _GUESTS:
        return ["for {v}"]
    if words_of(name) == ["room", "type"] and text.split()[-1] not in (
        "room",
        "suite",
        "studio",
        "penthouse",
        "apartment",
    ):
        return ["in a {v} room", "with a {v} room", "{v} room"]
    if role == "priority" and not {"priority", "urgency"} & set(words_of(name)):
        return ["with {name} {v}", "of {v} {name}", "{v} {name}"]
    if role == "status" and act in ("set", "do"):
        return ["to {v}", "as {v}"]
    if words_of(name)[:1] in (["sender"], ["from"]) and role in _WHO:
        return ["from {v}"]
    if role in ("person", "player") and _PROVIDER.search(told):
        return ["with {v}"]  # "for Michael" would be the patient
    if role in _WHO and people == 1 and (act == "send" or verb in ("share", "transfer")):
        return ["to {v}", "with {v}"] if verb == "share" else ["to {v}"]
    return []


def described(schema: Any) -> str:
    """A parameter's description; "" where it has none."""
    return str(schema.get("description", "")) if isinstance(schema, Mapping) else ""


def _parts_of(schema: Any) -> Any:
    """The properties that an object's schema names; none of a map with free keys."""
    return schema.get("properties") if isinstance(schema, Mapping) else None
