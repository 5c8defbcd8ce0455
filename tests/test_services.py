"""Tools of booking services, as their schemas are written down: a service before the name, towns with their states, enums that may be anything."""

from __future__ import annotations

import re

from auto_lora.dialogues.definitions.acted_on import objects_of
from auto_lora.dialogues.definitions.examples import described_values
from auto_lora.dialogues.definitions.meaning import tool_act
from auto_lora.dialogues.definitions.phrasebook import phrases
from tests.tool_lists import asked, text, tool

HOUSE = tool(
    "Stays_2_FindHouse", "Find a house accommodation at a specific location, optionally filtered by number of guests and rating.", ["where_to"],
    where_to=text("The destination of the search, e.g. 'Berkeley, CA'."), rating={"type": "number", "description": "The minimum rating, from 1.0 to 5.0."},
)  # fmt: skip
SIGHTS = tool(
    "Travel_1_FindAttractions", "Browse attractions in a city by category and filters such as free entry and good for kids.", ["location"],
    location=text("City of the attraction"), good_for_kids={"type": "string", "enum": ["True", "False", "dontcare"], "description": "Whether it is good for kids"},
)  # fmt: skip
RIDE = tool("Rides_1_GetRide", "Book a cab to the destination for a number of passengers.", ["destination"], destination=text("Where to go"), riders={"type": "integer", "minimum": 1, "maximum": 4, "description": "Number of people"})  # fmt: skip
CARS = tool("Cars_3_GetCarsAvailable", "Retrieve a list of cars for rent in a city.", ["city"], city=text("City where the car is picked up, such as 'Los Angeles, CA'."))  # fmt: skip
EVENTS = tool("Events_3_FindEvents", "Find events of a category in a city.", ["city"], city=text("City"))
MONEY = tool("Payment_1_RequestPayment", "Request an amount of money from a contact.", ["receiver", "amount"], receiver=text("The contact's name"), amount={"type": "number", "description": "The amount in USD."})  # fmt: skip
PLAY = tool("Music_3_PlayMedia", "Play a track on a device.", ["track"], track=text("Title of the track"), device={"type": "string", "enum": ["Living room", "Kitchen", "Patio"], "description": "Where to play"})  # fmt: skip
VISIT = tool("Home_2_ScheduleVisit", "Schedule a visit to a property on a date.", ["property_name", "visit_date"], property_name=text("Name of the property or apartment community"), visit_date=text("Date of the visit, MM/DD/YYYY"))  # fmt: skip


def test_what_is_sought_is_what_the_tool_finds():
    said = {t.name: (objects_of(t.name, t.description), tool_act(t)) for t in (SIGHTS, CARS, EVENTS, RIDE)}
    assert said[SIGHTS.name][0] == ("attractions", "the attractions")  # not "kids"
    assert said[CARS.name][0] == ("cars",)
    assert said[EVENTS.name][0] == ("events", "the events")
    assert said[RIDE.name] == (("a cab",), ("book", "book"))


def test_a_town_with_its_state_is_one_example():
    assert described_values("City of the therapist, such as 'Fremont, CA'.") == ()
    assert described_values("City, e.g. Berkeley, CA") == ()
    assert described_values("Colors such as red, blue") == ("red", "blue")
    towns = [given["city"] for _, given in asked(CARS, 60)]
    assert all(re.fullmatch(r"[^,]+, [A-Z]{2}", town) for town in towns), towns


def test_a_house_is_in_a_place_and_its_rating_has_a_name():
    for prompt, given in asked(HOUSE, 100):
        assert not re.search(
            r"\bwhere to\b|\bgoing to (?!\w+ing)", prompt.lower().replace("i'm going to", "")
        ), prompt
        if "rating" in given:
            assert "rating" in prompt.lower() or "star" in prompt.lower(), prompt


def test_what_is_good_for_kids_is_said_so():
    found = [(p, g) for p, g in asked(SIGHTS, 120) if "good_for_kids" in g]
    assert len(found) > 5
    for prompt, given in found:
        assert ("n't good for kids" in prompt or "not good for kids" in prompt) == (
            given["good_for_kids"] == "False"
        ), prompt
        assert "no good for" not in prompt, prompt


def test_friends_owe_no_fortunes_and_rooms_are_in_the_house():
    amounts = [g["amount"] for _, g in asked(MONEY, 100)]
    assert sum(a > 10_000 for a in amounts) == 0
    for prompt, given in asked(PLAY, 120):
        if given.get("device") in ("Living room", "Kitchen"):
            assert f"on the {given['device'].lower()}" not in prompt.lower(), prompt


def test_a_property_has_the_name_of_one():
    nouns = {n.lower() for n in phrases("inventories")["code_noun"]}
    names = [g["property_name"] for _, g in asked(VISIT, 60)]
    assert not nouns & {n.lower() for n in names}
    assert sum(bool(re.search(r"Apartments|Heights|Court|Oaks|Gardens|Tower|Creek|Villa|Park|Lofts|Manor|House|The ", n, re.I)) for n in names) > 0.9 * len(names), names  # fmt: skip


def test_a_kind_of_therapist_is_one():
    clinic = tool("Clinic_4_FindProvider", "Find a therapist in a city.", ["city", "type"], city=text("The city."), type={"type": "string", "enum": ["Psychologist", "Family Counselor"], "description": "The kind of therapist."})  # fmt: skip
    said = [p.lower() for p, _ in asked(clinic, 60)]
    assert not [p for p in said if re.search(r"(?:psychologist|counselor) therapist", p)]
    assert sum("a psychologist" in p or "a family counselor" in p for p in said) > len(said) / 3


def test_a_theater_event_is_asked_for():
    events = tool("Events_3_FindEvents", "Find events of a category in a city.", ["event_type", "city"], event_type={"type": "string", "enum": ["Music", "Theater", "Sports"], "description": "The category of the event."}, city=text("City"))  # fmt: skip
    said = [p.lower() for p, _ in asked(events, 60)]
    assert sum(bool(re.search(r"(?:music|theater|sports) event", p)) for p in said) > len(said) / 2


def test_accounts_stylists_and_synonyms_are_said_as_people_do():
    bank = tool("Bank_1_TransferMoney", "Transfer money from one account to another.", ["account_type", "amount", "recipient_account_name"], account_type={"type": "string", "enum": ["checking", "savings"], "description": "The type of the account to send from."}, amount={"type": "number", "description": "Amount in dollars"}, recipient_account_name=text("Name of the recipient's account."), recipient_account_type={"type": "string", "enum": ["checking", "savings"], "description": "Type of the recipient's account."})  # fmt: skip
    said = [p.lower() for p, _ in asked(bank, 80)]
    assert (
        sum(bool(re.search(r"(?:from|using) my (?:checking|savings) account", p)) for p in said)
        > len(said) / 3
    )
    assert not [p for p in said if re.search(r"(?:checking|savings) money", p)]
    hair = tool("Hair_1_BookAppointment", "Book an appointment at a hair salon for a given date.", ["stylist_name", "date"], stylist_name=text("The name of the hair stylist or salon."), date=text("The date, YYYY-MM-DD"))  # fmt: skip
    assert not [p for p, _ in asked(hair, 60) if re.search(r"\b(?:called|named|titled)\b", p)]
    words = tool("synonyms_lookup", "Look up synonyms or antonyms of a word.", ["word", "relation"], word=text(), relation={"type": "string", "enum": ["synonyms", "antonyms"]})  # fmt: skip
    found = asked(words, 60)
    assert sum(f"{g['relation']} of {g['word']}".lower() in p.lower() for p, g in found) > len(found) / 3


def test_a_train_has_a_number_and_a_location_may_be_two():
    train = tool("train_status", "Check whether a train is on time.", ["train_number"], train_number=text("Number of the train, like 'ICE 572'"))  # fmt: skip
    assert not [g for _, g in asked(train, 40) if re.fullmatch(r"[a-z]+|\d{1,2}", g["train_number"])]
    share = tool("share_location", "Share the current location with a contact.", ["location", "contact"], location=text("The location in the format 'Latitude, Longitude'"), contact=text("Full name"))  # fmt: skip
    assert all(re.fullmatch(r"-?[\d.]+, -?[\d.]+", g["location"]) for _, g in asked(share, 40))
    doctor = tool("make_appointment", "Make an appointment with a doctor.", ["doctor", "time_of_day"], doctor=text("Name of the doctor"), time_of_day={"type": "string", "enum": ["morning", "afternoon", "evening"]})  # fmt: skip
    assert not [p for p, _ in asked(doctor, 40) if "time of day" in p.lower() and "in the" in p.lower()]


def test_cars_are_of_a_make_and_a_body_and_cost_thousands():
    cars = tool(
        "search_cars", "Search used cars.", [], make=text(), body_type=text(), max_price={"type": "number"}
    )
    makes = set(phrases("inventories")["car_make"])
    found = asked(cars, 120)
    for prompt, given in found:
        assert given.get("make", "Volvo") in makes or given["make"].title() in {m.title() for m in makes}, (
            prompt
        )
        assert not re.search(
            r"\b(?:saying|that says|that reads|in a (?:suv|sedan|hatchback))\b", prompt.lower()
        ), prompt
        assert given.get("max_price", 2000) >= 1000, prompt


def test_nobody_says_next_the_media_player():
    player = tool("media_player", "Control the media player.", ["command"], command={"type": "string", "enum": ["play", "pause", "next", "previous"]})  # fmt: skip
    said = [p.lower() for p, _ in asked(player, 80)]
    assert not [p for p in said if re.search(r"\b(?:next|previous) the\b", p)]


def test_small_things_are_counted_and_said_as_people_do():
    recipe = tool(
        "recipe_scale",
        "Scale a recipe to a number of servings.",
        ["recipe", "servings"],
        recipe=text(),
        servings={"type": "integer"},
    )
    assert all(1 <= g["servings"] <= 20 for _, g in asked(recipe, 40))
    scores = tool("game_scores", "Get scores of games of a sports team.", ["team"], team=text(), last_n={"type": "integer", "description": "Number of most recent games"})  # fmt: skip
    assert not [p for p, _ in asked(scores, 60) if re.search(r"\blast n\b", p.lower())]
    coin = tool(
        "crypto_price",
        "Get the current price of a cryptocurrency.",
        ["coin"],
        coin=text("Name or symbol of the coin"),
    )
    said = [(p.lower(), g["coin"].lower()) for p, g in asked(coin, 60)]
    assert sum(f"price of {c}" in p for p, c in said) > len(said) / 3
    split = tool("split_bill", "Split a bill between people with a tip.", ["total", "people"], total={"type": "number"}, people={"type": "integer"}, tip_percent={"type": "number"})  # fmt: skip
    assert all(5 <= g.get("tip_percent", 10) <= 30 for _, g in asked(split, 60))


def test_a_room_is_at_a_hotel_for_guests_who_check_in():
    hotel = tool(
        "hotel_reservation", "Make a hotel reservation.", ["hotel", "check_in", "nights"], hotel=text("Name of the hotel"), check_in=text(format="date"),
        nights={"type": "integer"}, guests={"type": "object", "properties": {"adults": {"type": "integer"}, "children": {"type": "integer"}}, "required": ["adults"]},
        room_type={"type": "string", "enum": ["single", "double", "suite"]},
    )  # fmt: skip
    for prompt, given in asked(hotel, 100):
        assert not re.search(r"\bfrom (?:the )?(?:hotel|hilton|marriott|grand)|check in (?:\d|the|[A-Z])|in the (?:single|double)\b", prompt), prompt  # fmt: skip
        guests = given.get("guests", {})
        assert all(n <= 30 for n in guests.values()), prompt
        assert not guests or not re.search(r"\busing \d+ adults|with the guests", prompt), prompt


def test_an_area_is_no_money_and_a_month_nobody():
    solar = tool("solar_potential", "Estimate the energy production of a solar farm by its panel area.", ["panel_area", "month"], panel_area={"type": "number", "description": "Total area of the panels in square feet."}, month=text("The month, full name."))  # fmt: skip
    months = "january february march april may june july august september october november december".split()
    for prompt, given in asked(solar, 60):
        assert "$" not in prompt and "dollar" not in prompt and "bucks" not in prompt, prompt
        assert given["month"].lower() in months, prompt
    app = tool("open_app", "Open an app on the phone.", ["app_name"], app_name=text("Name of the app"))
    said = [p.lower() for p, _ in asked(app, 40)]
    assert sum("open the app" not in p for p in said) > len(said) / 2
    detect = tool("detect_language", "Detect the language of a text.", ["text"], text=text())
    assert not [p for p, _ in asked(detect, 40) if "language saying" in p or "that says" in p]
