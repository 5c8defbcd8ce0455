"""Synthetic conversations: labels right by construction, splits apart, any tools."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from auto_lora._conversation import read_conversations, write_conversations
from auto_lora._settings import CATEGORIES, TrainingConfig
from auto_lora._toolcall import normal_text
from auto_lora.catalog import ToolDefinition
from auto_lora.dialogues import Focus, SyntheticDataGenerator, find_links
from auto_lora.dialogues.definitions.acted_on import objects_of
from auto_lora.dialogues.definitions.examples import described_values
from auto_lora.dialogues.definitions.frames import fill, parse
from auto_lora.dialogues.definitions.meaning import act_of
from auto_lora.dialogues.definitions.phrasebook import SPLITS, act_frames, phrases, share_out, tails_of
from auto_lora.dialogues.definitions.role_words import role_of
from auto_lora.dialogues.definitions.topics import topic_of, topics
from auto_lora.dialogues.values.patterns import from_pattern
from auto_lora.dialogues.values.pools import Pools
from auto_lora.dialogues.values.sampler import Sampler
from auto_lora.dialogues.values.surfaces import time_surfaces


def make(tools, count=120, split="train", **options):
    return SyntheticDataGenerator(tools, TrainingConfig(**options)).generate(count, split)


@pytest.fixture(scope="module")
def splits(demo_tools):
    generator = SyntheticDataGenerator(demo_tools, TrainingConfig())
    return {split: generator.generate(n, split) for split, n in zip(SPLITS, (300, 60, 120), strict=True)}


def test_every_conversation_holds_its_categorys_shape(splits, demo_tools):
    seen = set()
    for conversation in splits["train"]:
        turns = list(conversation.turns())
        calls = [c for t in turns for c in t.expected]
        seen.add(conversation.category)
        assert conversation.messages[-1]["role"] == "assistant" and turns[-1].answer["content"]
        match conversation.category:
            case "single" | "optional":
                assert len(calls) == 1
            case "parallel":
                assert len(calls) in (2, 3, 4) and len(turns) == 2
            case "chain":
                assert len(calls) == 2 and len(turns) == 3
                response = json.loads(
                    next(m for m in conversation.messages if m["role"] == "tool")["content"]
                )
                assert set(map(str, response.values())) & set(map(str, calls[1].arguments.values()))
            case "no_call" | "missing_argument":
                assert not calls and len(turns) == 1
    assert seen == set(CATEGORIES)


def test_calls_and_responses_fit_their_schemas(splits, demo_tools):
    tools = {t.name: t for t in demo_tools}
    for conversation in [c for part in splits.values() for c in part]:
        for turn in conversation.turns():
            for call in turn.expected:
                Draft202012Validator(tools[call.name].parameters).validate(dict(call.arguments))
                assert list(call.arguments) == list(tools[call.name].order_arguments(call.arguments))
        for message in conversation.messages:
            if message["role"] == "tool":
                Draft202012Validator(tools[message["name"]].returns).validate(json.loads(message["content"]))


def test_literal_arguments_stand_in_the_prompt(splits):
    literal = {"city", "artist", "room", "label", "text", "name"}
    for conversation in splits["train"]:
        first = next(conversation.turns())
        for call in first.expected:
            for key in literal & set(call.arguments):
                assert normal_text(str(call.arguments[key])) in normal_text(conversation.prompt)


def test_optional_arguments_are_mostly_left_out(splits, demo_tools):
    free = {t.name: set(t.properties) - set(t.required) for t in demo_tools}
    singles = [c for c in splits["train"] if c.category == "single"]
    assert all(
        not free[call.name] & set(call.arguments) for c in singles for t in c.turns() for call in t.expected
    )


def test_splits_share_no_prompt_shape_or_value_combination(splits):
    for a, b in (("train", "test"), ("train", "validation"), ("validation", "test")):
        for key in (lambda c: normal_text(c.prompt), lambda c: c.meta["shape"], lambda c: c.meta["values"]):
            left, right = ({key(c) for c in splits[s]} - {""} for s in (a, b))
            assert not left & right


def test_same_seed_same_bytes_other_seed_other(demo_tools, tmp_path):
    paths = [
        write_conversations(tmp_path / f"{i}.jsonl", make(demo_tools, 60, seed=s))
        for i, s in enumerate((1, 1, 2))
    ]
    texts = [p.read_bytes() for p in paths]
    assert texts[0] == texts[1] != texts[2]
    assert [c.to_json() for c in read_conversations(paths[0])] == [
        c.to_json() for c in make(demo_tools, 60, seed=1)
    ]


def test_same_bytes_in_every_process():
    """Python hashes strings anew in each process: nothing random may follow the order of a set."""
    code = (
        "import hashlib, auto_lora; from pathlib import Path; from auto_lora.dialogues import SyntheticDataGenerator as G;"
        "tools = auto_lora.load_tools(Path(auto_lora.__file__).parent / 'demo' / 'tools.json');"
        "made = G(tools, auto_lora.TrainingConfig()).generate(250, 'train');"
        "print(hashlib.sha256(repr([c.to_json() for c in made]).encode()).hexdigest())"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in "12"
    }
    assert len(told) == 1


def test_rejects_are_counted_and_avoided_prompts_do_not_return(demo_tools):
    generator = SyntheticDataGenerator(demo_tools, TrainingConfig())
    first = generator.generate(300, "train")
    second = generator.generate(200, "train", seed=7, avoid=first)
    assert not {normal_text(c.prompt) for c in first} & {normal_text(c.prompt) for c in second}
    assert generator.rejects and all(n > 0 for n in generator.rejects.values())


def test_focus_asks_for_more_of_a_tool(demo_tools):
    generator = SyntheticDataGenerator(demo_tools, TrainingConfig())
    focused = generator.generate(80, "train", shares={"single": 1.0}, focus=Focus(tools={"set_timer": 20.0}))
    assert sum(c.scored_turns()[0].expected[0].name == "set_timer" for c in focused) > 40


def test_what_tools_cannot_do_is_given_to_other_categories():
    generator = SyntheticDataGenerator(
        [ToolDefinition("list_tasks", "List all open tasks.")], TrainingConfig()
    )
    assert set(generator.plan(100)) == {"single", "no_call"} and sum(generator.plan(100).values()) == 100


def test_shares_are_kept(demo_tools):
    plan = SyntheticDataGenerator(demo_tools, TrainingConfig()).plan(1000)
    assert plan == {
        "single": 380,
        "parallel": 120,
        "chain": 80,
        "optional": 220,
        "no_call": 150,
        "missing_argument": 50,
    }


def test_links_need_something_looked_up(demo_tools):
    assert find_links(demo_tools) == [("find_contact", "contact_id", "send_message", "contact_id")]


ODD = [
    ToolDefinition("ping", "Ping."),
    ToolDefinition("createInvoice", "Create an invoice", {
        "type": "object",
        "properties": {
            "customer": {"$ref": "#/$defs/person"},
            "lines": {"type": "array", "minItems": 1, "maxItems": 2, "items": {"type": "object", "properties": {"product": {"type": "string"}, "price": {"type": "number", "exclusiveMinimum": 0}}, "required": ["product", "price"]}},
            "due": {"anyOf": [{"type": "string", "format": "date"}, {"type": "null"}]},
            "code": {"type": "string", "pattern": "^INV-[A-Z]{2}\\d{4}(-x|-y)?$"},
            "paid": {"type": "boolean"},
        },
        "required": ["customer", "lines", "code"],
        "$defs": {"person": {"type": "object", "properties": {"name": {"type": "string"}, "email": {"type": "string", "format": "email"}}, "required": ["name"]}},
    }),
    ToolDefinition("fn", "x", {"a": {"type": "integer", "multipleOf": 7, "maximum": -7}, "b": {"type": "string", "minLength": 12, "maxLength": 14}, "c": {"const": 5}, "d": {"enum": [1, None, "z"]}}),
]  # fmt: skip


@pytest.mark.parametrize(
    "tools",
    [
        ODD,
        ODD[:1],
        ODD[1:2],
        [
            ToolDefinition(f"get_item_{i}", f"Get item {i} of the list", {"id": {"type": "string"}})
            for i in range(30)
        ],
    ],
)
def test_odd_tool_lists_work(tools):
    for split in SPLITS:
        made = make(tools, 30, split)
        assert made and all(c.messages for c in made)


@given(st.sampled_from(ODD), st.integers(0, 10**6), st.sampled_from(SPLITS))
@settings(max_examples=60, deadline=None)
def test_sampled_values_fit_their_schema(tool, seed, split):
    sampler = Sampler(seed, split)
    for name, schema in tool.properties.items():
        value = sampler.sample(name, schema, tool.parameters)
        Draft202012Validator({**schema, "$defs": tool.parameters.get("$defs", {})}).validate(value.json)


@given(st.integers(-50, 50), st.integers(0, 60), st.sampled_from(["integer", "number"]), st.integers(0, 999))
@settings(max_examples=80, deadline=None)
def test_numbers_stay_in_range(low, width, kind, seed):
    schema = {"type": kind, "minimum": low, "maximum": low + width}
    for name in ("temperature", "count", "brightness", "x"):
        Draft202012Validator(schema).validate(Sampler(seed, "train").sample(name, schema).json)


@given(
    st.sampled_from(
        [r"^[A-Z]{3}-\d{2,4}$", r"(foo|bar)+_\w*", r"^\+?[0-9 ]{5,9}$", r"[^abc]x?", r"^v\d+\.\d+(\.\d+)?$"]
    ),
    st.integers(0, 999),
)
@settings(deadline=None)
def test_patterns_are_matched(pattern, seed):
    import re

    assert re.search(pattern, from_pattern(pattern, random.Random(seed)))


def test_times_are_said_so_that_they_can_be_read_back():
    assert "half past seven in the evening" in time_surfaces(
        19, 30
    ) and "quarter to eight in the morning" in time_surfaces(7, 45)
    assert "12:30 am" in time_surfaces(0, 30) and "12 pm" in time_surfaces(12, 0)


def test_tools_and_parameters_are_understood():
    assert (
        act_of("set_light", "Switch lights") == ("set", "set")
        and act_of("calculator", "Evaluate it")[1] == "calculate"
    )
    assert objects_of("get_weather", "Get the weather forecast for a city.") == (
        "the weather forecast",
        "the weather",
    )
    assert (
        role_of("query", "SQL statement", "string") == "sql"
        and role_of("timeRange", "Time or date, in the words of the user.", "string") == "when"
    )
    assert role_of("to_city", "", "string") == "destination" and role_of("n", "", "integer") == "number"
    assert role_of("business_name", "Restaurant.", "string") == "org"
    assert topic_of(ToolDefinition("get_weather", "Get the weather at a place.")).name == "weather"
    assert topic_of(ToolDefinition("frobnicate", "Does something to things.")) is None


def test_descriptions_that_list_values_are_read():
    assert described_values("Kind of thing: song, track, album.") == ("song", "track", "album")
    assert described_values("The colour, such as red or blue") == ("red", "blue")
    assert described_values("The name of the city.") == ()


def test_every_act_and_topic_has_frames_of_its_own_in_each_split():
    book = {act: {s: act_frames(act, s) for s in SPLITS} for act in phrases("acts")}
    book |= {topic.name: dict(topic.frames) for topic in topics()}
    known = set(phrases("roles")) | {
        "object",
        "verb",
        "main",
        "given",
        "tail",
        "state",
        "action",
        "condition",
        "settings",
    }
    known |= set(phrases("inventories")) | set(Pools(random.Random(0))._makers)
    for name, frames in book.items():
        parts = [{f.name for f in frames[s]} for s in SPLITS]
        assert all(len(p) >= 2 for p in parts) and len(set.union(*parts)) == sum(map(len, parts)), name
        for frame in (f for s in SPLITS for f in frames[s]):
            assert frame.named <= known, (name, frame.text)
    assert all(share_out(list("abcdefghij"), s) for s in SPLITS)


def test_every_role_makes_words_and_has_tails():
    pools = Pools(random.Random(0))
    for role, entry in phrases("roles").items():
        assert pools.make(entry.get("role", role)).strip()
        assert all("{v}" in tail for tail in tails_of(role)), role


def test_a_frame_is_filled_by_what_is_given():
    frame = parse("[hey] (play|put on) {song} [by {artist} [in {room}]]")
    assert frame.needed == {"song"} and frame.named == {"song", "artist", "room"}
    words = {"song": "A", "artist": "B"}.get
    made = {
        fill(frame, {"song", "artist"}.__contains__, lambda s: words(s.role), random.Random(i))
        for i in range(40)
    }
    assert made == {f"{h} {v} A by B " for h in ("hey", "") for v in ("play", "put on")}
    assert fill(frame, set().__contains__, lambda s: None, random.Random(0)) is None


@given(st.text("ab [](){}|+", max_size=20))
def test_a_line_is_a_frame_or_says_what_is_wrong(text):
    try:
        parse(text)
    except ValueError as error:
        assert repr(text) in str(error)


def test_a_time_zone_keeps_its_form_and_people_name_its_city():
    zone = {"timezone": {"type": "string", "description": "IANA timezone name"}}
    tool = ToolDefinition("get_current_time", "Get the current time in a time zone.", {"type": "object", "properties": zone, "required": ["timezone"]})  # fmt: skip
    made = SyntheticDataGenerator([tool], TrainingConfig()).generate(60, "train", shares={"single": 1.0})
    zones = [(c.prompt, t.expected[0].arguments["timezone"]) for c in made for t in c.scored_turns()]
    assert all(re.fullmatch(r"[A-Z][\w+-]+(/[\w+-]+)*", z) and "/" in z for _, z in zones)
    assert any(z not in p and z.rpartition("/")[2].lower() in p for p, z in zones)  # typed in small letters


def test_coordinates_in_strings_are_numbers():
    both = {name: {"type": "string"} for name in ("latitude", "longitude")}
    tool = ToolDefinition("get_elevation", "Get the elevation of a place.", {"type": "object", "properties": both, "required": list(both)})  # fmt: skip
    for c in SyntheticDataGenerator([tool], TrainingConfig()).generate(20, "train", shares={"single": 1.0}):
        for value in c.scored_turns()[0].expected[0].arguments.values():
            assert -180 <= float(value) <= 180 and value in c.prompt


def test_a_parameter_of_any_type_at_all_is_written_too():
    parameters = {"type": "object", "properties": {"start": True, "end": {}, "x": {"type": ["integer", "null"]}}, "required": ["start", "end"]}  # fmt: skip
    made = SyntheticDataGenerator(
        [ToolDefinition("f", "Do f.", parameters)], TrainingConfig(seed=1)
    ).training(30)
    assert len(made) == 30


def _conversations(tool, count=200):
    return SyntheticDataGenerator([tool], TrainingConfig(seed=3)).generate(
        count, "train", shares={"single": 1.0}
    )


def test_settings_are_named_without_the_tool_that_sets_them():
    parts = {
        "fan": {"type": "string", "enum": ["LOW", "HIGH"]},
        "heat": {"type": "boolean"},
        "level": {"type": "integer"},
    }
    body = {"type": "object", "properties": parts}
    tool = ToolDefinition("send_settings", "Send a command to the heater.", {"type": "object", "properties": {"body": body}, "required": ["body"]})  # fmt: skip
    prompts = [c.prompt.lower() for c in _conversations(tool)]
    assert sum("command" not in p and "send" not in p for p in prompts) > 25
    person = {"type": "object", "properties": {"name": {"type": "string"}}}
    other = ToolDefinition("create_user", "Create a user.", {"type": "object", "properties": {"user": person}, "required": ["user"]})  # fmt: skip
    assert not [c for c in _conversations(other, 60) if "settings/" in c.meta["shape"]]


def test_what_is_written_on_a_list_of_tasks_is_something_to_do():
    tasks = ToolDefinition("add_task", "Add a task to the list.", {"type": "object", "properties": {"content": {"type": "string", "description": "Content of the task."}}, "required": ["content"]})  # fmt: skip
    said = {c.scored_turns()[0].expected[0].arguments["content"] for c in _conversations(tasks)}
    doing = (
        "buy call pick go fix clean water learn order send write finish visit cook make read watch".split()
    )
    assert sum(text.split()[0].lower() in doing for text in said) > 0.5 * len(said) and len(said) > 100


def test_commands_are_put_together_not_drawn_from_a_list():
    shell = ToolDefinition("run_command", "Run a shell command.", {"type": "object", "properties": {"command": {"type": "string", "description": "The command line."}}, "required": ["command"]})  # fmt: skip
    said = {c.scored_turns()[0].expected[0].arguments["command"] for c in _conversations(shell)}
    assert len(said) > 150


def test_more_than_one_of_a_thing_is_in_the_plural():
    lists = {
        "items": {"type": "array", "items": {"type": "string"}},
        "quantities": {"type": "array", "items": {"type": "integer"}},
    }
    order = ToolDefinition("order_food", "Order food from a restaurant.", {"type": "object", "properties": lists, "required": list(lists)})  # fmt: skip
    counted = [
        (item, count)
        for c in _conversations(order)
        for call in c.scored_turns()[0].expected
        for item, count in zip(call.arguments["items"], call.arguments["quantities"], strict=True)
    ]
    assert {count > 1 for item, count in counted if item.endswith("soups")} == {True}
    assert {count == 1 for item, count in counted if item.endswith("soup")} == {True}


def test_a_tool_is_asked_for_with_its_own_verb():
    lock = ToolDefinition(
        "lock_screen", "Lock the screen of the computer.", {"type": "object", "properties": {}}
    )
    prompts = {c.prompt.lower() for c in _conversations(lock, 60)}
    assert sum("lock the screen" in p for p in prompts) > 0.3 * len(prompts)
    heater = ToolDefinition("turn_off_heater", "Turn off the heater.", {"type": "object", "properties": {}})
    assert not [c.prompt for c in _conversations(heater, 60) if "turn the heater" in c.prompt.lower()]


_PLAY = {
    "kind": {"type": "string", "description": "Kind of thing: song, track, album, artist."},
    "artist": {"type": "string"}, "song": {"type": "string"},
}  # fmt: skip


def test_a_kind_that_the_definition_names_is_an_argument_where_it_is_said():
    """ "Play a song by Abba" gives kind: song, where songs are among the kinds that the tool's definition names."""
    kinds = {"music_item": _PLAY["kind"], "artist": _PLAY["artist"], "track": _PLAY["song"]}
    play = ToolDefinition("play_music", "Play music.", {"type": "object", "properties": kinds})
    said, beside, kinds_given = 0, 0, []
    for c in _conversations(play, 300):
        given = c.scored_turns()[0].expected[0].arguments
        words = re.findall(r"\b(?:a|an|the|this|that) (song|track|album)\b", c.prompt.lower())
        said += bool(words)
        if "music_item" in given:
            assert given["music_item"] in c.prompt.lower()
            kinds_given.append(given["music_item"])
        if words and len(set(words)) == 1:
            assert given.get("music_item") == words[0], c.prompt
        if "track" in given and "music_item" in given:
            beside += 1
            assert given["music_item"] != "album", c.prompt
    assert said > 20 and beside > 15
    named = [kind in ("song", "track", "album", "artist") for kind in kinds_given]
    assert sum(named) > 0.85 * len(named)


def _tool(name, description, **properties):
    return ToolDefinition(
        name, description, {"type": "object", "properties": properties, "required": list(properties)}
    )


def _said(conversations):
    return [(c.prompt.lower(), x.arguments) for c in conversations for t in c.turns() for x in t.expected]


@pytest.mark.parametrize(
    "description", ["Turn on/off the light in a room.", "Turn on (true) or off (false) a light."]
)
def test_what_an_argument_switches_is_not_said_by_the_verb(description):
    light = _tool("turn_light", description, room={"type": "string"}, on={"type": "boolean"})
    assert not [
        p for p, called in _said(_conversations(light, 60)) if "turn on the" in p and not called["on"]
    ]


def test_two_ends_are_never_one_place():
    cities = {"type": "string", "enum": ["Rome", "Oslo", "Lima", "Kyiv"]}
    book = _tool("book_flight", "Book a flight.", origin=cities, destination=cities)
    made = SyntheticDataGenerator([book], TrainingConfig(seed=5)).generate(
        60, "train", shares={"parallel": 1.0}
    )
    assert not [p for p, called in _said(made) if called["origin"] == called["destination"]]


def test_settings_of_two_devices_name_theirs():
    body = {
        "type": "object",
        "properties": {"speed": {"type": "string", "enum": ["low", "high"]}, "power": {"type": "boolean"}},
    }
    tools = [_tool(f"set_{d}", f"Change the {d} settings.", settings=body) for d in ("fan", "heater")]
    made = SyntheticDataGenerator(tools, TrainingConfig(seed=5)).generate(60, "train", shares={"single": 1.0})
    assert all(("fan" in c.prompt.lower()) != ("heater" in c.prompt.lower()) for c in made)
    assert all(called["settings"] for _, called in _said(made))


def test_kinds_are_arguments_however_their_enum_is_spelled():
    kind = {"type": "string", "enum": ["Song", "Album", ""]}
    play = ToolDefinition("play_music", "Play music.", {"type": "object", "properties": {"artist": {"type": "string"}, "kind": kind}, "required": ["artist"]})  # fmt: skip
    for prompt, called in _said(_conversations(play, 120)):
        if re.search(r"\b(?:a|an|the|this) song\b", prompt):
            assert called.get("kind") == "Song", prompt
