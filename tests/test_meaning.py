"""Definitions without a topic of their own are asked for in their own words, with values of their own kind."""

from __future__ import annotations

import json
import random
import re

import pytest

from auto_lora._settings import TrainingConfig
from auto_lora.catalog import ToolDefinition
from auto_lora.dialogues import SyntheticDataGenerator
from auto_lora.dialogues.definitions.acted_on import objects_of
from auto_lora.dialogues.definitions.examples import described_values
from auto_lora.dialogues.definitions.meaning import act_of, is_action, tool_act
from auto_lora.dialogues.definitions.phrasebook import phrases
from auto_lora.dialogues.definitions.role_words import role_of
from auto_lora.dialogues.definitions.switches import switch_words
from auto_lora.dialogues.definitions.topics import topic_of
from auto_lora.dialogues.definitions.units import kind_of_unit, unit_forms
from auto_lora.dialogues.values.naming import spoken_name
from auto_lora.dialogues.values.sampler import Sampler
from auto_lora.dialogues.wording.near import fitting_distractors, near


def _tool(name, description, required=(), **properties):
    return ToolDefinition(
        name, description, {"type": "object", "properties": properties, "required": list(required)}
    )


DENSITY = _tool(
    "density_of", "Calculates the density of a substance based on its mass and volume.", ["mass", "volume"],
    mass={"type": "number", "description": "Mass of the substance in kilograms."}, volume={"type": "number", "description": "Volume of the substance in cubic meters."},
)  # fmt: skip
DIVISOR = _tool(
    "math_gcd", "Compute the greatest common divisor of two numbers.", ["num1", "num2"],
    num1={"type": "integer", "description": "The first number."}, num2={"type": "integer", "description": "The second number."},
)  # fmt: skip
TODO = _tool(
    "notes", "Manages a jotter.", ["what", "text"],
    what={"type": "string", "enum": ["add", "delete", "complete"], "description": "What to do."}, text={"type": "string", "description": "Text of the note."},
)  # fmt: skip
SHOP = _tool(
    "shop_order", "Place an order at a shop.", ["items", "quantities"],
    items={"type": "array", "items": {"type": "string"}, "description": "Items to order."}, quantities={"type": "array", "items": {"type": "integer"}, "description": "How many of each item."},
)  # fmt: skip


def _asked(tool, count=120, **shares):
    made = SyntheticDataGenerator([tool], TrainingConfig(seed=5)).generate(
        count, "train", shares=shares or {"single": 1.0}
    )
    return [
        (c.prompt, dict(turn.expected[0].arguments) if (turn := c.scored_turns()[0]).expected else None)
        for c in made
    ]


@pytest.mark.parametrize(
    ("description", "act", "verb", "what"),
    [
        ("Calculates the density of a substance based on its mass.", "compute", "calculate", "the density of a substance"),
        ("This function searches for a song on a service.", "find", "search", "a song"),
        ("Searches the database to find all movies by an actor.", "find", "find", "all movies"),
        ("Manages a todo list by adding tasks.", "do", "manage", "a todo list"),
        ("Look up a colleague.", "find", "look", "a colleague"),
        ("Lock or unlock a door of the house.", "switch", "lock", "a door of the house"),
        ("Retrieves the current weather for a specified city.", "get", "retrieve", "the current weather"),
        ("Frobnicates the given widget of a customer.", "do", "frobnicate", "the widget of a customer"),
    ],
)  # fmt: skip
def test_a_description_says_what_is_done_to_what(description, act, verb, what):
    assert act_of("xyz", description) == (act, verb)
    assert objects_of("xyz", description)[0] == what


def test_the_name_is_spoken_only_in_words_of_the_description():
    assert objects_of("ChaFod", "Changes the selection of food.") == ("the selection of food",)
    assert "the bmi" in objects_of("get_bmi", "Get the body mass index (BMI) of a person.")
    assert objects_of("rate_book", "Give a book a rating.") == ("the book",)


def test_quoted_values_are_examples_but_a_form_is_none():
    assert described_values("Can be 'list' for all factors or 'dictionary' for counts.") == (
        "list",
        "dictionary",
    )
    assert described_values("Options: 'Darwin', 'Lamarck'. Default is 'Darwin'.") == ("Darwin", "Lamarck")
    assert described_values("The place, in the format 'City, State' or 'City, Country'.") == ()


def test_measures_are_read_with_their_units():
    assert "{v} kg" in unit_forms("Weight of the person in kilograms.")
    assert unit_forms("The speed in m/s.") != unit_forms("The length in m.")
    assert unit_forms("The name in full.") == ()
    assert kind_of_unit("gal") == kind_of_unit("ml") != kind_of_unit("in") and kind_of_unit("quux") == ""


def test_numbers_are_said_with_their_names_or_units():
    asked = _asked(DENSITY)
    assert all(a and a.keys() == {"mass", "volume"} for _, a in asked)
    assert any(re.search(r"\d (?:kg|kilograms|kilos)\b", p) for p, _ in asked)
    assert any(re.search(r"mass of [\d.,]+\S* .*and .*volume of", p, re.I) for p, _ in asked)
    assert all("density" in p.lower() for p, _ in asked)


def test_numbered_arguments_are_said_in_their_order():
    bare = [
        (re.findall(r"-?\d+", p), [str(v) for v in a.values()])
        for p, a in _asked(DIVISOR)
        if "num" not in p.lower()
    ]
    plain = [(said, given) for said, given in bare if len(said) == 2]
    assert len(plain) > 10 and all(said == given for said, given in plain)


def test_an_argument_that_says_what_to_do_is_the_verb():
    assert tool_act(TODO)[0] == "act" and is_action("what", TODO.properties["what"], False)
    verbs = phrases("acts")["act"]["said_as"]
    for prompt, arguments in _asked(TODO):
        assert any(re.search(rf"\b{v}\b", prompt, re.I) for v in verbs[arguments["what"]]), (
            prompt,
            arguments,
        )


def test_lists_of_things_and_of_their_numbers_go_together():
    for prompt, arguments in _asked(SHOP):
        assert len(arguments["items"]) == len(arguments["quantities"])
        assert all(i.lower() in prompt.lower() for i in arguments["items"]), prompt


@pytest.mark.parametrize(
    ("name", "yes", "no"),
    [
        ("include_description", "including the description", "without the description"),
        ("monitoringEnabled", "monitoring on", "monitoring off"),
        ("unread_only", "only unread", "not only unread"),
        ("formatted", "formatted", "not formatted"),
        ("pickup", "with pickup", "without pickup"),
        ("enabled", "enabled", "disabled"),
        ("notify_customer", "and notify the customer", "don't notify the customer"),
        ("is_urgent", "make it urgent", "not urgent"),
        ("open_now", "that is open now", "that isn't open now"),
        ("pets_allowed", "with pets allowed", "no pets"),
    ],
)
def test_switches_are_said_as_people_do(name, yes, no):
    assert yes in switch_words(name, True) and no in switch_words(name, False)
    assert not set(switch_words(name, True)) & set(switch_words(name, False))


def test_values_are_of_the_kind_that_the_definition_speaks_of():
    sampler = Sampler(1, "train")
    codes = {sampler.sample("from_currency", {"type": "string", "pattern": "^[A-Z]{3}$"}).json for _ in range(40)}  # fmt: skip
    assert {"USD", "EUR"} & codes
    sampler.tool_words = "restart_service Restart a service of the cluster."
    assert all(
        "-" in sampler.sample("service", {"type": "string", "description": "Name of the service"}).json
        for _ in range(20)
    )
    assert role_of("query", "The SQL statement", "string") == "sql"
    assert role_of("coupon_code", "", "string") == "token" and role_of("script", "", "string") == "code"
    share = {sampler.sample("p", {"type": "number", "description": "Probability of it."}).json for _ in range(40)}  # fmt: skip
    assert all(0 < v < 1 for v in share)


def test_words_for_no_wish_are_not_said_and_verbs_have_synonyms_that_mean_no_other():
    sampler = Sampler(1, "train")
    said = {sampler.sample("genre", {"type": "string", "enum": ["Drama", "dontcare", "Horror"]}).json for _ in range(60)}  # fmt: skip
    assert said == {"Drama", "Horror"}
    verbs = {"type": "string", "enum": ["add", "create", "delete"]}
    words = {(v.json, v.surface) for v in (sampler.sample("what", verbs) for _ in range(200))}
    assert ("delete", "remove") in words and ("create", "add") not in words and ("create", "make") in words


def test_one_word_in_three_is_no_topic():
    assert topic_of(ToolDefinition("forest_growth_forecast", "Predicts the growth of a forest.")) is None
    assert topic_of(ToolDefinition("weather_forecast", "Get the forecast.")).name == "weather"


def test_tools_that_share_a_topic_are_not_asked_for_in_its_words():
    tools = [
        _tool(
            f"geometry_{n}",
            f"Calculate the {n} of a circle.",
            ["radius"],
            radius={"type": "integer", "description": "Radius."},
        )
        for n in ("area", "circumference")
    ]
    assert len({topic_of(t).name for t in tools}) == 1
    made = SyntheticDataGenerator(tools, TrainingConfig(seed=2)).generate(60, "train", shares={"single": 1.0})
    for conversation in made:
        called = conversation.scored_turns()[0].expected[0].name.removeprefix("geometry_")
        assert called in conversation.prompt.lower(), conversation.prompt
        assert "shape" not in conversation.prompt.lower()


def test_requests_for_tools_that_are_not_there_get_no_call():
    made = SyntheticDataGenerator([DENSITY, TODO], TrainingConfig(seed=3)).generate(
        150, "train", shares={"no_call": 1.0}
    )
    foreign = [c for c in made if "foreign" in c.meta]
    known = {t.name for t, alike in fitting_distractors([DENSITY, TODO]) if not alike}
    assert 5 < len(foreign) < 60
    for conversation in foreign:
        assert conversation.meta["foreign"] in known and not near(conversation.prompt, [DENSITY, TODO])
        assert not conversation.scored_turns()[0].expected


def test_any_definition_is_worded():
    """Names and descriptions without sense still give prompts whose arguments stand in them."""
    rng = random.Random(4)
    for _ in range(10):
        word = lambda: "".join(rng.choices("bcdfgaeiou", k=6))  # noqa: E731
        tool = _tool(
            f"{word()}_{word()}",
            f"{word().title()} {word()} {word()}.",
            ["a"],
            a={"type": rng.choice(["string", "integer", "number"])},
            b={"type": "boolean"},
        )
        assert len(_asked(tool, 20)) == 20, json.dumps(tool.to_openai())


def test_names_in_any_script_and_values_of_any_type_are_worded():
    tool = _tool(
        "_", "查询城市的天气。", ["城市", "天数"],
        城市={"type": "string"}, 天数={"type": "integer"}, 详细={"type": "boolean"}, 区间={"enum": [[1, 2], {"von": 3}, None]}, _={"type": "integer", "description": "Number of results"},
    )  # fmt: skip
    assert len(_asked(tool, 40, single=0.5, optional=0.5)) == 40


@pytest.mark.parametrize(
    ("name", "description", "topic"),
    [
        ("get_branch_hours", "Get the opening hours of a bank branch.", None),
        ("lock_screen", "Lock the screen of the computer.", None),
        ("save_recipe", "Keep a recipe in the user's cookbook.", None),
        ("get_cart", "Show the shopping cart.", None),
        ("set_alarm_sound", "Choose the sound that alarms ring with.", None),
        ("find_recipe", "Find a recipe.", "find_recipe"),
        ("deploy_app", "Deploy an application to an environment.", "deploy"),
        ("next_track", "Skip to the next track.", "control_playback"),
        ("order_status", "Tell where an order is and when it arrives.", "track_order"),
        ("search_hotels", "Search for hotels in a city.", "book_hotel"),
        ("uber_eat_order", "Place an order for food delivery on Uber Eats.", "order_food"),
    ],
)  # fmt: skip
def test_a_topic_is_of_what_a_tool_acts_on_and_does(name, description, topic):
    found = topic_of(ToolDefinition(name, description))
    assert (found.name if found else None) == topic


def test_what_a_description_begins_with_is_not_acted_on():
    described = "Store at which hours the phone keeps silent at night."
    assert objects_of("set_bedtime_schedule", described) == ("the bedtime schedule",)
    assert act_of("rename_alarm", "Give an existing alarm another name.") == ("do", "rename")
    assert objects_of("rename_alarm", "Give an existing alarm another name.") == ("the alarm",)
    assert act_of("set_alarm", "Set an alarm.") == ("remind", "set")


def test_a_number_is_named_without_its_unit():
    assert spoken_name("radius_m", number=True) == ["radius"] and spoken_name("weight_kg", number=True) == [
        "weight"
    ]
    assert spoken_name("m", number=True) == ["m"] and spoken_name("size_m", number=False) == ["size", "m"]
