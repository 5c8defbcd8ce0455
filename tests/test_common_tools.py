"""Labels for tools as developers commonly define them: what the words say is what the arguments say."""

from __future__ import annotations

import re
from datetime import datetime

import pytest

from auto_lora._settings import TrainingConfig
from auto_lora.catalog import ToolDefinition
from auto_lora.dialogues import SyntheticDataGenerator
from auto_lora.dialogues.definitions.examples import described_values
from auto_lora.dialogues.definitions.meaning import switches_of
from auto_lora.dialogues.definitions.roles import roles_of
from auto_lora.dialogues.definitions.topics import frames_for, topic_of
from auto_lora.dialogues.values.sampler import Sampler
from tests.tool_lists import WEATHER
from tests.tool_lists import asked as _asked
from tests.tool_lists import many as _many
from tests.tool_lists import text as _text
from tests.tool_lists import tool as _tool


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
        words = re.findall(rf"\b(?:{yes}|{no})\b", prompt.lower())
        assert said in words and other not in words, (prompt, arguments)


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
    ends = {
        n: {"type": "object", "properties": {"date": day}, "required": ["date"]} for n in ("start", "end")
    }
    apart = _tool("create_event", "Create an event.", ["start", "end"], **ends)
    for prompt, arguments in _asked(apart):
        assert arguments["start"]["date"] <= arguments["end"]["date"], prompt
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
        assert all(name in prompt for name in arguments["participants"]), (prompt, arguments)


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
            assert re.search(r"over|at least|no less|or more|above|min", prompt, re.I), prompt
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
        text = re.sub(r"\b(?:has|have) to be\b", "is", prompt.lower())
        for end in ("from", "to"):
            account = re.escape(arguments[f"{end}_account"].lower())
            after = re.search(rf"\b{account} as (?:the )?(from|to) account", text)
            before = re.findall(
                r"\b(from|to)\b", re.sub(r"\bin(?:to)? acc\w+", "to account", re.split(account, text)[0])
            )
            assert (after[1] if after else before[-1]) == end, (prompt, arguments)
        assert "$" not in prompt


@pytest.mark.parametrize(
    ("description", "true"),
    [
        ("Turn the lamp on (true) or off (false).", "on"),
        ("on=true, off=false", "on"),
        ("off (false) or on (true)", "on"),
        ("Set to false to turn off.", "on"),
        ("Turn off or on", "on"),
        ("off when true, on when false", "off"),
        ("true to turn it off", "off"),
        ("open (true) or closed (false)", "open"),
        ("", "on"),
    ],
)
def test_what_true_means(description, true):
    tool = _tool("set_lamp", "Set it.", ["state"], state={"type": "boolean", "description": description})
    assert switches_of(tool)["state"][1] == true


def test_both_values_of_a_lone_boolean_are_in_every_split():
    tool = _tool("set_power", "Set the power.", ["power"], power={"type": "boolean"})
    generator = SyntheticDataGenerator([tool, WEATHER], TrainingConfig(seed=3))
    for split in ("train", "test"):
        made = generator.generate(60, split, shares={"single": 1.0})
        given = [dict(c.scored_turns()[0].expected[0].arguments) for c in made]
        assert {a["power"] for a in given if "power" in a} == {True, False}


def test_a_users_own_dates_stay_as_they_are():
    day = _text("YYYY-MM-DD")
    tool = _tool("book", "Book a stay.", ["start_date", "end_date"], start_date=day, end_date=day)
    own = {"end_date": lambda rng: ("2030-01-01", f"new year {rng.randint(1, 999)}")}
    made = SyntheticDataGenerator([tool], TrainingConfig(seed=3), samplers=own).generate(40, "train", shares={"single": 1.0})  # fmt: skip
    assert {c.scored_turns()[0].expected[0].arguments["end_date"] for c in made} == {"2030-01-01"}


def test_every_tool_is_called_or_the_run_says_which_is_not():
    times = {n: _text("IANA time zone") for n in ("source_timezone", "target_timezone")}
    convert = _tool("convert_time", "Convert time between time zones.", list(times), **times)
    generator = SyntheticDataGenerator([convert, WEATHER], TrainingConfig(seed=3))
    made = generator.generate(60, "train", shares={"single": 1.0})
    assert {c.scored_turns()[0].expected[0].name for c in made} == {"convert_time", "get_weather"}
    assert not generator.notes
    assert generator._unasked([c for c in made if c.scored_turns()[0].expected[0].name == "get_weather"] * 5) == ["convert_time"]  # fmt: skip


@pytest.mark.parametrize(
    ("tool", "roles"),
    [
        (_tool("git_log", "Shows the commit logs", repo_path=_text("Path to the repository")), ["folder"]),
        (_tool("create_directory", "Create a directory", path=_text()), ["folder"]),
        (_tool("read_file", "Read a file within allowed directories.", path=_text()), ["file"]),
        (_tool("move_file", "Move files.", source=_text(), destination=_text()), ["file_from", "file_to"]),
        (_tool("create_issue", "Create an issue", owner=_text("Repository owner"), repo=_text()), ["account", "repo"]),
        (_tool("add_reaction", "Add a reaction", timestamp=_text("The timestamp of the message"), teamId=_text()), ["identifier", "identifier"]),
        (_tool("read_query", "Run a query", query=_text("SELECT SQL query to execute")), ["sql"]),
        (_tool("click", "Click an element", selector=_text("CSS selector")), ["selector"]),
        (_tool("send_mail", "Send a mail", cc=_many("List of CC recipients"), attachments=_many()), ["recipient", "file"]),
    ],
    ids=lambda value: value.name if isinstance(value, ToolDefinition) else "",
)  # fmt: skip
def test_what_arguments_of_servers_stand_for(tool, roles):
    assert list(roles_of(tool).values()) == roles


@pytest.mark.parametrize(
    ("name", "schema", "low", "high"),
    [
        ("page", {"type": "number"}, 1, 10**6),
        ("offset", {"type": "number", "description": "Offset (max 9, default 0)"}, 0, 9),
        ("width", {"type": "number", "description": "Width", "default": 800}, 200, 3200),
    ],
)
def test_counts_are_whole_and_of_a_sensible_size(name, schema, low, high):
    sampler = Sampler(1, "train")
    made = [sampler.sample(name, schema).json for _ in range(80)]
    assert all(isinstance(v, int) and low <= v <= high for v in made), made


def test_what_explains_a_value_is_none():
    assert not described_values("Search query (max 400 chars, 50 words)")
    assert not described_values("Repository owner (username or organization)")
    assert described_values("Kind of thing (book, film, song)") == ("book", "film", "song")


def test_a_parameter_may_have_no_name():
    odd = _tool(
        "set_x",
        "Set a thing.",
        ["to"],
        **{"": {"type": "boolean"}, "to": _text(), "at": {"type": "number"}, "x": True},
    )
    numbers = _tool(
        "sum", "Sum of numbers.", ["", "by"], **{"": {"type": "integer"}, "by": {"type": "integer"}}
    )
    for tool in (odd, numbers):
        assert SyntheticDataGenerator([tool, WEATHER], TrainingConfig(seed=3)).generate(60, "train")
