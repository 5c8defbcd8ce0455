"""How people say yes or no of a boolean argument.

One may say what is to be done with the tool's thing: it is said by its own word ("turn the lamp off"), not by the argument's
name ("the lamp without on"). Any other is a thing ("with parking"), a quality ("make it urgent") or a deed ("and notify them").
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from auto_lora.catalog import ToolDefinition
from auto_lora.dialogues.definitions.phrasebook import UNSAID, is_state, phrases, words_of

Switch = tuple[str, str, str]  # role, its word where true, its word where false

_NAMES = (
    ("state", "on", "off", "on power powered enable enabled active activate activated", "off disable disabled inactive"),
    ("action", "open", "close", "open opened", "close closed shut"),
    ("action", "lock", "unlock", "lock locked", "unlock unlocked"),
    ("action", "mute", "unmute", "mute muted", "unmute unmuted"),
    ("action", "arm", "disarm", "arm armed", "disarm disarmed"),
)  # fmt: skip
_WORDS: dict[str, Switch] = {
    name: (role, *pair)
    for role, yes, no, names, inverse in _NAMES
    for pair, spelled in (((yes, no), names), ((no, yes), inverse))
    for name in spelled.split()
}
_POSITIVE = frozenset("on open lock mute arm".split())  # what true means, if nothing else is said
# Words of a name that say nothing of which: "is_on", "turn_on", "state".
_EMPTY = frozenset(
    "is turn turned switch switched set should be new desired target make to state status value do".split()
)
# What such a tool does, by its verb; "open_account" and "update_user" are not told on or off.
_TURNING = frozenset("turn switch toggle enable disable activate deactivate set control operate power flip put move change".split())  # fmt: skip
_PARTICLES = frozenset(
    "up in out on off by as all now me alive read early first forever over back wrap down again".split()
)
_OF_ITS_OWN = frozenset("open close lock unlock mute arm shut".split())  # such a verb must be the argument's


_YES, _NO = frozenset(("true", "yes")), frozenset(("false", "no"))
_ANSWERS = frozenset("answer response vote reply rsvp choice decision status".split())


def yes_or_no(name: str, schema: Mapping[str, Any]) -> dict[str, bool]:
    """What each string of an enum of "True" and "False" (or yes and no) says; empty for any other. Others beside them stand for no wish."""
    values = [v for v in schema.get("enum") or () if isinstance(v, str)]
    found = {v: v.lower() in _YES for v in values if v.lower() in _YES | _NO}
    told = set(found.values()) == {True, False} and all(v in found or v in UNSAID for v in values)
    return found if told and not _ANSWERS & set(words_of(name)) else {}


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
    said, (first, _, already) = next(iter(found.values())), verb.partition(" ")
    named = any(name in tool.required for name in found)
    turning = first in _TURNING or (act == "any" and named)
    fits = first in said[1:] if first in _OF_ITS_OWN else turning
    # "Set the thermostat to 21 degrees": whether it is on is beside the point.
    measured = any(schemas.get(n, {}).get("type") in ("integer", "number") for n in tool.required)
    return found if fits and (named or not (measured or already)) else {}


def _said(name: str, schema: Mapping[str, Any]) -> Switch | None:
    """The words of a boolean: by its name, where that says nothing by its description ("True to turn on, false to turn off")."""
    telling = [w for w in words_of(name) if w not in _EMPTY]
    if telling:
        return _WORDS.get(telling[0]) if len(telling) == 1 else None
    about = str(schema.get("description", "")).lower()
    known = next((w for w in re.findall(r"[a-z]+", about) if w in _WORDS), "on" if not about else "")
    if not known:
        return None
    role, *pair = _WORDS[known]
    yes, no = pair if pair[0] in _POSITIVE else reversed(pair)
    turned = rf"\b{no}\w*\W{{0,3}}(?:(?:if|when|is|for)\W+)?true\b|\btrue[ :=]+(?:(?:to|for|means|is|turns?|it|the|=|:)\W*)*{no}\w*"
    return (role, no, yes) if re.search(turned, about) else (role, yes, no)


def switch_words(name: str, value: bool) -> list[str]:
    """Ways to say a boolean: "including the description", "power save off", "unread only", "make it urgent", "don't notify them"."""
    words = words_of(name) or ["it"]
    plain = words[1:] if len(words) > 1 and words[0] in ("is", "are", "should", "be", "use") else words
    if len(plain) == 1 and _WORDS.get(plain[0], ("",))[0] == "state":
        return _turned(plain[0], value)
    made = _marked(words, value) if len(words) > 1 else None
    if made:
        return made
    core, named = " ".join(plain), plain is not words and words[0] in ("is", "are")
    if _is_quality(plain):
        if "_".join(plain) in _listed("found") or _meant_for(plain):
            return [core, f"that is {core}"] if value else [f"that isn't {core}", f"not {core}"]
        yes = [core, core, f"make it {core}", f"it should be {core}"]
        return yes if value else [f"not {core}", f"but not {core}", f"it shouldn't be {core}"]
    if named:  # "is_gift"
        a = "an" if core[0] in "aeio" else "a"
        return [f"it is {a} {core}"] if value else [f"it isn't {a} {core}", f"not {a} {core}"]
    return _deed(plain, value) if plain[0] in _listed("verbs") else _thing(plain, value, False)


def _turned(word: str, value: bool) -> list[str]:
    """A switch beside other things: "turned off", "disabled"."""
    on = _WORDS[word][1 if value else 2] == "on"
    if word.endswith("active"):
        return ["active" if on else "inactive"]
    if "able" in word:
        return ["enabled" if on else "disabled"]
    return ["turned on", "switched on"] if on else ["turned off", "switched off"]


def _marked(words: Sequence[str], value: bool) -> list[str] | None:
    """A name whose first or last word says how it is meant: "unread_only", "no_onions", "include_notes", "pets_allowed"."""
    (first, *after), (*before, last) = words, words
    rest, front = " ".join(after), " ".join(before)
    if last == "only" and not _is_quality(words):
        no = [f"not only {front}", f"not just {front}"]
        return [f"only {front}", f"{front} only", f"just {front}"] if value else no
    if first in ("no", "without"):
        return [f"without {rest}", f"no {rest}"] if value else [f"with {rest}"]
    if first in ("with", "enable"):
        return _thing(after, value, first == "enable")
    if last in ("enabled", "on", "flag") and "_".join(words) not in _listed("found"):
        return _thing(before, value, last != "flag")
    if first in ("include", "show", "has"):
        rest += " ones" if _is_quality(after) or last == "inactive" else ""
        if value:
            return [f"including the {rest}", f"with the {rest}", f"including {rest}", f"with {rest}"]
        return [f"without the {rest}", f"without {rest}", f"no {rest}", f"excluding {rest}"]
    if last in _listed("states"):
        whole = f"{front} {last}"
        return [whole, f"with {whole}"] if value else [f"no {front}", f"without {front}"]
    if first in _listed("does"):
        return [f"that {first} {rest}"] if value else [f"that doesn't {first.removesuffix('s')} {rest}"]
    return None


@cache
def _listed(kind: str) -> frozenset[str]:
    return frozenset(phrases("switches")[kind].split())


def _meant_for(words: Sequence[str]) -> bool:
    """ "Good for kids", "suitable for beginners"."""
    return (
        len(words) > 2
        and words[1] == "for"
        and words[0] in ("good", "suitable", "safe", "fit", "ideal", "great", "open")
    )


def _is_quality(words: Sequence[str]) -> bool:
    """Whether the words say what something is like: "urgent", "gluten free", "confirmed"."""
    whole, last = "_".join(words), words[-1]
    if _meant_for(words):
        return True
    if whole in _listed("adjectives") or whole in _listed("found"):
        return True
    ends = any(last.endswith(end) for end in _listed("endings")) and last not in ("table", "cable")
    done = len(words) == 1 and re.fullmatch(r"\w{2,}[^e\W]ed", last) is not None and last != "embed"
    return (ends or done) and last not in _listed("verbs")


def _thing(words: Sequence[str], value: bool, enabling: bool) -> list[str]:
    core = " ".join(words)
    if enabling:
        yes = [f"with {core} enabled", f"with {core} on", f"{core} on", f"{core} enabled", f"with {core}"]
        no = [f"with {core} disabled", f"with {core} off", f"{core} off", f"without {core}"]
        return yes if value else no
    return [f"with {core}"] if value else [f"without {core}", f"without {core}", f"no {core}"]


_SENT = {"notify": "a notification", "alert": "an alert"}


def _deed(words: Sequence[str], value: bool) -> list[str]:
    """What else is to be done: "and notify the customer", "don't overwrite it"."""
    verb, *rest = words
    if not rest and verb in _SENT:  # to whom, its description tells
        core = f"send {_SENT[verb]}"
    elif not rest:
        whom = "" if verb in _listed("alone") else " them" if verb in _listed("of_people") else " it"
        core = f"{verb}{whom}"
    elif (
        len(rest) == 1
        and verb != "add"
        and rest[0] not in _PARTICLES
        and not re.search(r"(?:[^s]s|ing|ed|ly|al|[aeo]nding)$", rest[0])
    ):
        a = "an" if rest[0][0] in "aeio" else "a"
        core = f"{verb} {a if verb in ('attach', 'create', 'make', 'send') else 'the'} {rest[0]}"
    else:
        core = " ".join(words)
    return (
        [f"and {core}", f"and please {core}"]
        if value
        else [f"don't {core}", f"but don't {core}", f"and don't {core}"]
    )
