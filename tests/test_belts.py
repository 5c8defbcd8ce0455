"""The tool lists in `examples/belts/`, and the cases beside them, are what the benchmark takes them for."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from auto_lora._toolcall import normal_text
from auto_lora.catalog import load_tools

FOLDER = Path(__file__).parents[1] / "examples" / "belts"
BELTS = sorted(p.parent.name for p in FOLDER.glob("*/tools.json"))


def cases(belt: str) -> list[dict]:
    lines = (FOLDER / belt / "cases.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_there_are_four_belts_and_the_readme_lists_them():
    assert len(BELTS) == 4
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert all(f"`{belt}`" in readme for belt in BELTS)


@pytest.mark.parametrize("belt", BELTS)
def test_a_belt_is_what_users_bring(belt):
    tools = load_tools(FOLDER / belt / "tools.json")
    assert 6 <= len(tools) <= 10 and all(t.returns for t in tools)
    assert any(len(t.properties) > len(t.required) for t in tools)


@pytest.mark.parametrize("belt", BELTS)
def test_forty_cases_of_the_agreed_kinds(belt):
    kinds = Counter(c["category"] for c in cases(belt))
    assert kinds["single"] + kinds["optional"] == 26 and kinds["optional"] >= 5
    assert {k: kinds[k] for k in ("parallel", "no_call", "near_miss", "missing_argument")} == {
        "parallel": 4, "no_call": 4, "near_miss": 4, "missing_argument": 2,
    }  # fmt: skip
    assert len({c["id"] for c in cases(belt)}) == kinds.total() == 40


@pytest.mark.parametrize("belt", BELTS)
def test_every_tool_is_asked_for_and_every_accepted_value_fits_its_schema(belt):
    tools = {t.name: t for t in load_tools(FOLDER / belt / "tools.json")}
    asked = set()
    for case in cases(belt):
        for call in case["expected"]:
            asked.add(call["name"])
            tool = tools[call["name"]]
            first = {k: v[0] for k, v in call["arguments"].items()}
            check = Draft202012Validator(
                {**tool.parameters, "additionalProperties": False},
                format_checker=Draft202012Validator.FORMAT_CHECKER,
            )
            check.validate(first)
            for name, values in call["arguments"].items():
                for value in values:
                    check.validate({**first, name: value})
            assert set(call["optional"]).isdisjoint(tool.required), case["id"]
    assert asked == tools.keys()


@pytest.mark.parametrize("belt", BELTS)
def test_the_kind_of_a_case_is_that_of_its_calls(belt):
    tools = {t.name: t for t in load_tools(FOLDER / belt / "tools.json")}
    for case in cases(belt):
        calls, kind = case["expected"], case["category"]
        assert len(calls) >= 2 if kind == "parallel" else len(calls) == (kind in ("single", "optional"))
        if kind in ("single", "optional"):
            (call,) = calls
            said = call["arguments"].keys() - set(tools[call["name"]].required)
            assert bool(said) == (kind == "optional") or set(call["optional"]) >= said, case["id"]
        assert case["messages"][-1]["role"] in ("user", "tool")


def test_no_prompt_comes_twice():
    said = [
        normal_text(json.dumps([m["content"] for m in c["messages"]])) for belt in BELTS for c in cases(belt)
    ]
    assert len(set(said)) == len(said) == 160
