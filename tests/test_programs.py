"""Tools of programs and their makers: whose they are, what their arguments are called, how they are asked for."""

from __future__ import annotations

import random
import re

import pytest

from auto_lora.dialogues.definitions.acted_on import objects_of
from auto_lora.dialogues.definitions.meaning import act_of, is_action, switches_of, tool_act
from auto_lora.dialogues.definitions.phrasebook import phrases
from auto_lora.dialogues.definitions.programs import is_program
from auto_lora.dialogues.definitions.role_words import role_of
from auto_lora.dialogues.definitions.roles import roles_of
from auto_lora.dialogues.definitions.topics import topic_of
from auto_lora.dialogues.values.pools import Pools
from auto_lora.dialogues.values.sampler import Sampler
from auto_lora.dialogues.wording.chooser import FrameChooser
from tests.tool_lists import asked, many, text, tool

WHOLE = {"type": "integer"}
LISTENER = tool(
    "attachEventHandler", "Attach a callback to an event of a DOM element.", ("elementId", "eventName", "callback"),
    elementId=text("Id of the element"), eventName=text("Name of the event"), callback=text("Function to call"),
)  # fmt: skip
POD_LOGS = tool(
    "get_pod_logs", "Get the logs of a Kubernetes pod.", ("pod",),
    pod=text("Name of the pod"), namespace=text("Namespace of the pod"),
)  # fmt: skip
GREP = tool(
    "grep_search", "Search files for a regular expression.", ("pattern",), pattern=text("Regular expression"), path=text("Directory to search")
)  # fmt: skip
PLAY = tool(
    "play_music",
    "Play a song on a service.",
    (),
    song=text("Name of the song"),
    service=text("Streaming service"),
)


def _drawn(name, schema, count=40, words=""):
    sampler = Sampler(1, "train")
    sampler.tool_words = words
    return [sampler.sample(name, schema) for _ in range(count)]


def test_names_of_programs_mean_another_thing_elsewhere():
    assert list(roles_of(LISTENER).values()) == ["element_id", "dom_event", "callback"]
    assert roles_of(POD_LOGS) == {"pod": "workload", "namespace": "namespace"}
    assert roles_of(GREP)["pattern"] == "regex"
    assert not is_program(PLAY) and roles_of(PLAY)["service"] == "service"


def test_arguments_of_programs_have_no_spaces_and_keep_their_case():
    for prompt, arguments in asked(LISTENER, 60):
        for value in arguments.values():
            assert " " not in value and value in prompt


def test_a_list_of_columns_is_one_of_names():
    index = tool(
        "create_index",
        "Create an index on a table of a database.",
        ("table", "columns"),
        table=text("Table"),
        columns=many("Columns to index"),
    )
    columns = [c for _, arguments in asked(index, 40) for c in arguments["columns"]]
    assert roles_of(index)["columns"] == "db_column" and not any(" " in c for c in columns)


def test_who_writes_programs_asks_how():
    assert sum("how " in prompt.lower() for prompt, _ in asked(LISTENER, 60)) > 3


def test_every_role_of_programs_has_values_and_tails():
    pools = Pools(random.Random(1))
    for role, entry in phrases("roles").items():
        if "program" in entry:
            assert entry["tails"] and len({pools.make(role) for _ in range(60)}) > 5, role


def test_to_grep_is_not_to_list_a_directory():
    frames = FrameChooser(random.Random(1), "train", [GREP])._frames(GREP)
    own = {f.name for fs in topic_of(GREP).frames.values() for f in fs}
    assert all("query" in f.named for f, _ in frames if f.name in own)


@pytest.mark.parametrize(
    ("name", "description", "size"),
    [("timeout_ms", "How long to wait", 1000), ("duration", "Duration of the animation in milliseconds", 1000), ("wait", "Number of milliseconds to delay", 1000),
     ("timeout", "Seconds to wait", 1), ("ttl", "Time to live in seconds", 1)],
)  # fmt: skip
def test_a_span_is_said_in_its_unit_or_a_longer_one(name, description, size):
    checked = 0
    for value in _drawn(name, {"type": "integer", "description": description}):
        if found := re.fullmatch(r"(\d+) (second|minute)s?", value.surface):
            checked += 1
            assert int(found[1]) * size * (60 if found[2] == "minute" else 1) == value.json
    assert checked > 5


def test_sizes_in_bytes_may_be_said_in_kilobytes():
    for value in _drawn("bufferSize", {"type": "integer", "description": "Size of the buffer in bytes"}):
        assert value.json >= 100
        if found := re.fullmatch(r"(\d+) (KB|MB)", value.surface):
            assert value.json == int(found[1]) * 1024 ** (1 + (found[2] == "MB"))


def test_short_spans_keep_the_letter_of_their_example():
    for value in _drawn("step", text("Resolution, e.g. 30s"), words="metrics"):
        assert re.fullmatch(r"\d+s", value.json) and value.surface in (
            value.json,
            f"{value.json[:-1]} seconds",
            "1 second",
        )
    assert all(re.fullmatch(r"\d+Mi", v.json) for v in _drawn("memory", text("Memory limit, e.g. 512Mi")))


def test_coordinates_are_degrees_of_the_earth():
    for name, most in (("latitude", 90), ("lon", 180)):
        assert all(
            -most <= v.json <= most and "celsius" not in v.surface
            for v in _drawn(name, {"type": "number", "description": "In degrees"})
        )


def test_the_other_of_two_deeds_is_asked_for_by_its_own_verb():
    codec = tool(
        "encode_string",
        "Encode or decode a string.",
        ("text",),
        text=text("The text"),
        decode={"type": "boolean"},
    )
    said = [(arguments["decode"], prompt.lower()) for prompt, arguments in asked(codec, 40)]
    assert {d for d, _ in said} == {True, False}
    assert all(("decode" in p) == d and ("encode" in p) != d for d, p in said)


def test_maps_with_free_keys_hold_what_such_maps_hold():
    headers = {"type": "object", "description": "HTTP headers", "additionalProperties": {"type": "string"}}
    known = phrases("entries")["headers"]["entries"]
    for value in _drawn("headers", headers):
        assert value.json and all(v in known[k] and v in value.surface for k, v in value.json.items())


@pytest.mark.parametrize(
    ("name", "description", "act"),
    [
        ("news_search", "Search recent news articles.", ("find", "search")),
        ("JobQueue.listJobs", "Returns the jobs held by a queue.", ("get", "list")),
        ("queued", "Returns the jobs held by a queue.", ("get", "get")),
        ("MessageDigest.compute", "Computes the digest of a text.", ("compute", "compute")),
        ("git_commit", "Commit staged changes.", ("do", "commit")),
        ("dock_vacuum", "Send the robot vacuum back to its dock.", ("do", "send")),
    ],
)
def test_what_a_tool_does(name, description, act):
    assert act_of(name, description) == act


def test_what_a_tool_acts_on():
    assert (
        objects_of("update_ticket", "Update the status, assignee or priority of an existing ticket.")[0]
        == "a ticket"
    )
    assert objects_of("web_search", "Search the web and return the top results.")[0] == "the web"
    assert (
        objects_of("detect_beats", "Analyzes an audio file to detect beats and filters them by confidence.")[
            0
        ]
        == "beats"
    )
    assert (
        objects_of("integrate", "Calculate the area under a curve for a function.")[0]
        == "the area under a curve"
    )
    assert objects_of("cancel_table", "Cancel an existing table reservation.")[0] == "a table reservation"


def test_where_an_argument_is_not_given_is_not_its_role():
    about = "Where to leave the car. Defaults to the pick-up location."
    assert role_of("dropoff_location", about, "string") == "destination"


def test_homes_to_buy_or_rent_are_found():
    homes = tool(
        "search_homes",
        "Search properties for sale or rent.",
        ("listing",),
        listing={"type": "string", "enum": ["buy", "rent"]},
    )
    assert tool_act(homes)[0] == "find" and not is_action("listing", homes.properties["listing"], True)


def test_codes_are_written_as_the_definition_shows_them():
    for value in _drawn("location", text("City and country code, e.g. 'London,GB'.")):
        assert re.fullmatch(r"[^,]+,[A-Z]{2}", value.json)
    assert all(
        re.fullmatch(r"[A-Z]{2}\d{3}", v.json)
        for v in _drawn("course_code", text("Code of the course, e.g. CS101"))
    )
    assert all(
        re.fullmatch(r"\+\d{11,12}", v.json) for v in _drawn("phone", text("Phone number in E.164 format"))
    )


def test_a_letter_is_said_as_the_definition_explains_it():
    schema = {"type": "string", "enum": ["d", "w"], "description": "Age of the page: d (day), w (week)."}
    assert {(v.json, v.surface) for v in _drawn("timelimit", schema)} == {("d", "day"), ("w", "week")}


# Found by a review of all this: everyday tools, and words that only look like units, glosses, verbs and maps.


@pytest.mark.parametrize(
    "everyday",
    [
        tool("get_weather", "Current weather for a city.", city=text("City name and country code"), units=text("metric or imperial"), region=text("State or region")),
        tool("log_meal", "Log a meal.", food=text("What was eaten"), event=text("Occasion")),
        tool("log_expense", "Log an expense.", amount=WHOLE, category_code=text("Category code")),
        tool("garden_planner", "Plan a garden.", container=text("Which container, pots or beds"), containers=WHOLE),
        tool("hotel_search", "Search hotels. Returns a JSON list.", table=text("Table preference"), class_=text("Class of the hotel")),
        tool("find_slots", "Find free slots with a buffer between events.", host=text("Who invites"), region=text("Region")),
        tool("seat_guest", "Seat a guest.", table=text("Table"), row=text("Row"), guest=text("Guest")),
        tool("createEvent", "Create an event.", eventName=text("Name of the event"), hostName=text("Name of the host")),
        tool("bookClass", "Book a class.", className=text("Name of the class"), classLevel=text("Level")),
    ],
    ids=lambda t: t.name,
)  # fmt: skip
def test_everyday_tools_are_no_programs(everyday):
    assert not is_program(everyday)


@pytest.mark.parametrize(
    ("name", "description", "unit"),
    [
        ("days", "Length of the traveller's stay in days", "day"),
        ("visa_days", "Number of days in the US", "day"),
        ("duration", "Duration of the athlete's session in minutes", "minute"),
    ],
)
def test_an_s_is_no_second(name, description, unit):
    checked = 0
    for value in _drawn(name, {"type": "integer", "description": description}):
        assert not re.search(r"second|\bms\b", value.surface)
        if found := re.fullmatch(rf"(\d+) {unit}s?", value.surface):
            checked += 1
            assert int(found[1]) == value.json
    assert checked > 5


def test_what_stands_in_brackets_is_not_always_a_meaning():
    schema = {"type": "string", "enum": ["a", "z"], "description": "Order: a (default) or z (optional)."}
    assert all(v.surface == v.json for v in _drawn("order", schema))


def test_two_adjectives_are_no_two_deeds():
    for description, flag in (
        ("Daily or hourly forecast for a city.", "hourly"),
        ("Hot or iced coffee to go.", "iced"),
    ):
        assert not switches_of(tool("get_it", description, city=text("City"), **{flag: {"type": "boolean"}}))
    assert objects_of("cancel_plan", "Cancel an existing subscription.")[0] == "a subscription"
    assert act_of("rma", "Return an item from an order.")[1] == "return"


def test_maps_of_everyday_tools_and_closed_keys_are_left_alone():
    free = {"type": "object", "additionalProperties": {"type": "string"}}
    config = set(phrases("entries")["environment"]["entries"]) | set(phrases("entries")["options"]["entries"])
    assert all(
        not config & v.json.keys()
        for n in ("variables", "preferences", "attributes")
        for v in _drawn(n, free)
    )
    for value in _drawn("headers", {**free, "propertyNames": {"pattern": "^[a-z]+$"}}):
        assert all(re.fullmatch("[a-z]+", k) for k in value.json)


@pytest.mark.parametrize(("low", "high"), [(-90, -60), (70, 90), (0, 1)])
def test_coordinates_keep_to_their_limits(low, high):
    schema = {"type": "number", "minimum": low, "maximum": high}
    assert all(low <= v.json <= high for v in _drawn("latitude", schema))


def test_metres_and_seats_are_no_minutes():
    assert all(
        v.surface == v.json
        for name, shown in (("depth", "30m"), ("seat", "12d"))
        for v in _drawn(name, text(f"The {name}, e.g. {shown}"))
    )
