"""What a definition says, read as English: what a tool does and to what, example values.

"Calculates the density of a substance based on its mass and volume." is to compute "the density of a substance";
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from auto_lora.catalog import ToolDefinition
from auto_lora.catalog.definition import per_tool
from auto_lora.dialogues.definitions.decisions import decided
from auto_lora.dialogues.definitions.phrasebook import is_state, phrases, words_of
from auto_lora.dialogues.definitions.switches import Switch, switch_of

_SPOKEN_VERBS = {
    "calculator": "calculate",
    "math": "calculate",
    "status": "check",
    "checkout": "pay",
    "query": "run",
    "new": "add",
}
# How a description speaks of its tool before it says what that does: "This function searches", "Used to find".
_OF_ITSELF = re.compile(
    r"^(?:(?:this|the|an?)\s+)?(?:function|tool|method|api|endpoint)\s+(?:(?:that|which)\s+)?"
    r"(?:(?:is\s+)?used\s+to\s+|allows\s+(?:you|users?|the\s+user)\s+to\s+|can\s+|to\s+)?|^(?:used?|allows\s+(?:you|users?|the\s+user))\s+to\s+",
    re.I,
)
DETERMINERS = frozenset(
    "a an the two three all some any your my one this its new multiple nearby more every each or and up".split()
)
_PARTICLES = r"(?:up|back|out|off|on|down|over)"
_OPPOSITE = {"on": "off", "off": "on", "up": "down", "down": "up"}
# Verbs at the beginning of a description, elsewhere mostly nouns: "Commit staged changes."
_VERBS_HERE = frozenset(
    "commit format hash stash lint push pull initialize animate tail fly fold mop vacuum".split()
)
# What is sent on its way is not written: "Send the vacuum back to its dock."
_SENT_OFF = re.compile(
    r"sends? (?:an?|the) (?!message|e-?mail|letter|reply|note|text)(?:\w+ ){1,3}?(?:back|home|to its)\b", re.I
)
_FREE = (
    r"(?:(?!such as\b|(?:good|suitable|available|open|filters?) for\b|,).)"  # no "for" of a filter's follows
)
_LOOKING = frozenset("search look query check browse scan use".split())


def _conjugated(word: str, verbs: Mapping[str, str]) -> str:
    """The verb that a word is a form of: "searches", "applies", "predicts"; one that is not known loses its s."""
    word = word.lower()
    forms = [word, re.sub("ies$", "y", word), word.removesuffix("es"), word.removesuffix("s")]
    known = next((f for f in forms if f in verbs), "")
    return known or (word if word.endswith("ss") else re.sub("ies$", "y", word).removesuffix("s"))


@cache
def _verbs() -> dict[str, str]:
    return {verb: act for act, entry in reversed(phrases("acts").items()) for verb in entry["verbs"]}


def verb_act(word: str) -> str:
    """The act that a verb, or a verb with an s, stands for; "" for any other word."""
    known = _verbs()
    return known.get(word) or known.get(word.removesuffix("s")) or ""


@cache
def deed_told(description: str) -> tuple[str, str]:
    """(verb, what follows it) of a description's first sentence; no verb where it begins with none that is one for sure."""
    sentence = _OF_ITSELF.sub("", description.strip().split(". ")[0].rstrip("."))
    first, _, rest = sentence.partition(" ")
    verb, second = _conjugated(first, _verbs()), rest.partition(" ")[0].lower()
    if (
        not first.replace("-", "").isalpha()
        or first.lower() in DETERMINERS
        or (first.lower().endswith("ly") and verb not in _verbs())  # "Hourly or daily forecast."
        or not (verb in _verbs() or verb in _VERBS_HERE or second in DETERMINERS)
    ):
        return "", sentence
    rest = re.sub(r"^(?:or|and) [\w-]+ ", "", rest)
    particle = re.match(rf"{_PARTICLES} ", rest)
    if verb in _LOOKING and not particle:
        deeper = re.search(r"\bto (\w+) (.+)", rest)
        if deeper and verb_act(deeper[1]) in (
            "find",
            "get",
        ):  # not "films to watch"; "searches the database to find all movies by an actor"
            return deeper[1], deeper[2]
        sought = re.match(rf"(?:{_FREE}*?\s)?for (?!sale|rent|hire|free)(.+)", rest)
        if sought:  # "search the web for information"
            return verb, sought[1]
    return (f"{verb} {particle[0].strip()}", rest[particle.end() :]) if particle else (verb, rest)


@cache
def act_of(name: str, description: str) -> tuple[str, str]:
    """(act, verb) of a tool: by the first word of its name, then of its description, then any verb in them; "turn off" with its "off".

    In "rate_book", described as "Give a book a rating", the book is no verb.
    """
    verbs, named = _verbs(), words_of(own_name(name))
    timed = any(word in ("alarm", "reminder", "timer", "remind") for word in named)
    if timed and verb_act(named[0]) in ("", "book", "create", "remind", "set"):  # not "rename_alarm"
        return "remind", "set"
    deed = deed_told(description)[0].partition(" ")[0]
    described = words_of(description)[:4]
    said = f"{' '.join(named)}. {description.lower()}"
    if named[:1] == ["get"] and verbs.get(deed) in ("book", "create"):  # "Book a cab" of get_ride
        named = named[1:]
    for word in (*named[:1], *([deed] if deed else described[:1]), *named[1:], *described[1:]):
        if re.search(rf"\b(?:an?|the|two|three|some|any) (?:\w+ )?{re.escape(word)}s?\b", description, re.I):
            continue
        if word not in (named[:1] or [""]) and word != deed and STATED.match(description):
            return "get", "get"
        if (
            word == deed
            and word not in named
            and _RETURNED.match(description)
            and not _GIVEN_BACK.search(description)
        ):  # as the documentation of functions says it
            return "get", "get"
        if word == "news":
            continue
        known = word if word in verbs else word.removesuffix("s")
        if named == [word] and verbs.get(known) == "do" and deed != word and deed in verbs:
            continue  # "calculus.integrate" computes the integral
        if known in verbs:
            parted = known in ("switch", "turn") and re.search(
                rf"\b{known}(?:es|s)? (on|off|up|down)\b", said
            )
            if parted and _OPPOSITE[parted[1]] not in words_of(said):  # not "turn on/off the light"
                return verbs[known], f"{known} {parted[1]}"
            act = "do" if known == "send" and _SENT_OFF.match(description) else verbs[known]
            return act, _SPOKEN_VERBS.get(known, known)
        if word == deed:
            return "do", deed
    return "any", "do"


def own_name(name: str) -> str:
    """A name without its class, namespace or service: "digest" of "MessageDigest.digest", "GetRide" of "Rides_1_GetRide"."""
    return _SERVICE.sub("", name.rpartition(".")[2] or name)


_SERVICE = re.compile(r"^[A-Z][A-Za-z]*_\d+_(?=[A-Z])")
_RETURNED = re.compile(r"Returns |Return (?:the|an?|all|information|details|list)\b")
_GIVEN_BACK = re.compile(
    r"\b(?:items?|orders?|purchases?|products?|packages?|rentals?|borrowed|loaned|library)\b", re.I
)
# "Number of days between two dates", "The probability of ...": what is wanted, without a verb.
STATED = re.compile(
    r"(?:the |an? )?(?:[a-z]+ ){0,2}?(?!.{0,12}\b(?:list|set|change) )[a-z]+(?<!s) (?:of|between) ", re.I
)


_POWER = frozenset("on off active enabled power running state status up".split())


@per_tool
def tool_act(tool: ToolDefinition) -> tuple[str, str]:
    """(act, verb) of a tool; one with an argument that says on or off, or what to do, has that argument's act."""
    act, verb = act_of(tool.name, tool.description)
    schemas = {n: s for n, s in tool.properties.items() if isinstance(s, Mapping)}
    if any(map(is_state, schemas.values())):
        return "switch", verb
    if switched := switches_of(tool):
        role = next(iter(switched.values()))[0]
        return "switch" if role == "state" else "act", verb.partition(" ")[0]
    if any(s.get("type") == "boolean" and _POWER & set(words_of(n)) for n, s in tool.properties.items() if isinstance(s, Mapping)):  # fmt: skip
        verb = verb.partition(" ")[0]  # that argument says on or off
    acts = any(is_action(n, s, asks(tool), made=makes(tool)) or decides(s, tool) for n, s in schemas.items())
    return ("act" if acts else act), verb


def decides(schema: Mapping[str, Any], tool: ToolDefinition) -> bool:
    """Whether an argument says which of a tool's two deeds is meant: approved, rejected."""
    return not asks(tool) and bool(decided(schema, f"{tool.name} {tool.description}"))


@per_tool
def asks(tool: ToolDefinition) -> bool:
    """Whether a tool finds or tells something, by its own words."""
    return act_of(tool.name, tool.description)[0] in ("find", "get", "track")


@per_tool
def switches_of(tool: ToolDefinition) -> dict[str, Switch]:
    """The boolean argument by which a tool's thing is switched, with its words: see `switch_of`."""
    return _reversed_by(tool) or switch_of(tool, *act_of(tool.name, tool.description))


def _reversed_by(tool: ToolDefinition) -> dict[str, Switch]:
    """The boolean that chooses the second of two deeds: `decode` of "Encode or decode a string"."""
    two = re.match(r"([\w-]+) or ([\w-]+) ", tool.description)
    first, second = (_conjugated(w, _verbs()) for w in two.groups()) if two else ("", "")
    if not {first, second} <= _verbs().keys():
        return {}
    named = [
        n
        for n, s in tool.properties.items()
        if isinstance(s, Mapping) and s.get("type") == "boolean" and n.lower() == second
    ]
    return {named[0]: ("action", second, first)} if named else {}


@cache
def _is_verb(word: str) -> bool:
    return word in _verbs()


@per_tool
def makes(tool: ToolDefinition) -> bool:
    """Whether a tool is named after making something: a filter that is created, and archives or deletes."""
    return verb_act((words_of(own_name(tool.name)) or [""])[0]) == "create"


def is_action(name: str, schema: Mapping[str, Any], asked: bool, *, made: bool = False) -> bool:
    """An enum of things to do: add, delete, complete; not of what somebody may do: a permission to view or edit.

    Args:
        asked: the tool finds or tells something: homes to buy or to rent are found.
        made: it makes something; what that does is no deed of the tool, unless to make is one of them.
    """
    values = schema.get("enum") or []
    words = set(words_of(name))
    if made and not any(verb_act((words_of(v) or [""])[0]) == "create" for v in values if isinstance(v, str)):
        return False
    if len(values) < 2 or is_state(schema) or not all(isinstance(v, str) and v for v in values):
        return False
    verbs = [_is_verb(words_of(v)[0]) if words_of(v) else False for v in values]
    if words & {"action", "command", "operation", "cmd"}:
        return 2 * sum(verbs) >= len(verbs)
    return (
        not asked
        and all(verbs)
        and all(" " not in v and "_" not in v for v in values)
        and words.isdisjoint(_MAY)
    )


def is_settings(tool: ToolDefinition) -> bool:
    """Whether all that a tool takes is one object of settings: enums, switches and numbers."""
    schema = tool.properties.get(tool.required[0], {}) if len(tool.required) == 1 else {}
    parts = schema.get("properties", {}) if isinstance(schema, Mapping) else {}
    simple = all(isinstance(p, Mapping) and ("enum" in p or p.get("type") in ("boolean", "integer", "number")) for p in parts.values())  # fmt: skip
    return bool(parts) and simple and len(tool.properties) == 1


_MAY = frozenset("permission permissions access role scope privilege".split())
