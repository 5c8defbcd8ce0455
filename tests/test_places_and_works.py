"""Where, how warm, which one and how good: arguments that people give in a few words, which the writer once said with their names."""

from __future__ import annotations

import random
import re

import pytest

from auto_lora._settings import TrainingConfig
from auto_lora.dialogues import SyntheticDataGenerator
from auto_lora.dialogues.definitions.examples import described_values
from auto_lora.dialogues.definitions.phrasebook import phrases
from auto_lora.dialogues.values.pool_for import pool_for
from auto_lora.dialogues.values.pools import Pools
from auto_lora.dialogues.wording.timely import timely
from tests.tool_lists import text, tool

WEATHER = tool(
    "get_weather", "Get the weather.", [], city=text("City."), country=text("Country."), state=text("State or province."),
    condition_temperature=text("Temperature condition asked about: hot, cold, freezing."), poi=text("Point of interest."),
    condition=text("Weather condition asked about: rain, storm, fog."), current_location=text("Words for the place where the user is."),
    spatial_relation=text("Where in relation to the place: near, close by, far from."),
)  # fmt: skip
TABLE = tool(
    "book_restaurant", "Book a table at a restaurant.", [], restaurant_type=text("Kind of place: restaurant, bar, diner, pub..."),
    sort=text("Order or preference: best, highly rated, popular."), cuisine=text("Cuisine."), city=text("City."),
    poi=text("Point of interest to be near to."), spatial_relation=text("Where in relation to the place: near, close by, far from."),
)  # fmt: skip
RATE = tool(
    "rate_book", "Give a book a rating.", [], rating=text("Rating given."), rating_unit=text("Unit of the rating: stars, points."),
    best_rating=text("Highest possible rating."), which=text("Which one: this, current, next."), title=text("Name of the work."),
    kind=text("Kind of work: book, novel, film, song..."), series_type=text("series, saga or chronicle."),
)  # fmt: skip
ADD = tool(
    "add_to_playlist", "Add a song, album or artist to one of the user's playlists.", [], playlist=text("Name of the playlist."),
    owner=text("Whose playlist it is, in the words of the user (my, Anna's)."), artist=text("Name of the artist."),
    music_item=text("Kind of thing: song, track, album, artist, tune."), entity_name=text("Name of the song or album to add."),
)  # fmt: skip
TIMER = tool("set_timer", "Set a timer.", ["minutes"], minutes={"type": "integer", "description": "Minutes."})
WARM = "hot cold freezing warm chilly mild cool colder warmer hotter boiling scorching frosty icy".split()


def asked(definition, count):
    """(prompt, arguments) of the calls written for one tool beside a timer."""
    made = SyntheticDataGenerator([definition, TIMER], TrainingConfig(seed=3)).generate(
        2 * count, "train", shares={"single": 0.5, "optional": 0.5}
    )
    calls = [(c.prompt, c.scored_turns()[0].expected[0]) for c in made]
    return [(prompt, dict(call.arguments)) for prompt, call in calls if call.name == definition.name]


@pytest.mark.parametrize("definition", [WEATHER, TABLE], ids=lambda d: d.name)
def test_a_relation_stands_before_a_place_or_alone(definition):
    alone = 0
    for prompt, given in asked(definition, 200):
        said = given.get("spatial_relation", "").lower()
        assert not re.search(r"\bat (?:near|close|far|by|opposite)\b", prompt.lower()), prompt
        if re.search(r"\b(?:of|to|from|near|around|by|as)$", said) and said not in ("close by", "near by"):
            after = re.split(rf"\b{said}\b", prompt.lower(), maxsplit=1)[1]
            assert re.match(r" [^\W_]", after), prompt  # never "a pub near."
        alone += bool(said) and not {"poi", "city", "state", "country", "current_location"} & given.keys()
    assert alone > 2


def test_how_warm_it_is_is_not_what_else_the_weather_is_like():
    warm = 0
    for prompt, given in asked(WEATHER, 300):
        assert given.get("condition") not in WARM, prompt
        if "condition_temperature" in given:
            warm += 1
            assert given["condition_temperature"] in WARM
            assert not re.search(r"\band (?:hot|cold|mild)[.!?]?$", prompt.lower()), prompt
    assert warm > 15


def test_a_table_is_booked_at_the_best_bar_and_not_sorted_by_best():
    together = 0
    for prompt, given in asked(TABLE, 200):
        assert not re.search(r"\bsorted by (?:best|popular)|\ba best\b|book the booking", prompt.lower()), (
            prompt
        )
        if {"sort", "restaurant_type"} <= given.keys():
            together += 1
    assert together > 8
    assert described_values("Kind of place: restaurant, bar, diner, pub...") == (
        "restaurant",
        "bar",
        "diner",
        "pub",
    )
    assert described_values("Whom to ask (username or organization)") == ()


def test_a_rating_is_always_given_and_one_thing_is_rated():
    out_of = 0
    for prompt, given in asked(RATE, 200):
        assert "rating" in given, prompt
        assert not {"title", "which"} <= given.keys(), prompt
        assert not {"kind", "series_type"} <= given.keys(), prompt
        out_of += re.search(r"out of \w+ (?:stars|points|star|marks|point)\b", prompt.lower()) is not None
    assert out_of > 3


def test_what_is_added_to_a_playlist_names_it():
    for prompt, given in asked(ADD, 150):
        assert "playlist" in given, prompt
        assert not re.search(r"add the (?:playlist|list of songs)\b|\bof my\b", prompt.lower()), prompt


def test_times_have_the_preposition_that_fits():
    rng = random.Random(0)
    said = {
        w: {timely(rng, "when", w) for _ in range(30)}
        for w in ("lunch", "April", "march 8th", "7:30 pm", "winter")
    }
    assert said["lunch"] == {"at lunch", "for lunch"}
    assert said["April"] == {"in April", "for April"}
    assert said["march 8th"] == {"on march 8th", "for march 8th"}
    assert said["7:30 pm"] == {"at 7:30 pm", "around 7:30 pm", "by 7:30 pm", "for 7:30 pm"}
    assert said["winter"] == {"in winter", "for winter"}
    drawn = [Pools(random.Random(i)).times.when() for i in range(400)]
    assert not [
        w for w in drawn if re.search(r"from now .+|^at |week(?:end)? (?:morning|night|evening|afternoon)", w)
    ]


# Tools as developers define them.


def test_a_kind_of_place_is_what_is_sought():
    places = tool("find_places", "Find places such as cafes, gas stations or pharmacies.", ["place_type"], place_type=text("Kind of place, e.g. cafe, pharmacy, gas station"), radius_km={"type": "number", "description": "Search radius in km"})  # fmt: skip
    found = asked(places, 60)
    for prompt, _ in found:
        assert not re.search(r"\bplaces (?:at|from) a\b", prompt.lower()), prompt
    reached = [prompt.lower() for prompt, given in found if "radius_km" in given]
    within = [p for p in reached if re.search(r"within (?:a radius of )?[\w., -]+ (?:km|kilomet)", p)]
    assert len(within) > 0.6 * len(reached) > 3, reached


def test_books_have_genres_of_books_and_authors_who_write_them():
    books = tool("search_books", "Search the library catalog for books.", [], title=text("Title of the book"), author=text("Author"), genre=text("Genre"), sort=text("Sort order"))  # fmt: skip
    found = asked(books, 120)
    genres = {given["genre"].lower() for _, given in found if "genre" in given}
    assert {"fantasy", "mystery", "poetry", "crime", "romance", "history"} & genres
    assert not {"samba", "house", "hip hop", "jazz", "techno"} & genres
    assert not [
        p for p, given in found if "author" in given and f"with {given['author'].lower()}" in p.lower()
    ]
    before = [p for p, given in found if "genre" in given and f"{given['genre'].lower()} books" in p.lower()]
    assert len(before) > 3


def test_amenities_are_amenities_and_an_order_is_no_quality():
    hotels = tool("search_hotels", "Search for hotels in a city.", ["city"], city=text("City"), amenities={"type": "array", "items": {"type": "string"}, "description": "Required amenities"}, sort_by={"type": "string", "enum": ["price", "rating", "distance"]}, near=text("Landmark the hotel should be near"), max_price={"type": "number", "description": "Maximum price per night"})  # fmt: skip
    known = {v.removeprefix("a ").lower() for v in phrases("inventories")["facility"]}
    found = asked(hotels, 150)
    near = 0
    for prompt, given in found:
        assert known.issuperset(a.lower() for a in given.get("amenities", ())), prompt
        assert not re.search(r"\ba (?:rating|price|distance) (?:hotel|place|room)", prompt.lower()), prompt
        near += "near" in given
        if "near" in given:
            assert not re.search(
                rf"\b(?:at|in) (?:the )?{re.escape(given['near'].lower())}", prompt.lower()
            ), prompt
    assert near > 5 and sum(len(given.get("amenities", ())) for _, given in found) > 5


def test_a_comment_on_what_is_rated_is_an_opinion_and_guests_are_no_people():
    rate = tool("rate_movie", "Rate a movie you have seen.", ["title", "rating"], title=text("Title"), rating={"type": "integer", "minimum": 1, "maximum": 10}, comment=text("Optional comment"))  # fmt: skip
    opinions = {o.lower() for o in phrases("inventories")["opinion"]}
    said = {given["comment"].lower() for _, given in asked(rate, 120) if "comment" in given}
    assert len(said) > 3 and said <= opinions
    table = tool("book_table", "Book a table in a restaurant.", ["restaurant", "party_size"], restaurant=text("Name of the restaurant"), party_size={"type": "integer", "description": "Number of guests"})  # fmt: skip
    assert not [p for p, _ in asked(table, 100) if re.search(r"guests? people|\b1 people", p.lower())]


def test_a_limit_below_is_not_said_as_one_above():
    shop = tool("search_products", "Search products in the shop.", ["query"], query=text("Search text"), category=text("Product category"), min_price={"type": "number"}, max_price={"type": "number"})  # fmt: skip
    categories = {c.lower() for c in phrases("inventories")["category"]}
    found = asked(shop, 150)
    assert sum("max_price" not in given and "min_price" in given for _, given in found) > 10
    for prompt, given in found:
        if "max_price" not in given and "min_price" in given:
            assert not re.search(
                r"won't cost more|\bunder\b|\bup to\b|at most|no more than", prompt.lower()
            ), prompt
        assert given.get("category", "toys").lower() in categories, prompt


def test_dates_of_one_tool_are_written_alike_and_in_order():
    flights = tool("find_flights", "Find flights.", ["departure_date"], departure_date=text("Departure date, YYYY-MM-DD"), return_date=text("Return date"))  # fmt: skip
    both = [given for _, given in asked(flights, 80) if "return_date" in given]
    assert both
    for given in both:
        assert re.fullmatch(r"\d{4}-\d\d-\d\d", given["return_date"]), given
        assert given["departure_date"] <= given["return_date"], given
    event = tool("create_event", "Create a calendar event.", ["title", "start"], title=text("Event title"), start=text("Start time in ISO 8601"))  # fmt: skip
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", g["start"]) for _, g in asked(event, 40))


def test_switching_off_has_no_temperature_and_a_chore_its_to():
    heat = tool("control_thermostat", "Control the thermostat.", ["action"], action={"type": "string", "enum": ["set", "increase", "off"]}, temperature={"type": "number", "description": "Target temperature in Celsius"})  # fmt: skip
    for prompt, given in asked(heat, 80):
        assert not re.search(r"\b(?:to|you|and) off\b", prompt.lower()), prompt
        assert given["action"] != "off" or "temperature" not in given, prompt
    remind = tool("set_reminder", "Set a reminder.", ["task", "time"], task=text("What to remind of"), time=text("When to remind"))  # fmt: skip
    for prompt, given in asked(remind, 80):
        assert not re.search(
            rf"\b(?:of|about|called|forget) {re.escape(given['task'].lower())}", prompt.lower()
        ), prompt


def test_exchanges_and_ways_to_travel_are_said_as_people_do():
    quote = tool("get_stock_quote", "Get the latest quote of a stock.", ["symbol"], symbol=text("Ticker symbol, e.g. AAPL"), exchange=text("Exchange"))  # fmt: skip
    known = {e.lower() for e in phrases("inventories")["exchange"]}
    assert known >= {g["exchange"].lower() for _, g in asked(quote, 80) if "exchange" in g}
    way = tool("get_directions", "Get directions from one place to another.", ["origin", "destination"], origin=text("Start"), destination=text("Destination"), mode={"type": "string", "enum": ["driving", "walking", "transit"]})  # fmt: skip
    assert not [p for p, _ in asked(way, 120) if re.search(r"\bin (?:by|on) \w+", p.lower())]


CINEMA = tool(
    "search_screening_event", "Find when and where films are shown.", [], movie_name=text("Name of the film."), object_type=text("Kind of work: book, novel, film, song..."),
    spatial_relation=text("Where in relation to the place: near, close by, far from."), location_name=text("Name of the cinema."), movie_type=text("films, movies, animated movies."),
    object_location_type=text("Kind of place: cinema, theatre, movie house."), timeRange=text("Time or date, in the words of the user."),
)  # fmt: skip


def test_films_are_on_and_not_novels_or_bars():
    named = dated = timed = 0
    for prompt, given in asked(CINEMA, 250):
        kind = re.escape(given.get("object_location_type", "cinema").lower())
        assert not re.search(rf"\bfrom an? {kind}\b", prompt.lower()), prompt
        other = given.get("object_type", "").lower()
        assert not other or not re.search(
            rf"\bwh(?:at|ich) {re.escape(other)} (?:are|can)\b", prompt.lower()
        ), prompt
        assert not other or "movie_name" in given, prompt
        place = given.get("object_location_type", "cinema").lower()
        assert place in phrases("inventories")["kind_screen"], prompt
        named += "location_name" in given
        timed += "timeRange" in given
        dated += re.search(r"\d", given.get("timeRange", "")) is not None and re.search(r"(?i)jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|/", given["timeRange"]) is not None  # fmt: skip
    assert named > 15
    assert 0.08 < dated / timed < 0.4  # "on October the 24th"


@pytest.mark.parametrize(
    ("name", "about", "pool"),
    [
        ("hotel_name", "Name of the hotel.", "hotel_name"),
        ("location", "Name of the cinema", "cinema_name"),
        ("bank", "The bank", "bank_name"),
        ("place", "The hospital's name", "hospital_name"),
        ("gym", "Name of the gym to go to", "gym_name"),
        ("company", "Name of the company", "org"),
    ],
)
def test_a_hotel_has_the_name_of_a_hotel(name, about, pool):
    assert pool_for(random.Random(0), name, about, "org", "find_place Find a place.") == pool
