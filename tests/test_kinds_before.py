"""Kinds before their noun: "a thriller movie directed by Nolan", "electric cars", "an apartment in Riga"."""

from __future__ import annotations

import re

from auto_lora.dialogues.definitions.phrasebook import phrases
from auto_lora.dialogues.definitions.roles import roles_of
from auto_lora.dialogues.values.surfaces import Value
from auto_lora.dialogues.wording.kinds import adjective, is_kind
from tests.tool_lists import asked, text, tool

CARS = tool(
    "search_cars", "Search for cars for sale.", ("fuel_type",),
    fuel_type={"type": "string", "enum": ["petrol", "diesel", "electric", "hybrid"]}, body_type={"type": "string", "enum": ["sedan", "suv", "hatchback"]},
    max_price={"type": "number"}, city=text("City"),
)  # fmt: skip
HOMES = tool(
    "search_homes", "Search homes for rent.", ("property_type", "city"),
    property_type={"type": "string", "enum": ["apartment", "house", "studio"]}, city=text("City"), bedrooms={"type": "integer"},
)  # fmt: skip
MOVIES = tool(
    "find_movies", "Find movies online.", (),
    genre={"type": "string", "enum": ["Action", "Comedy", "Thriller", "Sci-fi", "Drama"]}, directed_by=text("Director of the movie"), cast=text("Name of an actor in the movie"),
)  # fmt: skip
PLACES = tool("search_restaurants", "Search for restaurants.", ("cuisine", "city"), cuisine=text("Type of cuisine"), city=text("City"))  # fmt: skip
EVENTS = tool("get_events", "Get events in a city.", ("category", "city"), category={"type": "string", "enum": ["music", "sports", "comedy"]}, city=text("City"))  # fmt: skip


def _share(definition, pattern, key):
    """How many of the prompts that give an argument match a pattern with its value."""
    said = [(p, str(a[key])) for p, a in asked(definition, 120) if key in a]
    assert said
    return sum(re.search(pattern.format(v=re.escape(v)), p, re.I) is not None for p, v in said) / len(said)


def test_what_says_the_kind_of_the_thing_is_told_from_what_does_not():
    enum = {"type": "string", "enum": ["a", "b"]}
    assert is_kind("fuel_type", "type", enum, "car") and is_kind("genre", "genre", text(), "movie")
    assert not is_kind("room_type", "type", enum, "hotel") and not is_kind("city", "place", text(), "home")
    assert is_kind("room_type", "type", enum, "room")
    assert roles_of(CARS)["body_type"] == "type"


def test_a_kind_has_one_form_before_its_noun():
    assert adjective(Value("Comedy", "something funny", "genre")) == "comedy"
    assert adjective(Value("Sci-fi", "sci-fi", "genre")) == "sci-fi"
    assert adjective(Value("sports", "sports", "category")) == "sports"
    assert adjective(Value("classics", "classics", "genre")) == "" == adjective(Value("any", "any", "type"))


def test_a_kind_mostly_stands_before_its_noun():
    assert _share(CARS, r"\b{v} (?:cars?|sedans?|suvs?|hatchbacks?)\b", "fuel_type") > 0.5
    assert _share(HOMES, r"\b{v}s?\b(?! as | property)", "property_type") > 0.5
    assert _share(PLACES, r"\b{v} (?:food|restaurants?|places?|cooking)\b", "cuisine") > 0.3
    assert _share(EVENTS, r"\b{v} events?\b", "category") > 0.4
    assert _share(MOVIES, r"\b{v} (?:movies?|films?|one)\b", "genre") > 0.6


def test_no_kind_hangs_at_the_end_without_a_word():
    for prompt, arguments in asked(HOMES, 120):
        assert not re.search(rf"\bhomes (?:as )?{arguments['property_type']}\b", prompt, re.I), prompt
    for prompt, _ in asked(MOVIES, 120):
        assert not re.search(r"\ba something|genre something|, (?:thriller|drama|sci-fi)$", prompt, re.I)


def test_lists_of_kinds_are_words():
    assert all(w.islower() for words in phrases("kinds").values() for w in words.split())
