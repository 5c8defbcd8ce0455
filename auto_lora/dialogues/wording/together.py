"""Which arguments people give beside which: the unit of a rating, but neither "this one" nor "the best" beside a title."""

from __future__ import annotations

import random
from collections.abc import Mapping

from auto_lora.catalog import ToolDefinition
from auto_lora.dialogues.definitions.frames import Frame
from auto_lora.dialogues.definitions.phrasebook import SPATIAL_FORMS, slots_for, stem, words_of
from auto_lora.dialogues.definitions.topics import Topic
from auto_lora.dialogues.wording.phrased import BESIDE

# Says nothing without the other: where such an argument is given, one of those must be.
_LEANS_ON = {
    "spatial": ("poi", "place", "region", "country", "here"), "sort": ("kind", "kind_place"), "rating_unit": ("rating",), "rating_max": ("rating",), "owner": ("playlist", "list"),
    "position": ("kind", "series"), "series": ("title", "position"), "rating": ("title", "position", "kind", "book", "movie", "song"),
}  # fmt: skip
NEAR_TO = frozenset("poi place region country here".split())  # what one may be near to


def neighbours(rng: random.Random, given: set[str], roles: Mapping[str, str]) -> set[str]:
    """Some of what stands right beside a given argument: the unit of a rating, the owner of a playlist."""
    found = set()
    for head in sorted(given):
        before, after = BESIDE.get(roles[head], ((), ()))
        beside = [n for n, r in roles.items() if n not in given and r in (*before, *(r for r, _ in after))]
        often = min(0.6, 1 / max(len(beside), 1))
        found |= {n for n in beside if rng.random() < (0.15 if roles[n] == "sort" else often)}
    return found


def supported(
    rng: random.Random, given: set[str], roles: Mapping[str, str], required: set[str], frame: Frame | None
) -> set[str]:
    """Without arguments that say nothing alone; what they lean on is added where the tool has it.

    Nobody names a place and says "here", too; few name a town with its state or country, fewer with both.
    """
    given = _one_weather(given, roles, required, frame)
    if any(roles[g] in ("place", "region", "country") for g in given):
        given = {g for g in given if roles[g] != "here" or g in required}
    areas = [g for g in sorted(given - required) if roles[g] in ("region", "country")]
    if len(areas) > 1 and rng.random() < 0.8:
        out = rng.choice(areas)
        given, areas = given - {out}, [a for a in areas if a != out]
    towns = {g for g in given - required if roles[g] == "place"}
    if areas and towns and not (frame and "place" in frame.needed) and rng.random() < 0.5:
        given = given - (towns if rng.random() < 0.7 else set(areas))  # "in Ghana", "in Accra"
    given = given - (_said_otherwise({roles[g] for g in given}, roles, frame) - required)
    alone = frame is not None and not frame.named.isdisjoint(SPATIAL_FORMS[1:])
    near = [roles[g] for g in given if roles[g] in NEAR_TO]
    if (
        frame
        and near
        and frame.named.isdisjoint(SPATIAL_FORMS)
        and all(f"{{{r}}}" in frame.text for r in near)
    ):
        given = {g for g in given if roles[g] != "spatial" or g in required}  # "check the park, near"
    for name in sorted(given - required):
        wanted = _LEANS_ON.get(roles[name])
        if roles[name] == "spatial" and (alone or rng.random() < 0.4):
            wanted = None  # "a pub nearby"
        if wanted and name not in required and not set(wanted) & set(roles.values()):
            wanted = None  # a hotel's stars lean on nothing
        if wanted and not any(roles[g] in wanted for g in given):
            able = [n for n, r in roles.items() if r in wanted]
            given = given | {rng.choice(able)} if able and rng.random() < 0.8 else given - {name}
    return given


NAMES = frozenset("title song album movie book playlist show".split())


def _said_otherwise(given: set[str], roles: Mapping[str, str], frame: Frame | None) -> set[str]:
    """Arguments that nobody gives beside others: who names a film says neither "this one" nor "the best"."""
    named = frame.named if frame else frozenset()
    out: set[str] = set()
    if given & NAMES and "sort" not in named:
        out.add("sort")
    if {"title", "position"} <= given:
        out.add("title" if "position" in named else "position")
    if {"kind", "series"} <= given:  # "the current saga"
        out.add("series" if "kind" in named else "kind")
    return {n for n, r in roles.items() if r in out}


def lesser_kinds(tool: ToolDefinition, roles: Mapping[str, str], topic: Topic | None) -> set[str]:
    """Of several arguments for what kind of thing is meant those that are of none of the tool's things: of `object_type` and
    `movie_type` the first, where films are sought."""
    kinds = [n for n, r in roles.items() if r == "kind"]
    things = {stem(w) for w in words_of(tool.name)} | (topic.words if topic else frozenset())
    own = {n for n in kinds if things & {stem(w) for w in words_of(n)[:-1]}}
    return set(kinds) - own if own else set()


def _one_weather(
    given: set[str], roles: Mapping[str, str], required: set[str], frame: Frame | None
) -> set[str]:
    """With one of how warm it is and what else the weather is like, where a sentence has a place for one only."""
    if frame is None or not {"weather", "warmth"} <= {roles[g] for g in given}:
        return given
    places = frame.named & (slots_for("weather") | slots_for("warmth"))
    if len(places) > 1:
        return given
    out = "weather" if "warmth" in places else "warmth" if "weather_adjective" not in places else "weather"
    return {g for g in given if roles[g] != out or g in required}
