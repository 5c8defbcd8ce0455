"""Booleans that agree with what else is asked for: "round trip" with a return date, "all day" without an hour."""

from __future__ import annotations

import random
import re

import pytest

from auto_lora.dialogues.definitions.phrasebook import phrases
from auto_lora.dialogues.values.contradicted import consistent
from auto_lora.dialogues.values.surfaces import Value
from tests.tool_lists import asked, text, tool

YES_NO = {"type": "boolean"}
FLIGHTS = tool(
    "search_flights", "Search for flights.", ("origin", "destination", "departure_date"),
    origin=text("City"), destination=text("City"), departure_date=text("YYYY-MM-DD"), return_date=text("Return date, YYYY-MM-DD"), one_way=YES_NO,
    nonstop=YES_NO, max_stops={"type": "integer", "minimum": 0, "maximum": 3},
)  # fmt: skip
EVENT = tool(
    "create_event", "Create a calendar event.", ("title", "date"),
    title=text("Title"), date=text("YYYY-MM-DD"), start_time=text("Start time, HH:MM"), all_day=YES_NO,
)  # fmt: skip
CAR = tool(
    "rent_car", "Rent a car.", ("city",), city=text("City"), include_insurance=YES_NO,
    insurance_type={"type": "string", "enum": ["basic", "full"]}, trip_type={"type": "string", "enum": ["one_way", "round_trip"]}, return_date=text("YYYY-MM-DD"),
)  # fmt: skip


def _drawn(definition, **given):
    values = {n: Value(v, str(v), "boolean") for n, v in given.items()}
    return {n: v.json for n, v in consistent(random.Random(1), values, definition, ()).items()}


@pytest.mark.parametrize(
    "definition, given, kept",
    [
        (FLIGHTS, {"one_way": True, "return_date": "2026-01-02"}, {"return_date": "2026-01-02"}),
        (FLIGHTS, {"one_way": True}, {"one_way": True}),
        (FLIGHTS, {"nonstop": True, "max_stops": 2}, {"max_stops": 2}),
        (FLIGHTS, {"nonstop": False, "max_stops": 0}, {"nonstop": True, "max_stops": 0}),
        (EVENT, {"all_day": True, "start_time": "09:00"}, {"start_time": "09:00"}),
        (EVENT, {"all_day": True, "date": "2026-01-02"}, {"all_day": True, "date": "2026-01-02"}),
        (CAR, {"include_insurance": False, "insurance_type": "full"}, {"include_insurance": True, "insurance_type": "full"}),
        (CAR, {"trip_type": "one_way", "return_date": "2026-01-02"}, {"trip_type": "round_trip", "return_date": "2026-01-02"}),
        (CAR, {"trip_type": "one_way"}, {"trip_type": "one_way"}),
    ],
)  # fmt: skip
def test_no_boolean_says_the_opposite_of_another_argument(definition, given, kept):
    assert _drawn(definition, **given) == kept


def test_what_is_the_users_own_stays():
    values = {"all_day": Value(True, "all day", "boolean"), "start_time": Value("09:00", "nine", "time")}
    assert consistent(random.Random(1), values, EVENT, ("all_day",)) == values


def test_no_request_contradicts_itself():
    for _, arguments in asked(FLIGHTS, 120):
        assert not (arguments.get("one_way") and "return_date" in arguments)
    all_day = [a for _, a in asked(EVENT, 120) if a.get("all_day")]
    assert all_day and all("start_time" not in a for a in all_day)


def test_the_rules_are_patterns():
    for rule in phrases("contradictions")["rules"]:
        assert re.compile(rule["said"]) and re.compile(rule["beside"]) and rule["is"] in (True, False)
