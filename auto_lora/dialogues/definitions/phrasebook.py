"""The words of the built-in writer: what is in `phrases/`, mapped to any list of tools.

Tools are mapped to topics ("weather", "set_alarm", ...) by the words of their name and description, else to acts (get, set,
send, ...); parameters to roles (`role_words.py`), which fill the slots of frames. Every frame belongs to one split for good, so no sentence shape of
the training data comes back in validation or test.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

from auto_lora.dialogues.definitions.frames import Frame, parse

# Values that stand for no wish at all: nobody says them. (An enum may hold lists, so no set.)
UNSAID = ("dontcare", "any", "none", "None", "null", "n/a", "N/A", "unspecified", "default", "", None)
SPLITS = ("train", "validation", "test")
# Of ten frames or stock phrases, seven are training's, one validation's, two the test's.
_OWNERS = ("train", "train", "test", "train", "validation", "train", "test", "train", "train", "train")
# A slot may also be filled by an argument of a kindred role.
_KIN = (
    frozenset("song title".split()), frozenset("movie title".split()), frozenset("book title".split()), frozenset("show title".split()),
    frozenset("item product".split()), frozenset("recipient person".split()), frozenset("query topic".split()), frozenset("query regex".split()), frozenset("label event".split()),
    frozenset("label title".split()), frozenset("event title".split()), frozenset("message note text".split()), frozenset("amount number".split()),
    frozenset("level percent".split()), frozenset("item dish".split()), frozenset("date when start".split()), frozenset("time when".split()),
    frozenset("identifier code".split()), frozenset("subject topic".split()), frozenset("temperature level".split()),
    frozenset("currency currency_to".split()), frozenset("unit unit_to".split()), frozenset("lamp device".split()), frozenset("origin place".split()), frozenset("destination place".split()),
    frozenset("cast person".split()), frozenset("director person".split()), frozenset("author person".split()), frozenset("currency_pair currency".split()), frozenset("currency_pair currency_from".split()), frozenset("currency_pair currency_to".split()),
    frozenset("weather weather_noun weather_adjective weather_verb weather_measure".split()), frozenset("warmth weather_adjective".split()), frozenset("object settings".split()), frozenset("command described".split()),
    frozenset("spatial spatial_alone spatial_adjective".split()),
)  # fmt: skip
_STATES = set(
    "on off open closed close locked unlocked lock unlock enabled disabled start stop started stopped".split()
)
# What is done, and no state: "open the window", never "turn it close".
_DEEDS = ({"open", "close"}, {"lock", "unlock"}, {"start", "stop"})


@cache
def phrases(name: str) -> dict[str, Any]:
    """One file of `phrases/`."""
    text = files("auto_lora.dialogues").joinpath(f"phrases/{name}.json").read_text(encoding="utf-8")
    value: dict[str, Any] = json.loads(text)
    return value


def bucket(*parts: object, of: int = 100) -> int:
    """A stable number below `of` for any values: what decides which split something is in."""
    digest = hashlib.blake2b("\x1f".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % of


def split_of(*parts: object) -> str:
    """The split a value belongs to: 70 % train, 10 % validation, 20 % test."""
    number = bucket(*parts)
    return "train" if number < 70 else "validation" if number < 80 else "test"


_OPEN = frozenset(
    "city city_and_country artist org restaurant symbol poi place event_title topic text message".split()
)
# Everybody knows all of them, though they have many words: ways to say "here" and "near", keys of music.
_KNOWN = frozenset("here spatial spatial_alone musical_key country region".split())
_TIMES = frozenset("date start end time when weekday month frequency".split())


@cache
def is_closed(role: str) -> bool:
    """Whether all of a role's values are the words for them that people know: days and hours, meals, colours, genres.

    Of what people make up themselves (names, titles, notes) an inventory has only some.
    """
    known = phrases("inventories").get(role, ())
    made = role in _OPEN or role in phrases("forms")
    return role in _TIMES | _KNOWN or (
        bool(known) and not made and sum(len(v.split()) > 2 for v in known) < len(known) / 5
    )


def share_out(items: list[Any], split: str) -> list[Any]:
    """The part of a list that belongs to a split, by position."""
    return [item for i, item in enumerate(items) if _OWNERS[i % 10] == split]


def words_of(name: str) -> list[str]:
    """`getUserName`, `get_user_name` and `get-user.name` as ["get", "user", "name"]."""
    return list(_words_of(name))


@lru_cache(maxsize=20_000)
def _words_of(name: str) -> tuple[str, ...]:
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    found = tuple(w for w in re.split(r"[^A-Za-z0-9]+", spaced.lower()) if w)
    return found or (name,) * bool(name)  # a name in another script, or of signs alone, is one word


def stem(word: str) -> str:
    return word.removesuffix("s").removesuffix("e").removesuffix("ing")


def pool_of(role: str) -> str:
    """The pool that a role's values come from: its own, or the one it names."""
    return str(phrases("roles").get(role, {}).get("role", role))


def values_of(role: str) -> str:
    """The pool of values that fit a role best: names of currencies for the one to convert from."""
    return str(phrases("roles").get(role, {}).get("pool", pool_of(role)))


def tails_of(role: str) -> list[str]:
    """How an argument is put at the end of a sentence."""
    tails: list[str] = phrases("roles").get(role, {}).get("tails", [])
    return tails or [
        "with {name} {v}",
        "{name} {v}",
        "with the {name} {v}",
        "with {v} as {name}",
        "{name}: {v}",
    ]


@cache
def slots_for(role: str) -> frozenset[str]:
    """The slots that an argument of this role may fill, its own first."""
    own = {role, pool_of(role)}
    if role in ("date", "time", "daypart", "when", "start"):
        own |= {"when"}
    if "file" in own:  # a folder is no file that is sought
        own |= {"folder"}
    if role == "glob":  # "find *.py in src"
        own |= {"file"}
    return frozenset(own.union(*(kin for kin in _KIN if kin & own)))


def fills(role: str, slot: str) -> bool:
    return slot in slots_for(role)


# Slots for one form of what the weather may be ("will there be {weather_noun}", "is it {weather_adjective}"), and of where
# something is to be: "{spatial} {place}", "a pub {spatial_alone}", "the {spatial_adjective} pub". The first is that of unknown words.
WEATHER_FORMS = ("weather_noun", "weather_adjective", "weather_verb", "weather_measure")
SPATIAL_FORMS = ("spatial", "spatial_alone", "spatial_adjective")


def in_form(words: str, slot: str) -> bool:
    """Whether words may stand in a slot for one form."""
    forms = next((forms for forms in (WEATHER_FORMS, SPATIAL_FORMS) if slot in forms), None)
    if forms is None:
        return True
    known = [f for f in forms if words.lower() in phrases("inventories")[f]]
    return slot in (known or forms[:1])


# Tools to acts.


@cache
def all_verbs() -> frozenset[str]:
    """The stems of the verbs of all acts but "do", many of whose verbs are nouns too: rate, water, report."""
    return frozenset(stem(v) for act, entry in phrases("acts").items() for v in entry["verbs"] if act != "do")


def by_split(name: str, lines: list[str]) -> dict[str, tuple[Frame, ...]]:
    """The frames of some lines by the split they belong to."""
    order = sorted(set(lines), key=lambda line: bucket(name, line, of=2**31))
    made = [parse(line, f"{name}/{bucket(line, of=10**6)}") for line in order]
    return {split: tuple(share_out(made, split)) for split in SPLITS}


@cache
def act_frames(act: str, split: str) -> tuple[Frame, ...]:
    """The frames of an act that belong to a split."""
    return by_split(act, phrases("acts")[act]["frames"])[split]


@cache
def _measure_lines(counted: str) -> list[str]:
    """The questions for all measures: split as one, since some measures share lines."""
    return [line.replace("{counted}", counted) for lines in phrases("measures").values() for line in lines]


@cache
def measure_frames(measure: str, split: str) -> tuple[Frame, ...]:
    """The questions for a measure ("distance", "number of days") that belong to a split."""
    counted = measure.removeprefix("number of ")
    name = "number of" if counted != measure else measure
    lines = [line.replace("{counted}", counted) for line in phrases("measures").get(name, [])]
    return tuple(f for f in by_split("measures", _measure_lines(counted))[split] if f.text in lines)


@cache
def lines_of_split(name: str, split: str) -> Mapping[str, Frame]:
    """The near misses of a topic that belong to a split; `name` is "near_" and the topic's."""
    entries = phrases("near_misses")[name.removeprefix("near_")]
    return {f.text: f for f in by_split(name, [line for e in entries for line in e["asks"]])[split]}


def is_state(schema: Mapping[str, Any]) -> bool:
    """An enum of states: on and off, open and closed."""
    values = schema.get("enum") or []
    if {str(v).lower() for v in values} in _DEEDS:
        return False
    return 2 <= len(values) <= 4 and all(isinstance(v, str) and v.lower() in _STATES for v in values)


def is_joined(schema: Mapping[str, Any]) -> bool:
    """Whether one string holds several values: "Currencies, joined by ', '"."""
    about = str(schema.get("description", ""))
    return re.search(r"joined by|comma.separated|separated by commas", about) is not None


def main_roles(act: str) -> tuple[str, ...]:
    """Roles that stand right after the verb of an act: "play {artist}", "translate {text}"."""
    roles: list[str] = phrases("acts")[act].get("main", [])
    return tuple(roles)
