"""Labels for tools as developers commonly define them: what the words say is what the arguments say."""

from __future__ import annotations

import re
from datetime import datetime

import pytest

from auto_lora._settings import TrainingConfig
from auto_lora.catalog import ToolDefinition
from auto_lora.dialogues import SyntheticDataGenerator
from auto_lora.dialogues.meaning import roles_of
from auto_lora.dialogues.topics import frames_for, topic_of
from auto_lora.dialogues.values import Sampler


def _text(description="", **more):
    return {"type": "string", "description": description, **more}


def _many(description=""):
    return {"type": "array", "items": {"type": "string"}, "description": description}


def _tool(name, description, required=(), /, **properties):
    return ToolDefinition(
        name, description, {"type": "object", "properties": properties, "required": list(required)}
    )


WEATHER = _tool("get_weather", "Get the weather.", ["city"], city=_text("City."))


def _asked(tool, count=150):
    """(prompt, arguments) of the calls written for one tool beside another."""
    made = SyntheticDataGenerator([tool, WEATHER], TrainingConfig(seed=3)).generate(
        2 * count, "train", shares={"single": 0.5, "optional": 0.5}
    )
    calls = [(c.prompt, c.scored_turns()[0].expected[0]) for c in made]
    found = [(prompt, dict(call.arguments)) for prompt, call in calls if call.name == tool.name]
    assert len(found) > count / 3
    return found


@pytest.mark.parametrize(
    ("tool", "argument", "yes", "no"),
    [
        (_tool("set_lamp", "Switch a lamp on or off.", ["room", "on"], room=_text("Room."), on={"type": "boolean"}), "on", "on", "off"),
        (_tool("set_lamp", "Switch a lamp on or off.", ["room"], room=_text("Room."), on={"type": "boolean"}), "on", "on", "off"),
        (_tool("control_light", "Control a light.", ["power"], power={"type": "boolean", "description": "True to turn on, false to turn off."}), "power", "on", "off"),
        (_tool("set_blinds", "Control the blinds.", ["closed"], closed={"type": "boolean"}), "closed", "close", "open"),
        (_tool("lock_car", "Lock the car.", ["unlock"], unlock={"type": "boolean"}), "unlock", "unlock", "lock"),
    ],
    ids=["on", "on-optional", "power", "closed", "unlock"],
)  # fmt: skip
def test_a_boolean_that_switches_is_said_by_its_own_word(tool, argument, yes, no):
    for prompt, arguments in _asked(tool):
        said, other = (yes, no) if arguments[argument] else (no, yes)
        last = re.findall(rf"\b(?:{yes}|{no})\b", re.sub(r"\bopen up\b", "open", prompt.lower()))
        assert said in last, (prompt, arguments)
        assert other not in last or tool.name == "set_lamp", (prompt, arguments)  # "on Monday"


@pytest.mark.parametrize(
    ("tool", "roles"),
    [
        (_tool("run_scene", "Run a scene.", scene_name=_text("Name of the scene")), ["thing_name"]),
        (_tool("create_playlist", "Create a playlist", name=_text(), tracks=_many()), ["playlist", "song"]),
        (_tool("create_user", "Create a user", name=_text()), ["person_name"]),
        (_tool("get_customer", "Get a customer", name=_text("Name of the customer")), ["person"]),
        (_tool("add_contact", "Add a contact.", first_name=_text(), last_name=_text()), ["first_name", "last_name"]),
        (_tool("schedule_interview", "Schedule it", interviewers=_many("Names of the interviewers"), attendees=_many()), ["person", "person"]),
        (_tool("find_trains", "Find trains", **{"from": _text("Departure station"), "to": _text("Arrival station")}), ["origin", "destination"]),
        (_tool("send_email", "Send an email", to=_text("Recipient"), subject=_text()), ["recipient", "subject"]),
        (_tool("rollback", "Roll back a service", to_version=_text()), ["version"]),
        (_tool("convert", "Convert money", **{"from": _text("Currency to convert from"), "to": _text("Currency to convert to")}), ["currency_from", "currency_to"]),
        (_tool("create_issue", "Create an issue", repo=_text("owner/name")), ["repo"]),
        (_tool("set_reminder", "Remind the user.", text=_text("What to be reminded of")), ["label"]),
    ],
    ids=lambda value: value.name if isinstance(value, ToolDefinition) else "",
)  # fmt: skip
def test_what_arguments_stand_for(tool, roles):
    assert list(roles_of(tool).values()) == roles


def test_the_earlier_of_two_dates_comes_first():
    day = {"type": "string", "format": "date"}
    flat = _tool(
        "rent_car", "Rent a car.", ["pickup_date", "dropoff_date"], pickup_date=day, dropoff_date=day
    )
    stay = {"type": "object", "properties": {"check_in": day, "check_out": day}, "required": ["check_in", "check_out"]}  # fmt: skip
    nested = _tool("book_hotel", "Book a hotel.", ["dates"], dates=stay)
    for tool in (flat, nested):
        for prompt, arguments in _asked(tool):
            first, last = map(datetime.fromisoformat, arguments.get("dates", arguments).values())
            assert 0 < (last - first).days <= 21, prompt


def test_a_time_in_iso_8601_is_one():
    remind = _tool(
        "set_reminder", "Set a reminder.", ["text", "time"], text=_text(), time=_text("ISO 8601 time")
    )
    for prompt, arguments in _asked(remind):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:00", arguments["time"]), prompt


@pytest.mark.parametrize(
    ("schema", "form"),
    [
        (_text("The customer, e.g. C-1042"), r"C-\d{4}"),
        (_text("Order id like ORD-12345."), r"ORD-\d{5}"),
        (_text("Invoice", examples=["INV/2024/001"]), r"INV/\d{4}/\d{3}"),
    ],
)
def test_a_code_is_made_like_its_example(schema, form):
    sampler = Sampler(1, "train")
    made = [sampler.sample("customer_id", schema) for _ in range(20)]
    assert all(re.fullmatch(form, v.json) and v.surface == v.json for v in made)
    assert len({v.json for v in made}) > 10


def test_an_airports_code_is_said_by_its_city():
    sampler = Sampler(1, "train")
    made = [sampler.sample("origin", _text("IATA code of the departure airport")) for _ in range(60)]
    assert all(re.fullmatch("[A-Z]{3}", v.json) for v in made)
    assert {v.surface for v in made if v.json == "SYD"} <= {"Sydney", "SYD"}
    assert any(v.surface != v.json for v in made)


def test_what_is_inside_an_argument_is_typed_like_the_rest():
    meet = _tool("schedule", "Schedule a meeting.", ["participants"], participants=_many("Names of people"))
    for prompt, arguments in _asked(meet):
        assert all(name in prompt for name in arguments["participants"]) or prompt != prompt.lower(), prompt


def test_a_limit_is_said_as_one():
    find = _tool("search_hotels", "Search hotels in a city.", ["city"], city=_text("City."), max_price={"type": "number"}, min_rating={"type": "number", "minimum": 1, "maximum": 5})  # fmt: skip
    limits = 0
    for prompt, arguments in _asked(find):
        limits += "max_price" in arguments or "min_rating" in arguments
        if "max_price" in arguments:
            assert re.search(r"under|up to|at most|no more than|below|max|budget|within", prompt, re.I), (
                prompt
            )
        if "min_rating" in arguments:
            assert re.search(r"over|at least|or more|above|min", prompt, re.I), prompt
    assert limits > 10


def test_another_verb_is_not_exchanged_for_its_act():
    reply = _tool(
        "reply_email", "Reply to an email.", ["message_id", "text"], message_id=_text(), text=_text()
    )
    assert not [p for p, _ in _asked(reply) if re.search(r"\b(?:send|write) (?:an? |the )?email", p, re.I)]


def test_a_topic_of_several_deeds_gives_only_the_tools_own():
    delete = _tool("delete_branch", "Delete a git branch.", ["branch"], branch=_text())
    topic = topic_of(delete)
    for split in ("train", "validation", "test"):
        assert all("delete" in f.text for f in frames_for(topic, delete, split))
    for prompt, _ in _asked(delete):
        assert not re.search(r"\b(?:commit|merge|pull request|make a branch|new branch)\b", prompt, re.I), (
            prompt
        )


def test_accounts_at_both_ends_are_told_apart_and_no_currency_is_said_twice():
    transfer = _tool(
        "transfer_money", "Transfer money.", ["from_account", "to_account", "amount"],
        from_account=_text(), to_account=_text(), amount={"type": "number"}, currency=_text("Currency code."),
    )  # fmt: skip
    for prompt, arguments in _asked(transfer):
        at = [prompt.lower().index(arguments[n].lower()) for n in ("from_account", "to_account")]
        for name, start in zip(("from", "to"), at, strict=True):
            around = prompt[max(0, start - 30) : start + 45].lower()
            assert re.search(rf"\b{name}\b", around), (prompt, arguments)
        assert "$" not in prompt
