"""Calls parsed and compared."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auto_lora._toolcall import ToolCall, match_calls, parse_arguments, parse_reply, same_call, same_value

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | st.floats(-1e6, 1e6) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
arguments = st.dictionaries(st.text(min_size=1, max_size=8), json_values, max_size=4)
calls = st.builds(ToolCall, st.sampled_from(["a", "b", "c"]), arguments)


def wire(call: ToolCall) -> str:
    return f'<tool_call>\n{{"name": "{call.name}", "arguments": {json.dumps(call.arguments, ensure_ascii=False)}}}\n</tool_call>'


@given(
    st.lists(
        st.builds(
            ToolCall,
            st.sampled_from(["a", "b"]),
            st.dictionaries(
                st.sampled_from("xyz"), st.integers() | st.text(alphabet='aé"\n {}', max_size=9), max_size=3
            ),
        ),
        max_size=3,
    )
)
def test_parsing_gives_back_what_was_written(written):
    parsed = parse_reply("Sure. " + "\n".join(map(wire, written)))
    assert list(parsed.calls) == written and parsed.text == "Sure." and not parsed.error


def test_malformed_calls_are_data():
    assert parse_reply("<tool_call>\n{'name': 1}\n</tool_call>").error == "invalid_json"
    assert parse_reply('<tool_call>\n{"name": "a", "argum').error == "truncated"
    assert parse_reply('<tool_call>{"name": "a", "arguments": [1]}</tool_call>').error == "invalid_json"
    assert parse_reply("just words") == parse_reply(" just words ")
    assert (
        parse_arguments('{"a": 1}') == {"a": 1}
        and parse_arguments("[]") is None
        and parse_arguments("{") is None
    )


@pytest.mark.parametrize(
    "arguments",
    [
        '{"a": "\\ud83d"}',
        '{"a": NaN}',
        '{"a": 1e999}',
        '{"a": ' + "[" * 100_000,
        '{"a": 1' + "0" * 5000 + "}",
    ],
)
def test_what_no_file_takes_is_no_call(arguments):
    assert parse_arguments(arguments) is None
    raw = f'<tool_call>{{"name": "f", "arguments": {arguments}}}</tool_call>'
    assert parse_reply(raw).error == "invalid_json"


def test_whole_numbers_are_equal_to_the_last_digit():
    assert not same_value(1234567890, 1234567891) and not same_value(6.67e-11, 9e-10)
    assert same_value(0.1 + 0.2, 0.3) and same_value(4915112345678, 4915112345678.0)
    assert not same_value(1.5, 10**400)


@given(json_values)
def test_a_value_is_the_same_as_itself_and_as_its_json(value):
    assert same_value(value, json.loads(json.dumps(value)))


def test_what_counts_as_the_same_value():
    assert same_value("  New   York", "new york") and same_value(1, 1.0) and same_value([1, "A"], [1, "a"])
    assert not same_value(1, True) and not same_value(True, "true") and not same_value("2+3", "2-3")
    assert (
        not same_value([1, 2], [2, 1])
        and not same_value({"a": 1}, {"a": 1, "b": None})
        and not same_value(1, "1")
    )


@given(st.lists(calls, max_size=5), st.randoms())
def test_matching_is_one_to_one_in_any_order(expected, rng: random.Random):
    actual = list(expected)
    rng.shuffle(actual)
    pairs = match_calls(expected, actual)
    assert len(pairs) == len(expected)
    assert all(a and b and same_call(a, b) for a, b in pairs)


@given(st.lists(calls, max_size=4), st.lists(calls, max_size=4))
def test_matching_loses_nothing(expected, actual):
    pairs = match_calls(expected, actual)
    assert [a for a, _ in pairs if a is not None] == expected
    assert sorted(map(id, actual)) == sorted(id(b) for _, b in pairs if b is not None)
    assert all(a.name == b.name for a, b in pairs if a and b)


def test_the_best_pairing_wins_over_the_first():
    expected = [ToolCall("a", {"x": 1}), ToolCall("a", {"x": 1, "y": 2})]
    pairs = match_calls(expected, [ToolCall("a", {"x": 1, "y": 2}), ToolCall("a", {"x": 1})])
    assert all(a and b and same_call(a, b) for a, b in pairs)


def test_a_model_that_goes_round_in_circles_is_matched_at_once():
    few = [ToolCall("a", {"x": i}) for i in range(4)]
    pairs = match_calls(few, [ToolCall("a", {"x": i % 7}) for i in range(200)])
    assert len(pairs) == 200 and all(a and b and same_call(a, b) for a, b in pairs[:4])


def test_many_calls_are_matched_too():
    many = [ToolCall("a", {"x": i}) for i in range(12)]
    assert all(a and b and same_call(a, b) for a, b in match_calls(many, many[::-1]))
