"""Hard cases: foreign tools in the list, names that mean nothing, requests beside what the tools do."""

from __future__ import annotations

import json
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auto_lora._settings import CATEGORIES, TrainingConfig
from auto_lora._toolcall import ToolCall
from auto_lora.catalog import ToolDefinition
from auto_lora.dialogues import SyntheticDataGenerator, vary
from auto_lora.dialogues.definitions.phrasebook import SPLITS, phrases, stem, words_of
from auto_lora.dialogues.definitions.topics import topic_of, topics
from auto_lora.dialogues.variants import Names, distractors_for, masking, rename
from auto_lora.dialogues.verify import check_conversation
from auto_lora.dialogues.wording.near import fitting_distractors, kindred, near, near_misses, topic_of_shape


@pytest.fixture(scope="module")
def train(demo_tools):
    return SyntheticDataGenerator(demo_tools, TrainingConfig()).generate(120, "train")


def tool(name, description, **parameters):
    return ToolDefinition(name, description, {k: {"type": "string"} for k in parameters})


def definitions(conversation):
    return [
        ToolDefinition(f["name"], f["description"], f["parameters"])
        for f in (e["function"] for e in conversation.tools)
    ]


def inverse(names):
    return {n.tool: Names(old, {v: k for k, v in n.parameters.items()}) for old, n in names.items()}


def undescribed(entries):
    """Tools without parameter descriptions: masking writes some where there are none."""
    entries = json.loads(json.dumps(entries))
    for entry in entries:
        for schema in entry["function"]["parameters"]["properties"].values():
            schema.pop("description", None)
    return entries


SCHEMAS = st.sampled_from(
    [
        {"type": "string"},
        {"type": "integer", "minimum": 0, "description": "How many"},
        {"type": "string", "enum": ["on", "off"]},
        {"type": "array", "items": {"type": "string"}},
        {"type": "object", "properties": {"arg_1": {"type": "string"}}, "required": ["arg_1"]},
    ]
)
NAMES = st.from_regex(r"(func|arg|[a-z]{2,6})_[a-z0-9]{1,4}", fullmatch=True)


@st.composite
def tool_lists(draw):
    """Tools with names that may look like masks themselves."""
    made = []
    for name in draw(st.lists(NAMES, min_size=1, max_size=4, unique=True)):
        properties = draw(st.dictionaries(NAMES, SCHEMAS, max_size=4))
        required = [k for k in properties if draw(st.booleans())]
        made.append(
            ToolDefinition(
                name, "Does it.", {"type": "object", "properties": properties, "required": required}
            )
        )
    return made


@settings(max_examples=8, deadline=None)
@given(tool_lists(), st.integers(0, 2**31))
def test_unmasked_is_the_original_and_masked_calls_fit_masked_tools(tools, seed):
    generator = SyntheticDataGenerator(tools, TrainingConfig())
    for original in generator.generate(3, "train", seed=seed):
        names = masking(tools, random.Random(seed))
        masked = rename(original, names)
        assert not check_conversation(masked, {t.name: t for t in definitions(masked)})
        back = rename(masked, inverse(names))
        assert back.messages == original.messages
        assert undescribed(back.tools) == undescribed(original.tools)
        known = {n.tool for n in names.values()}
        assert all(c.name in known for t in masked.turns() for c in t.expected)
        assert [t.name for t in definitions(masked)] == [names[t.name].tool for t in tools]


def test_masked_calls_are_the_same_calls_in_schema_order(train, demo_tools):
    names = masking(demo_tools, random.Random(3))
    for original in train:
        masked = rename(original, names)
        by_name = {t.name: t for t in definitions(masked)}
        for before, after in zip(original.turns(), masked.turns(), strict=True):
            for a, b in zip(before.expected, after.expected, strict=True):
                new = names[a.name]
                assert b == ToolCall(new.tool, {new.parameters[k]: v for k, v in a.arguments.items()})
                assert list(b.arguments) == list(by_name[b.name].order_arguments(b.arguments))
        results = [(m["content"], m["tool_call_id"]) for m in original.messages if m["role"] == "tool"]
        assert results == [(m["content"], m["tool_call_id"]) for m in masked.messages if m["role"] == "tool"]


def test_a_masked_tool_tells_no_name_and_keeps_what_describes_it(demo_tools, train):
    masked = rename(train[0], masking(demo_tools, random.Random(1)))
    text = json.dumps(masked.tools)
    for original, hidden in zip(demo_tools, definitions(masked), strict=True):
        assert f'"{original.name}"' not in text and original.description == hidden.description
        assert all(s.get("description") for s in hidden.properties.values())


def test_parameters_that_a_schema_names_elsewhere_keep_their_names():
    bound = ToolDefinition(
        "pay",
        "Pay a bill.",
        {
            "type": "object",
            "properties": {"card": {"type": "string"}, "pin": {"type": "string"}},
            "dependentRequired": {"card": ["pin"]},
        },
    )
    names = masking([bound], random.Random(0))
    assert names["pay"].tool == "func_1" and names["pay"].parameters == {"card": "card", "pin": "pin"}


def varied(conversations, tools, seed=1, **options):
    config = TrainingConfig(batch_size=5, gradient_accumulation_steps=2, closing_share=1.0, **options)
    return vary(conversations, tools, config, seed)


def test_nothing_is_varied_by_a_share_of_nought(train, demo_tools):
    assert varied(train, demo_tools) == train


def test_a_share_of_the_conversations_is_closed_and_the_others_end_with_their_last_call(train, demo_tools):
    varied = vary(train, demo_tools, TrainingConfig(closing_share=0.25), seed=3)
    called = [(a, b) for a, b in zip(train, varied, strict=True) if a.final_turn()]
    cut = [(a, b) for a, b in called if b.messages != a.messages]
    assert 0.6 < len(cut) / len(called) < 0.9
    for a, b in cut:
        assert b.messages == a.messages[: len(b.messages)] and b.messages[-1]["tool_calls"]
        assert [t.expected for t in b.turns()] == [t.expected for t in a.turns() if t.expected]
    assert all(a == b for a, b in zip(train, varied, strict=True) if not a.final_turn())


def test_shares_count_groups_and_each_group_is_an_optimizer_step(train, demo_tools):
    made = varied(train, demo_tools, distractor_share=0.25, masked_share=0.5)
    assert [c.id for c in made] == [c.id for c in train]
    sizes = Counter(json.dumps(c.tools) for c in made)
    del sizes[json.dumps(train[0].tools)]
    assert set(sizes.values()) == {10}
    assert sum("distractors" in c.meta for c in made) == 30
    assert sum("names" in c.meta for c in made) == 60
    assert made == varied(train, demo_tools, distractor_share=0.25, masked_share=0.5)
    assert made != varied(train, demo_tools, 2, distractor_share=0.25, masked_share=0.5)


def test_varied_conversations_verify_against_the_tools_they_show(train, demo_tools):
    orders = set()
    for conversation in varied(train, demo_tools, distractor_share=1.0, masked_share=0.5):
        shown = {t.name: t for t in definitions(conversation)}
        assert not check_conversation(conversation, shown)
        extra = conversation.meta.get("distractors", [])
        assert len(shown) == len(demo_tools) + len(extra) and (not extra or 2 <= len(extra) <= 6)
        if extra and "names" not in conversation.meta:
            orders.add(tuple(n in {t.name for t in demo_tools} for n in shown))
    assert len(orders) > 1, "the user's tools always stand in one place"


def test_conversations_with_other_tools_and_short_lists_stay(train, demo_tools):
    assert varied(train, demo_tools[:3], distractor_share=1.0) == train
    assert varied(train[:9], demo_tools, masked_share=1.0) == train[:9]


def test_a_no_call_prompt_never_stands_beside_a_distractor_that_serves_it(train, demo_tools):
    pool = {t.name: t for t, _ in fitting_distractors(demo_tools)}
    seen = 0
    for conversation in varied(train, demo_tools, distractor_share=0.6):
        extra = [pool[n] for n in conversation.meta.get("distractors", [])]
        if conversation.category != "no_call" or not extra:
            continue
        seen += 1
        topic = topic_of_shape(conversation.meta["shape"])
        assert not near(conversation.prompt, extra)
        assert topic is None or not kindred(topic, extra)
    assert seen


def test_the_pool_is_sound():
    entries = phrases("distractors")["tools"]
    made = [ToolDefinition(e["name"], e["description"], e["parameters"]) for e in entries]
    assert len({t.name for t in made}) == len(made) >= 60
    assert {e["beside"] for e in entries if "beside" in e} <= {t.name for t in topics()}
    for entry in entries:
        spoken = {stem(w) for w in words_of(f"{entry['name']} {entry['description']}")}
        assert spoken & set(map(stem, entry["does"])), f"{entry['name']}: no word tells what it does"


def test_distractors_do_nothing_that_a_tool_does():
    weather = tool("get_weather", "Get the weather forecast for a city.", city=1)
    names = {t.name: alike for t, alike in fitting_distractors([weather])}
    assert names["get_weather_alerts"] is True and names["print_document"] is False
    warns = tool("storm_info", "List severe weather warnings of a county.", county=1)
    assert "get_weather_alerts" not in {t.name for t, _ in fitting_distractors([weather, warns])}
    prints = tool("documentPrint", "Put something on paper.", file=1)
    assert "print_document" not in {t.name for t, _ in fitting_distractors([prints])}
    for seed in range(30):
        found = distractors_for([weather], random.Random(seed))
        assert 2 <= len(found) <= 6 and len({t.name for t in found}) == len(found)
        assert any(t.name.startswith("get_weather_") for t in found)


@given(st.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_every_shipped_tool_has_distractors_apart_from_itself(seed):
    rng = random.Random(seed)
    entries = rng.sample(phrases("distractors")["tools"], 5)
    tools = [ToolDefinition(e["name"], e["description"], e["parameters"]) for e in entries]
    found = {t.name for t, _ in fitting_distractors(tools)}
    assert len(found) > 6 and not found & {t.name for t in tools}


ALARM = tool("set_alarm", "Set an alarm.", time=1)


def asks(*tools):
    return {f.text for split in SPLITS for f in near_misses(tools, split)}


def test_near_misses_ask_for_what_no_tool_does():
    assert "delete my {time} alarm" in asks(ALARM)
    deletes = tool("remove_alarm", "Remove an alarm.", time=1)
    assert "delete my {time} alarm" not in asks(ALARM, deletes)
    manages = tool("alarms", "Set an alarm, or delete one.", time=1)
    assert "delete my {time} alarm" not in asks(manages)
    louder = tool("device", "Turn a speaker's volume up or down.", level=1)
    assert "make the alarm louder" in asks(ALARM) and "make the alarm louder" not in asks(ALARM, louder)
    assert not asks(ALARM, tool("web_search", "Search the web.", query=1)), "it serves nearly everything"
    assert not asks(tool("frobnicate", "Frobnicate a gadget.", gadget=1))


def test_near_misses_are_apart_by_split_and_their_topics_exist():
    book = phrases("near_misses")
    assert set(book) <= {t.name for t in topics()} and len(book) >= 30
    for name, entries in book.items():
        lines = [line for e in entries for line in e["asks"]]
        assert 6 <= len(lines) == len(set(lines)) <= 12, name
        assert all(len(e["would"]) for e in entries), name
    found = [{f.text for f in near_misses([ALARM], split)} for split in SPLITS]
    assert all(found) and not found[0] & found[1] and not found[0] & found[2] and not found[1] & found[2]


def test_about_a_tenth_of_no_calls_are_near_misses(demo_tools):
    config = TrainingConfig(category_shares={"no_call": 1.0})
    shapes = [c.meta["shape"] for c in SyntheticDataGenerator(demo_tools, config).generate(300, "train")]
    share = sum(s.startswith("near_") for s in shapes) / len(shapes)
    assert 0.04 < share < 0.2, share
    topics = [topic_of_shape(s) for s in shapes if s.startswith("near_")]
    assert all(t in map(topic_of, demo_tools) for t in topics if t)
    assert 0.2 < sum(t is None for t in topics) / len(topics) < 0.8  # other deeds on what the tools make


def test_between_a_tenth_and_a_fifth_need_no_call():
    shares = TrainingConfig().category_shares
    assert set(shares) == set(CATEGORIES)
    assert 0.1 <= round(shares["no_call"] + shares["missing_argument"], 6) <= 0.2
