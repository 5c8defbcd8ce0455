"""What a thing, a limit, a deed or a list of alternatives is said as, where a definition tells more than a parameter's name."""

from __future__ import annotations

import re

import pytest

from auto_lora.dialogues.definitions.acted_on import objects_of
from auto_lora.dialogues.definitions.examples import alternatives, described_values
from auto_lora.dialogues.definitions.meaning import tool_act
from auto_lora.dialogues.definitions.phrasebook import is_closed, is_state, phrases
from auto_lora.dialogues.definitions.role_words import role_of
from auto_lora.dialogues.definitions.roles import roles_of
from auto_lora.dialogues.definitions.topics import frames_for, topic_of
from tests.test_places_and_works import asked
from tests.tool_lists import text, tool

WHOLE = {"type": "integer"}
LIST = {"type": "array", "items": {"type": "string"}}


@pytest.mark.parametrize(
    ("description", "values"),
    [
        ("metric or imperial", ("metric", "imperial")),
        ("Small, medium or large.", ("small", "medium", "large")),
        ("g/mol or kg/mol. Default is 'g/mol'", ("g/mol", "kg/mol")),
        ("asc or desc, default asc", ("asc", "desc")),
        ("bullets, paragraph or tldr", ("bullets", "paragraph", "tldr")),
        ("City or ZIP code", ()),
        ("Name or id", ()),
        ("Word or phrase", ()),
        ("song or artist", ()),
    ],
)
def test_a_description_of_nothing_but_alternatives_names_the_values(description, values):
    assert alternatives(description) == values
    assert described_values(description) == values


def test_nothing_but_the_alternatives_of_a_description_is_said():
    drink = tool("order_drink", "Order a drink.", ["drink"], drink=text("Name of the drink"), size=text("small, medium or large"), temp=text("hot or iced"))  # fmt: skip
    sizes, temps = set(), set()
    for prompt, given in asked(drink, 100):
        assert not re.search(r"\b(?:a|the) drink (?:for|with|of) ", prompt.lower()), prompt
        sizes.add(given.get("size", "").lower())
        temps.add(given.get("temp", "").lower())
    assert sizes == {"", "small", "medium", "large"} and temps == {"", "hot", "iced"}


def test_years_are_a_length_and_a_percentage_is_no_money():
    assert role_of("years", "Years into the future", "integer") == "duration"
    assert role_of("year", "Year of release", "integer") == "year"
    assert role_of("amount", "Amount in percent", "integer") == "percent"
    assert role_of("tip", "Tip in dollars", "number") == "amount"


def test_a_search_goes_a_few_kilometres_and_a_circle_any():
    near = tool("find_cafes", "Find cafes nearby.", ["city"], city=text("City"), radius_km={"type": "number", "description": "Search radius in km"})  # fmt: skip
    radii = [given["radius_km"] for _, given in asked(near, 100) if "radius_km" in given]
    assert len(radii) > 10 and max(radii) <= 50


def test_a_most_is_never_said_as_a_least():
    dates = tool("find_matches", "Find dating matches.", [], distance_km=WHOLE | {"description": "Maximum distance in km"}, min_age=WHOLE, max_age=WHOLE)  # fmt: skip
    most = least = 0
    for prompt, given in asked(dates, 120):
        if set(given) == {"distance_km"}:
            most += 1
            assert not re.search(r"\bover \d|at least|no less", prompt), prompt
        if set(given) & {"min_age", "max_age"}:
            least += 1
            assert min(v for k, v in given.items() if k != "distance_km") >= 18
            bare = re.search(
                r"(?<!distance of )(?:at most|no more than|at least|no less than|under|over) [\w-]+(?=[!?]|\.?$)",
                prompt,
            )
            assert not bare, prompt  # of what?
    assert most > 3 and least > 10


def test_one_color_is_the_thing_s_or_the_argument_s_not_both():
    shop = tool("add_to_cart", "Add a product to the shopping cart.", ["product"], product=text("Product name"), quantity=WHOLE, color=text("Color"))  # fmt: skip
    colors = re.compile(r"\b(?:red|blue|green|yellow|orange|purple|pink|white|black|grey|brown)\b", re.I)
    seen = 0
    for prompt, given in asked(shop, 120):
        assert not colors.search(given["product"]), prompt
        assert not re.search(r"\b(?:the|a) (?:cart|bag|basket) of\b", prompt.lower()), prompt
        seen += "color" in given
    assert seen > 10


def test_a_deed_is_done_and_not_switched():
    window = tool("control_window", "Open or close a car window.", ["window", "action"], window={"enum": ["driver", "passenger"]}, action={"enum": ["open", "close"]})  # fmt: skip
    assert not is_state(window.properties["action"]) and is_state({"enum": ["open", "closed"]})
    said = [prompt.lower() for prompt, _ in asked(window, 40)]
    assert sum("driver window" in p or "passenger window" in p for p in said) > len(said) / 2
    assert not any(re.search(r"\b(?:turn|switch|set) (?:the )?(?:open|close)", p) for p in said)


def test_what_is_switched_or_fed_is_said_by_its_name():
    control = tool("set_device_state", "Control a smart home device.", ["device", "action"], device=text("Name of the device"), action={"enum": ["turn_on", "turn_off", "set"]}, value=WHOLE)  # fmt: skip
    feed = tool(
        "feed_pet", "Dispense food from the pet feeder.", ["pet_name"], pet_name=text("Name of the pet")
    )
    assert objects_of(feed.name, feed.description) == ("the pet",)
    assert any(f"feed {given['pet_name'].lower()}" in prompt.lower() for prompt, given in asked(feed, 30))
    named = 0
    for prompt, given in asked(control, 80):
        named += f"the {given['device']}".lower() in prompt.lower()
        assert "value" not in given or given["action"] == "set", prompt
        assert f"device on {given['device']}".lower() not in prompt.lower()
    assert named > 30


def test_of_two_dates_each_is_told():
    rent = tool("rent_car", "Rent a car.", ["city", "pickup_date", "dropoff_date"], city=text("City"), pickup_date=text("Pickup date, YYYY-MM-DD"), dropoff_date=text("Drop-off date, YYYY-MM-DD"))  # fmt: skip
    spans = 0
    for prompt, _ in asked(rent, 60):
        assert not re.search(
            r"(?:it's|that's) for .*\d{4}|the date is|it should be (?!in )", prompt.lower()
        ), prompt
        spans += bool(re.search(r"\bfrom .* to |\bbetween .* and ", prompt.lower()))
    assert spans > 5


def test_a_scene_s_own_names_are_in_every_split():
    scene = tool("activate_scene", "Activate a scene.", ["scene"], scene=text("Scene name, e.g. Movie Night, Good Morning"))  # fmt: skip
    given = [arguments["scene"].lower() for _, arguments in asked(scene, 60)]
    assert {"movie night", "good morning"} <= set(given)


def test_days_to_repeat_are_weekdays_as_the_examples_write_them():
    alarm = tool("set_alarm", "Set an alarm.", ["time"], time=text("Time, HH:MM"), days=LIST | {"description": "Days to repeat, e.g. ['mon', 'tue']"})  # fmt: skip
    days = [day for _, given in asked(alarm, 120) for day in given.get("days", ())]
    assert len(set(days)) > 5 and set(days) <= set("mon tue wed thu fri sat sun".split())


def test_a_topic_s_sentences_are_for_tools_that_do_such_a_thing():
    schedule = tool("team_schedule", "Get the upcoming games of a sports team.", ["team"], team=text("Team"))
    results = tool("get_score", "Get the score of a team's last game.", ["team"], team=text("Team"))
    sculpture = tool("sculpture_info", "Get details of a sculpture by its artist.", ["artist"], artist=text("Name of the sculptor"))  # fmt: skip
    assert topic_of(sculpture) is None
    for definition, asks_who_won in ((schedule, False), (results, True)):
        topic = topic_of(definition)
        assert topic and topic.name == "sports_results"
        frames = frames_for(topic, definition, "train")
        assert frames and any(re.search(r"\bwon\b|score", f.text) for f in frames) is asks_who_won


def test_objects_are_what_is_wanted_and_no_formula_s_words():
    heron = "Calculate the area of a triangle from its three side lengths using Heron's formula."
    assert objects_of("math.triangle_area_heron", heron) == ("the area of a triangle",)
    assert (
        objects_of("get_weather_forecast", "Get the forecast of the weather.")[-1] == "the weather forecast"
    )
    assert objects_of("probability.binomial", "Calculate the probability of getting exactly k successes in n trials.")[0] == "the probability"  # fmt: skip
    assert objects_of("turn_off_lights", "Turn the lights off.") == ("the lights",)
    assert tool_act(tool("chord_notes", "Return the notes of a chord.", [], root=text())) == ("get", "get")
    assert tool_act(tool("start_return", "Return an item of an order.", [], order=text()))[1] != "get"
    assert tool_act(tool("calculus.integrate", "Compute the definite integral of a function.", [], f=text()))[0] == "compute"  # fmt: skip


def test_the_mean_is_of_the_numbers_and_nobody_asks_it_of_a_list():
    mean = tool("statistics.mean", "Compute the mean of a list of numbers.", ["numbers"], numbers={"type": "array", "items": {"type": "number"}})  # fmt: skip
    said = [prompt for prompt, _ in asked(mean, 60)]
    assert sum("list of numbers" in p for p in said) < len(said) / 4
    assert sum(re.search(r"mean of \[?\d", p) is not None for p in said) > 5


def test_payees_stops_and_wishes_are_no_nouns_of_anything():
    bill = tool("pay_bill", "Pay a bill.", ["payee"], payee=text("Who to pay"), memo=text("Optional memo"))
    drive = tool("navigate", "Navigate to a destination.", ["destination"], destination=text("Destination"), waypoints=LIST | {"description": "Stops on the way"})  # fmt: skip
    order = tool(
        "order_food", "Order food.", ["dish"], dish=text("Dish"), special_instructions=text("e.g. no onions")
    )
    assert roles_of(bill)["payee"] == "payee" and roles_of(drive)["waypoints"] == "waypoint"
    wishes = [
        given["special_instructions"] for _, given in asked(order, 100) if "special_instructions" in given
    ]
    known = {w for pool in ("topping", "dish_done") for v in phrases("inventories")[pool] for w in v.split()}
    assert len(wishes) > 10 and all(known & set(w.lower().replace(",", "").split()) for w in wishes)
    table = tool("book_table", "Book a table in a restaurant.", ["restaurant"], restaurant=text("Restaurant"), notes=text("Special requests"))  # fmt: skip
    asked_for = [given["notes"].lower() for _, given in asked(table, 60) if "notes" in given]
    assert len(asked_for) > 5 and not any("onion" in a or "extra" in a for a in asked_for)
    memos = [given["memo"] for _, given in asked(bill, 60) if "memo" in given]
    assert len(memos) > 5 and not any("?" in memo for memo in memos)


def test_countries_and_states_are_known_in_every_split():
    assert is_closed("country") and is_closed("region") and is_closed("here") and not is_closed("place")


def test_what_a_thing_does_is_no_deed_of_the_tool_that_makes_it():
    made = tool("create_mail_filter", "Creates a filter for incoming e-mail.", ["action"], action={"type": "string", "enum": ["archive", "delete", "forward"]})  # fmt: skip
    both = tool("create_or_delete", "Create or delete a note.", ["action"], action={"type": "string", "enum": ["create", "delete"]})  # fmt: skip
    assert roles_of(made)["action"] != "action" and roles_of(both)["action"] == "action"
    for prompt, _ in asked(made, 40):
        assert not re.search(r"\b(?:archive|delete|forward|take off|get rid of|put away) (?:the|a) (?:mail )?filter", prompt, re.I)  # fmt: skip


def test_reactants_and_products_are_told_apart():
    balance = tool("balance_equation", "Balances a chemical equation.", ["reactants", "products"], reactants={"type": "array", "items": {"type": "string"}, "description": "Formulas of the reactants"}, products={"type": "array", "items": {"type": "string"}, "description": "Formulas of the products"})  # fmt: skip
    for prompt, _ in asked(balance, 40):
        assert "reactants" in prompt.lower() and "products" in prompt.lower(), prompt


def test_reasons_of_visits_zones_of_parking_and_classes_of_trains():
    visit = tool("book_doctor_appointment", "Books an appointment with a doctor.", ["reason"], reason=text("Reason for the visit"))  # fmt: skip
    assert {a["reason"] for _, a in asked(visit, 40)} & {*phrases("inventories")["reason_visit"]}
    parking = tool("parking_session", "Start a parking session.", ["zone"], zone=text("Parking zone number"))
    assert roles_of(parking)["zone"] == "identifier"
    train = tool("search_trains", "Search trains.", ["class"], **{"class": {"type": "string", "enum": ["first", "second"]}})  # fmt: skip
    assert not any(re.search(r"\b(?:first|second) trains?\b", p, re.I) for p, _ in asked(train, 60))


def test_a_ride_of_a_kind_and_the_statistics_of_who_is_named():
    ride = tool("request_ride", "Requests a ride.", ["destination", "ride_type"], destination=text("Where to go"), ride_type={"type": "string", "enum": ["standard", "premium"]})  # fmt: skip
    assert sum(re.search(r"(?:standard|premium) ride", p, re.I) is not None for p, _ in asked(ride, 60)) > 20
    stats = tool("get_stats", "Gets the statistics of a player.", ["username"], username=text("Name of the player"))  # fmt: skip
    assert any(re.search(r"statistics of (?!a player)", p, re.I) for p, _ in asked(stats, 60))
