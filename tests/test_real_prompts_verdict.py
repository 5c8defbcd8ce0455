"""How `benchmarks/real_prompts.py` judges a reply."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from auto_lora._errors import ConfigError
from auto_lora._toolcall import ToolCall

FILE = Path(__file__).parents[1] / "benchmarks" / "real_prompts.py"
spec = importlib.util.spec_from_file_location("real_prompts", FILE)
bench = importlib.util.module_from_spec(spec)
spec.loader.exec_module(bench)


def expect(name="f", optional=(), **arguments):
    return {"name": name, "arguments": arguments, "optional": list(optional)}


@pytest.mark.parametrize(
    ("accepted", "got", "same"),
    [
        ("New York, NY", "new york ny", True),
        ("Oslo", "Bergen", False),
        ("+", "-", False),
        ("東京", "大阪", False),
        ("São Paulo", "sao paulo", False),
        (20, 20.0, True),
        (5, -5, False),
        (1.5, 15, False),
        (20, "20", False),
        (1, True, False),
        (True, True, True),
        (False, 0, False),
        (["Ann", "Bo"], ["ann", "bo"], True),
        (["Ann", "Bo"], ["Bo", "Ann"], False),
        ([1, 2], [1.0, 2.0], True),
        ([12], [1, 2], False),
        ([1, 2], [1], False),
        ({"a": [1], "b": "X y"}, {"b": "xy", "a": [1.0]}, True),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        (None, None, True),
        (None, "none", False),
    ],
)
def test_values(accepted, got, same):
    assert bench.agrees(accepted, got) is same


@pytest.mark.parametrize(
    ("accepted", "got", "same"),
    [
        ("New York, NY", "new york ny", True),
        ("x**2 + 3x", "x**2 - 3x", False),
        ("echo %date%", "echo date", False),
        ("it's", 'it"s', True),
        ("C++", "c", False),
    ],
)
def test_values_of_bfcl_go_by_its_own_rule(accepted, got, same):
    assert bench.agrees(accepted, got, bench.as_bfcl) is same
    assert bench.agrees([accepted], [got], bench.as_bfcl) is same


def test_a_malformed_or_cut_call_is_no_right_answer():
    rule, call = [expect(city=["Oslo"])], ToolCall("f", {"city": "Oslo"})
    assert bench.verdict(rule, [call], "")["exact"]
    broken = bench.verdict(rule, [call], "", error="truncated")
    assert not broken["exact"] and not broken["tool"] and broken["must_call"]
    silent = bench.verdict([], [], "", error="invalid_json")
    assert not silent["exact"] and not silent["no_call"]


def test_an_argument_left_out_made_up_or_optional():
    rule = [expect(city=["Oslo", "Oslo, Norway"], unit=["C"], optional=["unit"])]
    seen = {
        case: {k: v for k, v in bench.verdict(rule, [ToolCall("f", given)], "").items() if v is not None}
        for case, given in {
            "second value": {"city": "oslo norway"},
            "optional given": {"city": "Oslo", "unit": "c"},
            "optional wrong": {"city": "Oslo", "unit": "F"},
            "missing": {"unit": "C"},
            "made up": {"city": "Oslo", "day": "today"},
        }.items()
    }
    assert {k: v["exact"] for k, v in seen.items()} == {
        "second value": True, "optional given": True, "optional wrong": False, "missing": False, "made up": False,
    }  # fmt: skip
    assert {k for k, v in seen.items() if not v["left_out"]} == {"made up"}


def test_parallel_calls_in_any_order_and_by_any_accepted_value():
    rule = [expect(x=[[1, 2], [3]]), expect(x=[[3]]), expect("g")]
    calls = [ToolCall("g", {}), ToolCall("f", {"x": [3]}), ToolCall("f", {"x": [1, 2]})]
    assert bench.verdict(rule, calls, "")["exact"]
    assert bench.verdict(rule, [calls[0], calls[1], calls[1]], "")["exact"]
    assert not bench.verdict(rule, [calls[0], calls[2], calls[2]], "")["exact"]
    assert bench.verdict(rule, calls[1:], "") == {
        "tool": False, "exact": False, "left_out": None, "not_made_up": None, "must_call": True, "no_call": None, "raw": "",
    }  # fmt: skip


def test_no_call_where_none_is_due_and_none_where_one_is():
    assert bench.verdict([], [], "hello")["exact"] and bench.verdict([], [], "hello")["no_call"]
    assert not bench.verdict([], [ToolCall("f", {})], "")["exact"]
    assert not bench.verdict([expect()], [], "")["must_call"]


def test_only_the_last_answer_counts_under_teacher_forcing():
    assert bench.last_run([4, 5, 6]) == [4, 5, 6]
    assert bench.last_run([4, 5, 9, 10, 14]) == [14]


def test_an_oracle_learns_to_leave_out_what_may_be_left_out():
    from auto_lora.catalog import ToolDefinition

    tool = ToolDefinition("f", "Do.", {"city": {"type": "string"}, "unit": {"type": "string"}})
    row = {
        "id": "a", "messages": [{"role": "user", "content": "x"}],
        "expected": [expect(city=["Oslo"], unit=["C"], optional=["unit"])],
    }  # fmt: skip
    made = bench.conversation(row, (tool.to_openai(),), {"f": tool})
    assert made.messages[-1]["tool_calls"][0]["function"]["arguments"] == '{"city": "Oslo"}'


@pytest.mark.parametrize(
    ("added", "said", "kept"),
    [
        ({}, "weather in oslo", True),
        ({"day": "today"}, "weather in oslo", False),
        ({"day": "Today"}, "weather in oslo, today please", True),
        ({"day": "day"}, "weather in oslo today", False),  # a part of a word is not said
        ({"hours": 5}, "weather in oslo for 15 hours", False),
        ({"days": ["monday", "friday"]}, "oslo on friday and monday", True),
        ({"days": ["monday", "sunday"]}, "oslo on friday and monday", False),
        ({"unit": "F"}, "weather in oslo", True),  # may be given
    ],
)
def test_an_added_argument_is_made_up_where_nobody_said_its_words(added, said, kept):
    rule = [expect(city=["Oslo"], unit=["C"], optional=["unit"])]
    found = bench.verdict(rule, [ToolCall("f", {"city": "Oslo", **added})], "", said)
    assert found["not_made_up"] is kept
    assert bench.verdict(rule, [ToolCall("g", {"city": "Oslo", **added})], "", said)["not_made_up"] is None
    assert bench.verdict([], [], "", said)["not_made_up"] is None


def test_settings_of_the_command_line_go_before_the_benchmarks_own():
    found = bench.settings(["activated=true", "lora_dropout=0.2"], seed=7)
    assert (found.activated, found.lora_dropout, found.seed) == (True, 0.2, 7)
    with pytest.raises(ConfigError, match="unknown setting 'activatd'"):
        bench.settings(["activatd=true"])


def test_the_writers_own_test_is_counted_by_category():
    cases = [{"category": c} for c in ("single", "no_call", "single")]
    verdicts = [{"exact": e} for e in (True, False, False)]
    assert bench.by_category(cases, verdicts) == {"single": [1, 2], "no_call": [0, 1]}
