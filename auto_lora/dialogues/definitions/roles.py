"""What the arguments of a tool stand for: a place, a person, a date, what kind of thing is meant.

A name and a description say most of it (`phrasebook.role_of`); the rest only the tool tells: whose `name` it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from auto_lora.catalog import ToolDefinition
from auto_lora.catalog.definition import per_tool
from auto_lora.dialogues.definitions.acted_on import objects_of
from auto_lora.dialogues.definitions.examples import alternatives, described_values
from auto_lora.dialogues.definitions.meaning import asks, decides, is_action, makes, switches_of
from auto_lora.dialogues.definitions.phrasebook import is_joined, is_state, phrases, words_of
from auto_lora.dialogues.definitions.programs import is_program, program_role
from auto_lora.dialogues.definitions.role_words import role_in, role_of
from auto_lora.dialogues.definitions.switches import yes_or_no

# Roles of an argument for what kind of thing is meant.
KINDS = ("kind", "kind_place", "type")
_OPEN = frozenset("region place country delivery topic phone email".split())
_ABOUT_ONLY = frozenset("item product note".split())
_STARTS = frozenset("start begin from check checkin departure pickup".split())
_HOUSE = re.compile(
    r"\bnames? of (?:the |an? )?(?:hotel|restaurant|shop|store|business|accommodation|company|bar|cafe)", re.I
)
_LEAVES = frozenset("source from origin departure sending".split())
_ARRIVES = frozenset("destination dest to target arrival receiving".split())
_SITES = frozenset(
    "warehouse store depot station stop terminal port city town location branch office site shop".split()
)
_PLACES = frozenset("generic place poi org origin destination address token".split())
_WHO = frozenset("identifier recipient person person_name owner org account".split())
_TOLD_APART = frozenset("message note text item product place".split())
_SORTS = frozenset("type kind category status method mode level class".split())
_STAYED_AT = re.compile(
    r"\b(?:hotels?|hostels?|houses?|homes?|accommodations?|stays?|apartments?|attractions?|events?)\b", re.I
)
_CARS = re.compile(r"\b(?:cars?|vehicles?|autos?|automobiles?)\b", re.I)
_GONE_TO = re.compile(
    r"\b(?:rides?|cabs?|tax(?:i|is)|flights?|trains?|bus(?:es)?|directions?|routes?|navigat\w*|drive|driving|trips?|ship\w*|transfers?)\b",
    re.I,
)
_UNDER = re.compile(
    r"\b(?:booking|reservation|table|order|appointment)\b.{0,20}\bunder\b|\bunder (?:which|whose)\b", re.I
)
_NAME_OF = re.compile(
    r"\bnames? (?:of|for) (?:the |an? |this |your )?((?:\w+ )*?\w+)(?= (?:to|that|for|of|in|on|with|who|which|as)\b|[,.;:(]|$)",
    re.I,
)
_NAMED = frozenset(
    "playlist song album movie book show artist product org place region country file folder team game room device".split()
)
_MOVED = (
    ("source", "destination"),
    ("src", "dst"),
    ("src", "dest"),
    ("old_path", "new_path"),
    ("source_path", "destination_path"),
    ("from_path", "to_path"),
)
_PEOPLE = frozenset(
    "person people user customer client contact employee candidate patient student teacher member guest attendee participant passenger "
    "friend recipient sender author lead agent manager representative doctor account profile friend colleague".split()
)  # fmt: skip


@per_tool
def roles_of(tool: ToolDefinition) -> dict[str, str]:
    """The role of each parameter, as slots of frames know it."""
    found, switched, told = {}, switches_of(tool), roles_by_tool(tool)
    moods = set(phrases("inventories")["mood"])
    for name, schema in tool.properties.items():
        schema = schema if isinstance(schema, dict) else {}
        kind = schema.get("type", "string")
        kind = kind if isinstance(kind, str) else "string"
        if name in switched:
            found[name] = switched[name][0]
        elif name in told:
            found[name] = told[name]
        elif is_state(schema):
            found[name] = "state"
        elif is_action(name, schema, asks(tool), made=makes(tool)) or decides(schema, tool):
            found[name] = "action"
        elif kind in ("boolean", "object") or yes_or_no(name, schema):
            found[name] = "object" if kind == "object" else "boolean"
        else:
            found[name] = role_in(name, schema, kind)
            if "enum" in schema and found[name] in _OPEN:  # "state" of open and closed is no region
                found[name] = "status" if "state" in words_of(name) else "generic"
            if found[name] in (
                "temperature",
                "duration",
                "amount",
                "distance",
                "mood",
                "setting",
            ) and alternatives(str(schema.get("description", ""))):
                found[name] = "generic"  # a drink's temp, "hot or iced"
            if found[name] == "spatial" and "relationship" in str(schema.get("description", "")):
                found[name] = "generic"
            if (
                found[name] == "mood"
                and "enum" in schema
                and moods.isdisjoint(str(v).lower() for v in schema["enum"])
            ):
                found[name] = "generic"  # "something anime"
            if "enum" in schema and found[name] in _WHO and _SORTS.intersection(words_of(name)[-1:]):
                found[name] = "generic"  # "recipient_account_type" is nobody
            if "enum" in schema and _is_level_of(name, found[name]):
                found[name] = "generic"
            if (
                "enum" in schema
                and found[name] in _TOLD_APART
                and words_of(name)[-1:] in (["type"], ["style"])
            ):
                found[name] = "type"  # a car's body type is no text
            if (
                "enum" in schema
                and found[name] == "amount"
                and not any(re.search(r"\d", str(v)) for v in schema["enum"])
            ):
                found[name] = "generic"  # a price range of cheap and expensive
            if found[name] == "currency" and is_joined(schema):
                found[name] = "currency_pair"
    found |= {
        n: own
        for n, s in tool.properties.items()
        if isinstance(s, Mapping) and (own := _by_values(n, found[n], s))
    }
    if "end" not in found.values():  # "The start time of the visit" of a visit_time
        found |= {n: _clock(n) for n, r in found.items() if r == "start" and _clock(n) and n not in told}
    return found


_PARTS_OF_DAY = frozenset("morning afternoon evening night noon midday midnight".split())
_LATLONG = re.compile(r"\blat(?:itude)?\b\W+(?:and )?\W*\blong?(?:itude)?\b", re.I)
_NUMBERED = re.compile(r"\bnumber of (?:the|an?) (?!\w+s\b)\w+|\blike ['\"]?[A-Z]", re.I)
_WITH_WHOM = frozenset("stylist barber hairdresser beautician therapist".split())


def _by_values(name: str, role: str, schema: Mapping[str, Any]) -> str:
    """What an argument's values tell of its role: a part of the day, coordinates, a train's number; "" where they tell nothing."""
    about, words = str(schema.get("description", "")), words_of(name)
    values = {str(v).lower() for v in schema.get("enum") or ()}
    if values and values <= _PARTS_OF_DAY:
        return "daypart"
    if role == "spatial" and values and values.isdisjoint(map(str.lower, phrases("inventories")["spatial"])):
        return "generic"
    if role in ("message", "text") and words[-1:] in (["type"], ["kind"], ["style"]):
        return "type"  # a car's body type is no text
    if role in ("person", "full_name", "person_name") and words == ["month"]:
        return "month"
    if role == "place" and _LATLONG.search(about):
        return "coordinates"
    if (
        role == "count"
        and schema.get("type") == "string"
        and words[-1:] == ["number"]
        and _NUMBERED.search(about)
    ):
        return "identifier"
    return "person" if role == "thing_name" and _WITH_WHOM.intersection(words) else ""


def _is_level_of(name: str, role: str) -> bool:
    """Whether words of an enum are the level of something, or what only the description speaks of: court_level, rarity of an item."""
    words = words_of(name)
    return (role == "level" and len(words) > 1) or (role in _ABOUT_ONLY and role not in words)


def _clock(name: str) -> str:
    """ "time" or "date", where a name ends in it and does not speak of a start."""
    words = words_of(name)
    spoken = re.search(r"(time|date)$", words[-1] if words else "")
    return spoken[1] if spoken and _STARTS.isdisjoint(words) else ""


@per_tool
def roles_by_tool(tool: ToolDefinition) -> dict[str, str]:
    """Roles of parameters that only their tool tells: whose `name` it is, and where `from` and `to` are ends of a way."""
    texts = {
        n: s
        for n, s in tool.properties.items()
        if isinstance(s, Mapping) and s.get("type", "string") == "string" and "enum" not in s
    }
    said = f"{' '.join(words_of(tool.name))} {tool.description}"
    reminds, files = (re.search(rf"\b{word}", said, re.I) for word in ("remind", r"files?\b"))
    owned = any(words_of(n)[-1:] in (["repo"], ["repository"]) for n in tool.properties)
    moved = next((pair for pair in _MOVED if files and set(pair) <= texts.keys()), ())
    found = dict(zip(moved, ("file_from", "file_to"), strict=False))
    ends = {n.strip("_") for n in texts}
    found |= _ways(texts)
    for name, schema in texts.items():
        role = role_in(name, schema, "string")
        filed = re.search(r"director|folder", f"{tool.name} {schema.get('description', '')}", re.I)
        side = name.strip("_")  # "from" is a keyword of Python
        if {"from", "to"} <= ends and side in ("from", "to") and (end := _end(side, role)):
            found[name] = end
        elif role == "destination" and _STAYED_AT.search(said) and not _GONE_TO.search(said):
            found[name] = "place"  # "a house in Memphis", not "to Memphis"
        elif words_of(name) in (["make"], ["model"]) and _CARS.search(said):
            found[name] = f"car_{name}"
        elif reminds and role in ("message", "text", "note"):
            found[name] = "label"  # "remind me to buy milk"
        elif owned and role == "owner":
            found[name] = "account"
        elif filed and role == "file" and "file" not in words_of(name):
            found[name] = "folder"
        elif (
            role == "place" and "name" in words_of(name) and _HOUSE.search(str(schema.get("description", "")))
        ):
            found[name] = "org"  # "place_name", the name of the hotel
        elif role == "person_name" and _UNDER.search(str(schema.get("description", ""))):
            found[name] = "person"
        elif role == "person_name" and (thing := _named(name, schema, tool)):
            found[name] = thing
        if own := _by_values(name, found.get(name, role), schema):
            found[name] = own
        if is_program(tool) and (own := program_role(name, schema, found.get(name, role))) != role:
            found[name] = own
    if is_program(tool):
        lists = {
            n: s.get("items")
            for n, s in tool.properties.items()
            if isinstance(s, Mapping) and s.get("type") == "array"
        }
        open_lists = [
            n
            for n, item in lists.items()
            if isinstance(item, Mapping) and item.get("type") == "string" and "enum" not in item
        ]
        found |= {n: own for n in open_lists if (own := program_role(n, tool.properties[n], ""))}
    listed = {n: role_in(n, s, "array") for n, s in tool.properties.items() if isinstance(s, Mapping)}
    if "chemical_formula" in listed.values():  # products beside reactants
        found |= {n: "chemical_formula" for n, r in listed.items() if r == "product"}
    return found


def _ways(texts: Mapping[str, Any]) -> dict[str, str]:
    """Ends of a way that are named alike: source_warehouse and destination_warehouse."""
    found: dict[str, str] = {}
    for name in texts:
        first, *rest = words_of(name) or [""]
        placed = bool(rest) and rest[-1] in _SITES
        others = [
            n for n in texts if placed and _ARRIVES.intersection(words_of(n)[:1]) and words_of(n)[1:] == rest
        ]
        if (
            first in _LEAVES
            and others
            and all(role_in(n, texts[n], "string") in _PLACES for n in (name, others[0]))
        ):
            found |= {name: "origin", others[0]: "destination"}
    return found


def _end(name: str, role: str) -> str:
    """The role of one of `from` and `to`: a station's, a currency's; "" where its own says enough."""
    if role.startswith(("currency", "unit")):
        return f"{role.partition('_')[0]}_{name}"
    ends = {"from": "origin", "to": "destination"}
    return ends[name] if role in ("generic", "recipient", "place", "poi") else ""


def _named(name: str, schema: Mapping[str, Any], tool: ToolDefinition) -> str:
    """The role of what a `name` is the name of, by its own words, its description or its tool; "" of a person's."""
    of = _NAME_OF.search(str(schema.get("description", "")))
    thing = of[1] if of else objects_of(tool.name, tool.description)[-1]
    noun = (words_of(name)[-2:-1] or words_of(thing)[-1:] or [""])[0]
    if noun.removesuffix("s") in _PEOPLE:
        return ""
    role = role_of(noun, "", "string")
    return role if role in _NAMED else "thing_name"


@per_tool
def kinds_named(tool: ToolDefinition) -> tuple[str, tuple[str, ...]]:
    """(role, words) of the argument for what kind of thing is meant, with those that its definition names; ("", ()) where there is none.

    "Kind of thing: song, track, album." makes the song in "play a song" an argument; "Kind of media." does not.
    """
    roles = roles_of(tool)
    found = [n for n, r in roles.items() if r in KINDS]
    if len(found) != 1:  # of two nobody could tell which is meant
        return "", ()
    schema = tool.properties[found[0]]
    schema = schema if isinstance(schema, Mapping) else {}
    named = schema.get("enum") or described_values(str(schema.get("description", "")))
    return roles[found[0]], tuple(n for n in named if isinstance(n, str) and n.strip())
