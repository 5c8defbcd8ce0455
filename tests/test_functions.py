"""Functions that compute, services with slots, and requests for which no call is right, as people put them."""

from __future__ import annotations

import random
import re

import pytest

from auto_lora._settings import TrainingConfig
from auto_lora.dialogues import SyntheticDataGenerator
from auto_lora.dialogues.definitions.acted_on import measured_by, objects_of
from auto_lora.dialogues.definitions.frames import parse
from auto_lora.dialogues.definitions.meaning import act_of
from auto_lora.dialogues.definitions.phrasebook import phrases
from auto_lora.dialogues.definitions.role_words import role_of
from auto_lora.dialogues.definitions.roles import roles_of
from auto_lora.dialogues.definitions.units import kind_of_unit
from auto_lora.dialogues.values.sampler import Sampler
from auto_lora.dialogues.values.surfaces import Value
from auto_lora.dialogues.wording.clause import Clause
from auto_lora.dialogues.wording.planned import PlannedCall
from tests.tool_lists import asked as _asked
from tests.tool_lists import text as _text
from tests.tool_lists import tool as _tool

NUMBER = {"type": "number"}


def _drawn(name, schema, count=40, words=""):
    sampler = Sampler(1, "train")
    sampler.tool_words = words
    return [sampler.sample(name, schema) for _ in range(count)]


def _of(tools, category, count=60, seed=1):
    return SyntheticDataGenerator(tools, TrainingConfig(seed=seed)).generate(
        count, "train", shares={category: 1.0}
    )


# Values whose form only the description tells.


@pytest.mark.parametrize(
    ("name", "schema", "form"),
    [
        ("season", _text("Season, e.g. '2021-2022'."), r"(\d{4})-(\d{4})"),
        ("parent1", _text("Genotype of the first parent, e.g. 'Aa'."), r"[A-Z][a-z]"),
        ("station_id", _text("ICAO code, such as 'KSEA'."), r"[A-Z]{4}"),
        ("policy_number", _text("Policy number, format POL-XXXXXX"), r"POL-\d{6}"),
        ("rx_number", _text("like RX-88213"), r"RX-\d{5}"),
        ("card_number", _text("Card number, 8 digits"), r"\d{8}"),
        ("year", _text("Year in 'YYYY' format"), r"(?:19|20)\d\d"),
        ("dna_sequence", _text("DNA sequence."), r"[ACGT]{6,}"),
        ("class_name", _text("Class, like 7B"), r"\d[A-Z]"),
    ],
)
def test_a_value_has_the_form_of_its_example(name, schema, form):
    for value in _drawn(name, schema):
        found = re.fullmatch(form, value.json)
        assert found, value
        if len(found.groups()) == 2:
            assert int(found[2]) == int(found[1]) + 1


@pytest.mark.parametrize(
    ("name", "schema", "least", "most"),
    [
        ("gravity", {"type": "number", "description": "Default is 9.81."}, 2, 40),
        ("gas_constant", {"type": "number", "description": "Gas constant, default 0.0821"}, 0.02, 0.4),
        ("octave", {"type": "integer", "description": "Octave, defaults to 4"}, 1, 16),
        ("interest_rate", {"type": "number", "description": "Annual interest rate in percent."}, 0.5, 15),
        ("loan_amount", {"type": "number", "description": "Amount of the loan."}, 2000, 500_000),
        ("side_length", {"type": "number", "description": "Length of the side."}, 0, 10**5),
    ],
)
def test_numbers_have_the_size_of_what_they_count(name, schema, least, most):
    assert all(least <= v.json <= most for v in _drawn(name, schema, 80))


def test_an_interval_has_two_ends_and_a_matrix_rows_of_one_length():
    interval = {"type": "array", "items": NUMBER, "description": "Interval [a, b]."}
    for value in _drawn("interval", interval):
        low, high = value.json
        assert low < high and str(low) in value.surface and str(high) in value.surface
    matrix = {"type": "array", "items": {"type": "array", "items": {"type": "integer"}}}
    for value in _drawn("matrix_a", matrix):
        assert len({len(row) for row in value.json}) == 1 and len(value.json) > 1
        assert str(value.json) == value.surface
    points = [v.surface for v in _drawn("points", matrix)]
    assert any(re.match(r"\(-?\d+, -?\d+\)", p) for p in points)


def test_no_number_in_a_list_has_commas_of_its_own():
    numbers = {"type": "array", "items": {"type": "integer", "minimum": 1000, "maximum": 9999}}
    for value in _drawn("numbers", numbers):
        assert [int(n) for n in re.findall(r"\d+", value.surface)] == value.json


def test_a_map_has_keys_and_each_is_said():
    scores = {
        "type": "object",
        "additionalProperties": {"type": "integer"},
        "description": "Score by student.",
    }
    for value in _drawn("scores", scores):
        assert value.json
        assert all(k in value.surface for k in value.json)


def test_of_two_named_values_one_is_given():
    method = _text("Either 'trapezoid' or 'simpson'.")
    assert {v.json for v in _drawn("method", method)} == {"trapezoid", "simpson"}


def test_a_range_is_said_from_its_lower_end():
    primes = _tool("get_primes", "Get the primes in a range.", ["start", "end"], start={"type": "integer"}, end={"type": "integer"})  # fmt: skip
    for _, arguments in _asked(primes, 30):
        assert arguments["start"] <= arguments["end"]


def test_units_can_be_converted_into_each_other():
    convert = _tool("unit_convert", "Convert a value from one unit to another.", ["value", "from_unit", "to_unit"], value=NUMBER, from_unit=_text(), to_unit=_text())  # fmt: skip
    for _, arguments in _asked(convert, 30):
        one, other = arguments["from_unit"], arguments["to_unit"]
        assert one != other and kind_of_unit(one) == kind_of_unit(other), arguments


def test_answers_in_strings_are_said_as_booleans():
    answer = _text("Whether pets are allowed.", enum=["True", "False", "dontcare"])
    homes = _tool("find_homes", "Find a home to rent.", ["city"], city=_text("City."), pets_allowed=answer)
    assert roles_of(homes)["pets_allowed"] == "boolean"
    given = 0
    for prompt, arguments in _asked(homes, 60):
        if "pets_allowed" in arguments:
            given += 1
            assert re.search(r"pets", prompt, re.I), prompt
            refused = re.search(r"\bno pets|without pets|not", prompt, re.I) is not None
            assert refused == (arguments["pets_allowed"] == "False"), (prompt, arguments)
            assert not re.search(r"\btrue\b|\bfalse\b", prompt, re.I), prompt
    assert given > 5


# What a tool does and to what.


def test_what_a_tool_does_is_not_read_from_a_word_within_its_object():
    assert act_of("movies.search", "Search films to watch online by genre and actors")[0] == "find"
    assert act_of("distance", "Distance between two places")[0] == "get"
    assert objects_of("physics.free_fall_time", "Free fall time from a height.")[-1] == "the free fall time"
    assert objects_of("binomial", "Probability of exactly k successes.")[0].startswith("the probability")
    assert "sale" not in " ".join(objects_of("instruments.find", "Search musical instruments for sale."))
    assert objects_of("share_location", "Share the user's location with a contact.")[0] == "my location"


def test_a_field_is_not_what_is_asked_for():
    energy = _tool("kinetic_energy", "Calculate the kinetic energy of an object.", ["mass", "velocity"], mass=NUMBER, velocity=NUMBER)  # fmt: skip
    named = ["kinetic energy" in prompt.lower() for prompt, _ in _asked(energy, 240)]
    assert sum(named) > 0.6 * len(named)


def test_what_is_measured_is_asked_how():
    far = _tool(
        "city_distance", "Distance between two cities.", ["city1", "city2"], city1=_text(), city2=_text()
    )
    days = _tool("days_between", "Number of days between two dates.", ["start", "end"], start=_text("YYYY-MM-DD"), end=_text("YYYY-MM-DD"))  # fmt: skip
    assert (measured_by(far), measured_by(days)) == ("distance", "number of days")
    assert any(re.search(r"how far", p, re.I) for p, _ in _asked(far, 60))
    assert any(re.search(r"how many days", p, re.I) for p, _ in _asked(days, 60))


def test_of_several_searches_each_says_what_it_looks_for():
    tools = [
        _tool(f"search_{kind}", f"Search {kind} by title.", ["title"], title=_text("Title."))
        for kind in ("paintings", "lawsuits")
    ]
    for conversation in _of(tools, "single"):
        called = conversation.scored_turns()[0].expected[0].name.removeprefix("search_")
        assert called.removesuffix("s") in conversation.prompt.lower(), conversation.prompt


# Which argument is which.


def test_a_way_has_its_ends_however_they_are_spelled():
    trains = _tool("find_trains", "Find trains.", ["_from", "to"], _from=_text("City."), to=_text("City."))
    flights = _tool("search_flights", "Search flights.", ["origin_airport", "destination_airport"], origin_airport=_text(), destination_airport=_text())  # fmt: skip
    assert list(roles_of(trains).values()) == ["origin", "destination"]
    assert list(roles_of(flights).values()) == ["origin", "destination"]


def test_a_time_stands_by_its_own_date():
    rent = _tool("rent_car", "Rent a car.", pickup_date=_text(), pickup_time=_text(), dropoff_date=_text())
    values = {
        "pickup_date": Value("2025-04-03", "april 3", "date"),
        "pickup_time": Value("18:15", "6:15pm", "time"),
        "dropoff_date": Value("2025-04-09", "april 9", "date"),
    }
    said = {
        Clause(random.Random(n), PlannedCall(rent, values), parse("rent it {tail}")).text() for n in range(60)
    }
    assert any("april 3 at 6:15pm" in text for text in said)
    for text in said:
        assert "april 9 at 6:15pm" not in text
        assert re.search(r"april 3 at 6:15pm|pickup at 6:15pm", text), text


def test_who_and_where_are_told_by_the_definition():
    hotel = _tool(
        "reserve", "Reserve a hotel room.", place_name=_text("Name of the hotel"), location=_text("City")
    )
    assert roles_of(hotel)["place_name"] == "org"
    money = _tool("transfer", "Transfer money.", recipient_account_type=_text(enum=["checking", "savings"]))
    assert roles_of(money)["recipient_account_type"] == "generic"
    assert role_of("key", "Key such as C or F#", "string") == "musical_key"
    assert role_of("key", "API key", "string") == "identifier"


def test_stars_lean_on_nothing():
    hotels = _tool("search_hotels", "Search hotels.", ["city"], city=_text("City."), star_rating=_text("Stars", enum=list("12345")))  # fmt: skip
    given = [(p, a["star_rating"]) for p, a in _asked(hotels, 60) if "star_rating" in a]
    assert len(given) > 5
    assert any("star" in p for p, _ in given)


# No call.

LAMPS = _tool("turn_off_lights", "Turn off the lights of a room.", ["room"], room=_text("Room."))
TIMER = _tool("set_timer", "Set a timer.", ["duration", "label"], duration={"type": "integer", "description": "Duration in minutes."}, label=_text("What it is for."))  # fmt: skip


def test_a_tools_own_deed_is_not_called_where_nobody_asks_for_it():
    made = _of([LAMPS, TIMER], "no_call", 400)
    wrapped = [c for c in made if str(c.meta["shape"]).startswith("wrapped/")]
    assert len(wrapped) > 15
    about = [c for c in wrapped if re.search(r"light|lamp|timer", c.prompt, re.I)]
    assert len(about) > len(wrapped) / 2
    for c in wrapped:
        assert not c.scored_turns()[0].expected


def test_length_does_not_tell_a_call_from_none():
    def longer(category):
        made = _of([LAMPS, TIMER], category, 300)
        return sum(len(c.prompt.split()) > 14 for c in made) / len(made)

    assert longer("no_call") > 0.3 * longer("single")


def test_more_than_one_value_may_be_missing_or_said_vaguely():
    made = _of([TIMER], "missing_argument", 120)
    vague = re.compile(r"a while|a bit|some time|as long as it needs|not too long")
    assert any(vague.search(c.prompt) for c in made)
    bare = [c for c in made if not re.search(r"\d|minute|hour|called|for ", c.prompt)]
    assert bare and all(not c.scored_turns()[0].expected for c in made)


def test_a_name_at_the_end_is_not_the_name_that_is_missing():
    contact = _tool("find_contact", "Find a contact.", ["name"], name=_text("Name of the contact."))
    for conversation in _of([contact], "missing_argument", 60):
        last = conversation.prompt.rstrip(".!?").split()[-1]
        assert last.islower() or not last.isalpha(), conversation.prompt


def test_what_a_tool_may_answer_is_no_small_talk():
    dictionary = _tool("define_word", "Get the definition of a word.", ["word"], word=_text("Word."))
    agent = _tool("talk_to_agent", "Connect to a human agent.")
    prompts = [c.prompt.lower() for c in _of([dictionary, agent], "no_call", 300)]
    assert not [p for p in prompts if re.search(r"\bmeans?\b|speak to a human|real person please", p)]


def test_no_dish_of_an_order_is_two():
    order = _tool("order", "Order food.", ["items"], items={"type": "array", "items": {"type": "object", "properties": {"item": _text("Dish."), "quantity": {"type": "integer", "minimum": 1}}, "required": ["item", "quantity"]}})  # fmt: skip
    for _, arguments in _asked(order, 30):
        assert all(" and " not in entry["item"] for entry in arguments["items"])


def test_a_word_in_capitals_is_no_code():
    form = _text("Output format, e.g. 'JSON'.")
    assert not any(re.fullmatch("[A-Z]{4}", v.json) and v.json != "JSON" for v in _drawn("format", form))


ODD = [
    _tool("create_doc", "Create an invoice|quote.", ["name"], name=_text()),
    _tool("pay", "Pay.", ["", "v"], **{"": _text("Recipient account.", enum=["a", "b"]), "v": NUMBER}),
    _tool("grid", "Fill a grid.", ["cells"], cells={"type": "array", "items": {"type": "array", "items": {"type": "number", "maximum": -10}}}),
    _tool("mix", "Mix weights.", ["w"], w={"type": "array", "items": {"type": "array", "items": {"type": "number", "minimum": 0.2, "maximum": 0.8}}}),
    _tool("scores", "Save scores.", ["s"], s={"type": "object", "additionalProperties": {"type": "integer", "maximum": 0}}),
    _tool("meta", "Save meta.", ["s"], s={"type": "object", "additionalProperties": {"type": "string"}, "minProperties": 3, "maxProperties": 3}),
]  # fmt: skip


@pytest.mark.parametrize("tool", ODD, ids=lambda t: t.name)
def test_odd_definitions_are_called_and_refused(tool):
    for category in ("single", "missing_argument", "no_call"):
        made = _of([tool, LAMPS], category, 20)
        assert len(made) == 20
        if category == "single":
            assert any(c.scored_turns()[0].expected[0].name == tool.name for c in made)


def test_a_tool_with_one_value_of_few_is_asked_for_in_every_split():
    period = _tool("orbital_period", "Orbital period of a planet.", ["planet"], planet=_text())
    generator = SyntheticDataGenerator([period, LAMPS], TrainingConfig(seed=2))
    named = {}
    for split in ("train", "validation", "test"):
        made = generator.generate(40, split, shares={"single": 1.0})
        calls = [c.scored_turns()[0].expected[0] for c in made]
        named[split] = {str(c.arguments["planet"]).lower() for c in calls if c.name == "orbital_period"}
    assert named["train"] and named["test"]
    assert named["train"].isdisjoint(named["test"] | named["validation"])


def test_a_list_of_examples_goes_on_as_it_began():
    animals = {v.json for v in _drawn("animal_type", _text("Kind of pet, like dog, cat or horse"))}
    assert len(animals) > 6 and animals <= set(phrases("inventories")["animal"]) | {"dog", "cat", "horse"}
    toppings = {v.json for v in _drawn("toppings", _text("Toppings such as mushrooms, pepperoni or olives"))}
    assert len(toppings) > 6 and toppings <= {*phrases("inventories")["topping"], "pepperoni"}
    sauces = [v.json for v in _drawn("glaze", _text("Glaze such as maple, teriyaki or apricot"))]
    assert sum(g in ("maple", "teriyaki", "apricot") for g in sauces) > 34
