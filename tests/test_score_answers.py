"""Final answers checked by rule: does one use the result, does it invent numbers."""

from __future__ import annotations

import json

import pytest

from auto_lora._conversation import Conversation
from auto_lora._toolcall import ToolCall
from auto_lora.score_answers import check_answer, check_answers


def conversation(request: str, *results, name: str = "c") -> Conversation:
    call = ToolCall("look_up", {"q": "x"}).to_message("id00000987")
    tools = [{"role": "tool", "tool_call_id": "id00000987", "content": json.dumps(r)} for r in results]
    asked = {"role": "assistant", "content": "", "tool_calls": [call]}
    closing = {"role": "assistant", "content": "Done."}
    return Conversation(name, "single", ({"role": "user", "content": request}, asked, *tools, closing), ())


BERGEN = conversation(
    "Weather in Bergen for 3 days?", {"city": "Bergen", "temperature": 9.6, "sky": "light_rain"}
)


@pytest.mark.parametrize(
    ("answer", "used", "invented"),
    [
        ("It is 9.6 degrees with light rain.", 2, []),
        ("About 10 degrees in Bergen.", 1, []),
        ("Light Rain, all 3 days.", 1, []),
        ("It is nice in Bergen.", 0, []),
        ("", 0, []),
        ("It is 27 degrees, wind 63.5.", 0, ["27", "63.5"]),
        ("It is 9.7 degrees.", 0, ["9.7"]),
        ("Lightrain.", 0, []),
        ("id 987", 0, ["987"]),
        ("1. light rain\n2. 9.6 degrees", 2, []),
    ],
)
def test_one_answer(answer, used, invented):
    check = check_answer(BERGEN, answer)
    assert check.values == (9.6, "light_rain"), "Bergen is in the request and proves nothing"
    assert len(check.used) == used and list(check.invented) == invented


@pytest.mark.parametrize(
    ("result", "answer"),
    [
        ({"balance": 1840.5}, "You have 1,840.50 EUR."),
        ({"population": 3430000}, "Some 3.43 million people."),
        ({"chance": 0.25}, "A chance of 25 %."),
        ({"at": "19:30"}, "It starts at 7:30 pm."),
        ({"change": -4}, "It fell by 4."),
        ({"rooms": ["a", "b", "c"]}, "There are 3: a, b and c."),
        ({"pair": [10, 200]}, "10 and 200"),
        ({"order": "ORD-1234"}, "Order ORD-1234 is placed."),
        ("21 degrees", "It is 21 degrees."),
    ],
)
def test_numbers_said_in_another_way_are_not_invented(result, answer):
    assert check_answer(conversation("How is it?", result), answer).invented == ()


def test_counts_have_intervals_and_empty_results_do_not_count():
    cases = [
        conversation("a", {"n": 5}, name="a"),
        conversation("b", {"n": 6, "m": 7}, name="b"),
        conversation("c", {"ok": True}, name="c"),
        conversation("unanswered", {"n": 1}, name="d"),
    ]
    found = check_answers(cases, {"a": "five", "b": "6, not 8", "c": "done"})
    assert found["asked"] == 3
    assert (found["uses_result"]["count"], found["uses_result"]["of"]) == (1, 2)
    assert (found["values_used"]["count"], found["values_used"]["of"]) == (1, 3)
    assert (found["invents_numbers"]["count"], found["invents_numbers"]["of"]) == (1, 3)
    assert found["uses_result"]["low"] < 0.5 < found["uses_result"]["high"]
