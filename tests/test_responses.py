"""Simulated results of tools: fitting, or the tool is trained without them."""

from __future__ import annotations

from collections import Counter

import pytest

from auto_lora._settings import TrainingConfig
from auto_lora.catalog import ToolDefinition
from auto_lora.dialogues import SyntheticDataGenerator
from auto_lora.dialogues.respond import can_be_simulated

ADDRESS = {"address": {"type": "string", "description": "Street address."}}
UNIT = {"unit": {"type": "string", "enum": ["metric", "imperial"]}}
PAIR = {
    "type": "array",
    "prefixItems": [{"type": "number"}, {"type": "number"}],
    "minItems": 2,
    "maxItems": 2,
}
TREE = {
    "$defs": {
        "N": {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "children": {"type": "array", "items": {"$ref": "#/$defs/N"}},
            },
        }
    },
    "$ref": "#/$defs/N",
}
LIST = {
    "type": "object",
    "properties": {"next": {"$ref": "#"}, "value": {"type": "integer"}},
    "required": ["next"],
}


def lookup(returns, properties=ADDRESS, name="find_address"):
    return ToolDefinition(name, "Finds an address.", {"type": "object", "properties": properties}, returns)


@pytest.mark.parametrize(
    ("returns", "fits"),
    [
        (None, True),
        ({"type": "object", "properties": {"zip": {"type": "string"}}, "required": ["zip"]}, True),
        (TREE, True),
        ({"type": "object", "required": ["zip"]}, False),
        (LIST, False),
        ({"$ref": "#"}, False),
        ({"$ref": "#/$defs/Nowhere"}, False),
        ({"const": False, "type": "boolean"}, False),
    ],
)
def test_whether_results_can_be_made_up(returns, fits):
    assert can_be_simulated(lookup(returns)) is fits


@pytest.mark.parametrize(
    "returns", [PAIR, LIST, {"type": "object", "required": ["zip"]}, True, {"properties": {"zip": True}}]
)
def test_a_tool_is_called_whatever_it_returns(returns):
    tools = [
        lookup(returns, name="geocode"),
        lookup({"type": "object", "properties": {"zip": {"type": "string"}}}),
    ]
    generator = SyntheticDataGenerator(tools, TrainingConfig())
    called = Counter(
        c["function"]["name"]
        for made in generator.generate(40, "train")
        for m in made.messages
        for c in m.get("tool_calls") or ()
    )
    assert min(called["geocode"], called["find_address"]) > 8
    assert "a response does not fit returns" not in generator.rejects
    told = [n for n in generator.notes if "geocode" in n]
    assert bool(told) is not can_be_simulated(tools[0]) and all("answered with ok" in n for n in told)


def test_a_result_that_repeats_an_argument_may_be_defined_elsewhere():
    returns = {
        "$defs": {"Unit": UNIT["unit"]},
        "type": "object",
        "properties": {"unit": {"$ref": "#/$defs/Unit"}},
    }
    made = SyntheticDataGenerator([lookup(returns, UNIT)], TrainingConfig()).generate(20, "train")
    assert len(made) == 20


def test_a_missing_value_of_an_enum_that_is_defined_elsewhere_is_not_said():
    kind = {"type": "string", "enum": ["coffee", "tea", "water"], "description": "Kind of drink."}
    for properties in ({"drink": kind}, {"drink": {"$ref": "#/$defs/Drink"}}):
        parameters = {
            "$defs": {"Drink": kind},
            "type": "object",
            "properties": properties,
            "required": ["drink"],
        }
        tool = ToolDefinition("order_drink", "Orders a drink.", parameters)
        made = SyntheticDataGenerator([tool], TrainingConfig()).generate(
            30, "train", shares={"missing_argument": 1.0}
        )
        assert made and not [c.prompt for c in made if any(d in c.prompt.lower() for d in kind["enum"])]
