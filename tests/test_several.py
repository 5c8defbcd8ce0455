"""Several calls in one breath, and arguments in sentences of their own."""

from __future__ import annotations

import random
import re
from collections import Counter

import pytest

from auto_lora._settings import TrainingConfig
from auto_lora.catalog import ToolDefinition
from auto_lora.dialogues import SyntheticDataGenerator
from auto_lora.dialogues.definitions.phrasebook import phrases
from auto_lora.dialogues.values.surfaces import Value
from auto_lora.dialogues.wording.asides import aside, has_aside
from auto_lora.dialogues.wording.clause import is_question
from auto_lora.dialogues.wording.planned import PlannedCall
from auto_lora.dialogues.wording.several import gathered, may_differ, may_follow
from auto_lora.dialogues.wording.writer import BuiltinWriter


def _tool(name, description, **properties):
    return ToolDefinition(name, description, {"type": "object", "properties": properties, "required": list(properties)})  # fmt: skip


FACTORIAL = _tool(
    "factorial", "Compute the factorial of a number.", number={"type": "integer", "minimum": 1, "maximum": 99}
)
WEATHER = _tool(
    "get_weather", "Get the weather in a city.", city={"type": "string", "description": "Name of the city."},
    date={"type": "string", "description": "The day, in the words of the user."},
)  # fmt: skip
MEAL = _tool(
    "find_table", "Find a free table.", city={"type": "string", "description": "Name of the city."},
    meal={"type": "string", "enum": ["breakfast", "lunch", "dinner", "brunch"]}, date={"type": "string", "description": "The day, in the words of the user."},
)  # fmt: skip
LIST = _tool(
    "add_to_list", "Add an item to a list.", item={"type": "string", "description": "The item to add."}
)
MESSAGE = _tool("send_message", "Send a message.", recipient={"type": "string"}, message={"type": "string"})
SUM = _tool(
    "gcd", "The greatest common divisor of two numbers.", a={"type": "integer"}, b={"type": "integer"}
)


def _call(tool, **values):
    roles = {"city": "place", "date": "date", "number": "number", "item": "item", "message": "message"}
    return PlannedCall(tool, {n: Value(v, str(v), roles.get(n, "generic")) for n, v in values.items()})


def _made(tool, category, count=300):
    return SyntheticDataGenerator([tool], TrainingConfig(seed=5)).generate(
        count, "train", shares={category: 1.0}
    )


def test_calls_that_differ_in_one_argument_are_said_together():
    calls = [_call(WEATHER, city=c, date="tomorrow") for c in ("Rome", "Oslo", "Lima")]
    together, in_turn = gathered(calls)
    assert together.values["city"].surface == "Rome, Oslo and Lima"
    assert together.values["date"].surface == "tomorrow"
    assert not in_turn


def test_calls_that_differ_in_two_arguments_are_said_together():
    """Each with each says itself; the first with the first and so on has to be said."""
    days = ("today", "tomorrow")
    every = [_call(MEAL, city=c, meal=m, date="today") for c in ("Rome", "Oslo") for m in ("lunch", "dinner")]
    together, in_turn = gathered(every)
    assert (
        together.values["city"].surface == "Rome and Oslo"
        and together.values["meal"].surface == "lunch and dinner"
    )
    assert not in_turn
    together, in_turn = gathered([every[0], every[3]])
    assert (
        together.values["city"].surface == "Rome and Oslo"
        and together.values["meal"].surface == "lunch and dinner"
    )
    assert in_turn
    assert gathered([*every[:2], every[3]]) is None
    assert gathered([every[0], _call(MEAL, city="Oslo", meal="dinner", date=days[1])]) is None


def test_respectively_pairs_the_values_in_order():
    said = 0
    for conversation in _made(MEAL, "parallel", 600):
        calls = [dict(c.arguments) for c in conversation.scored_turns()[0].expected]
        prompt = conversation.prompt.lower()
        if "respectively" not in prompt:
            continue
        differing = [n for n in calls[0] if len({str(c[n]) for c in calls}) == len(calls)]
        assert len(differing) == 2
        for name in differing:
            values = [str(c[name]).lower() for c in calls]
            if all(v in prompt for v in values):  # said as they are written
                said += 1
                assert re.search(".*".join(map(re.escape, values)), prompt)
    assert said > 20


@pytest.mark.parametrize(
    "calls",
    [
        [
            _call(MEAL, city="Rome", meal="lunch", date="today"),
            _call(MEAL, city="Oslo", meal="dinner", date="tomorrow"),
        ],
        [_call(LIST, item="milk"), _call(LIST, item="eggs")],
        [_call(MESSAGE, recipient="Ann", message="hi"), _call(MESSAGE, recipient="Ann", message="bye")],
        [_call(SUM, a=12, b=15), _call(SUM, a=12, b=18)],
        [_call(FACTORIAL, number=3), _call(LIST, item="3")],
    ],
    ids=["three differ", "one list", "own words", "which pair", "two tools"],
)
def test_other_calls_are_not(calls):
    assert gathered(calls) is None


@pytest.mark.parametrize(("tool", "argument"), [(FACTORIAL, "number"), (WEATHER, "city")])
def test_several_values_in_one_sentence_are_several_calls(tool, argument):
    """Each value is one call's, and they stand side by side in the order of the calls."""
    together = 0
    for conversation in _made(tool, "parallel"):
        calls = [dict(c.arguments) for c in conversation.scored_turns()[0].expected]
        assert 2 <= len(calls) <= 4 and len({str(c) for c in calls}) == len(calls)
        if any(c.keys() != calls[0].keys() for c in calls):
            continue
        same = all(c[n] == calls[0][n] for c in calls for n in c if n != argument)
        words = [re.escape(str(c[argument]).lower()) for c in calls]
        side_by_side = rf"{', '.join(words[:-1])} and {words[-1]}(?!\w)"
        together += same and re.search(side_by_side, conversation.prompt.lower()) is not None
    assert together > 20


def test_a_chain_of_one_tool_is_not_said_together():
    """The second call's argument comes from the first one's result: no words could be gathered."""
    tool = _tool("get_manager", "Get the manager of an employee.", employee_id={"type": "string"})
    first = _call(tool, employee_id="A-17")
    second = PlannedCall(tool, {"employee_id": Value("B-2", "", "hidden")}, frozenset({"employee_id"}))
    for seed in range(30):
        written = BuiltinWriter(random.Random(seed), "train", tools=[tool]).write([first, second], chain=True)
        assert written is not None and "+" in written.shape


def test_a_parameter_without_a_name_to_say():
    tool = ToolDefinition("go", "Go.", {"type": "object", "properties": {" ": {"type": "string"}, "n": {"type": "integer"}}})  # fmt: skip
    assert len(_made(tool, "optional", 40)) == 40
    assert not is_question("")


def test_arguments_alone_follow_a_call_of_the_same_tool_only():
    rome, oslo = _call(WEATHER, city="Rome", date="today"), _call(WEATHER, city="Oslo", date="tomorrow")
    assert may_follow(oslo, rome)
    assert not may_follow(_call(WEATHER, city="Oslo"), rome)
    assert not may_follow(_call(FACTORIAL, number=3), rome)
    assert not may_follow(_call(MESSAGE, recipient="Ann", message="a"), _call(MESSAGE, recipient="Bo", message="b"))  # fmt: skip


def test_what_may_differ():
    assert may_differ(_call(WEATHER, city="Rome", date="today"), "city")
    assert not may_differ(_call(MESSAGE, recipient="Ann", message="hi"), "recipient")
    assert not may_differ(_call(SUM, a=1, b=2), "a")


def test_an_argument_may_have_a_sentence_of_its_own():
    films = _tool(
        "find_movies", "Find movies by director and genre.", director={"type": "string"}, genre={"type": "string"}
    )  # fmt: skip
    prompts = [c.prompt for c in _made(films, "single")]
    apart = [p for p in prompts if re.search(r"(?:[.?,] |^| and )(?:it should be|i'm in the mood for|something)", p.lower())]  # fmt: skip
    assert len(apart) > 7
    assert not [p for p in prompts if re.search(r"\.\.|\?\.|\.\?", p)]


def test_own_words_stand_in_the_request():
    """Nobody could tell where "send a message to Ann saying hi. It's for Bo" ends."""
    for conversation in _made(MESSAGE, "single"):
        text = conversation.scored_turns()[0].expected[0].arguments["message"]
        rest = conversation.prompt.lower().partition(str(text).lower())[2]
        assert not re.search(r"[.?] \w", rest)


def test_no_sentence_for_what_it_would_not_fit():
    span, number = Value(35, "35 years", "duration"), Value(12, "12", "number")
    assert not has_aside("duration", "years", span, before=True)
    assert not has_aside("message", "text", Value("hi", "hi", "message"), before=False)
    assert has_aside("number", "radius", number, before=True)
    said = {
        aside(random.Random(i), "director", "directed by", Value("Ann Lee", "Ann Lee", "director"), before=False)
        for i in range(30)
    }  # fmt: skip
    assert all("Ann Lee" in s for s in said) and len(said) > 2
    leaning = aside(random.Random(1), "generic", "painted by", Value("Bo", "Bo", "generic"), before=False)
    assert "painted by Bo" in leaning


def test_a_question_is_told_by_its_last_sentence():
    assert is_question("what's the weather")
    assert is_question("I'm in Riga. What's the weather")
    assert not is_question("what's the weather? Use celsius")


def test_an_and_is_no_sign_of_a_second_request(demo_tools):
    """With ", and" before every second call and before nothing else, "and could you give it in fahrenheit" is a call more."""
    made = SyntheticDataGenerator(demo_tools, TrainingConfig(seed=4)).training(1500)
    joined = [c for c in made if re.search(r", (?:and|so) |\. (?:Also|And)\b", c.prompt)]
    calls = Counter(min(sum(len(t.expected) for t in c.scored_turns()), 2) for c in joined)
    assert len(joined) > 50 and calls[1] > 0.25 * calls[2], calls


def test_what_people_say_before_a_request_gives_no_argument():
    said = " . ".join(phrases("around")["reasons"]).lower()
    assert len(phrases("around")["reasons"]) > 90
    days = "today tonight tomorrow yesterday morning afternoon evening monday friday weekend"
    assert not set(re.findall(r"[a-z]+", said)) & {
        *days.split(),
        "kitchen",
        "bath",
        "sofa",
        "hot",
        "cold",
        "on",
        "off",
    }
    assert not re.search(r"\d", said)


def test_a_message_is_sent_to_who_was_found(demo_tools):
    made = SyntheticDataGenerator(demo_tools, TrainingConfig(seed=4)).generate(
        80, "train", shares={"chain": 1.0}
    )
    assert sum(bool(re.search(r"\bto (?:them|that)\b", c.prompt)) for c in made) > 30
    assert not [c.prompt for c in made if re.search(r"\bfor (?:them|that)\b", c.prompt)]
