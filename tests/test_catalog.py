"""Tools in: formats and errors."""

from __future__ import annotations

import json
import math

import pytest

from auto_lora._errors import ToolsError
from auto_lora.catalog import ToolDefinition, load_tools, parse_tools
from auto_lora.catalog.lint import lint

GOOD = {
    "name": "a",
    "description": "Do a.",
    "parameters": {
        "type": "object",
        "properties": {"x": {"type": "string"}, "y": {"type": "integer"}},
        "required": ["y"],
    },
}


def test_formats_people_have():
    bare, openai = parse_tools([GOOD]), parse_tools({"tools": [{"type": "function", "function": GOOD}]})
    assert bare == openai and bare[0].to_openai()["function"] == GOOD


@pytest.mark.parametrize("key", ["parameters", "input_schema", "inputSchema", "args_schema"])
def test_the_schema_of_arguments_by_any_of_its_names(key):
    entry = {"name": "a", "description": "Do a.", key: GOOD["parameters"], "outputSchema": {}}
    assert parse_tools([entry]) == parse_tools([{"function": entry}]) == [ToolDefinition(**GOOD)]
    if key != "parameters":
        assert parse_tools([{**entry, "parameters": None}]) == [ToolDefinition(**GOOD)]
        assert parse_tools([{**entry, "parameters": {}}])[0].properties == {}


def test_a_tool_without_arguments():
    for more in ({}, {"parameters": None}, {"output_schema": {}, "strict": True, "annotations": {}}):
        assert parse_tools([{"name": "a", "description": "Do a.", **more}])[0].properties == {}


def test_arguments_in_schema_order_required_first():
    tool = ToolDefinition(**GOOD)
    assert list(tool.properties) == ["y", "x"]
    assert list(tool.order_arguments({"x": "b", "y": 1})) == ["y", "x"]


def test_bare_properties_become_a_schema():
    tool = ToolDefinition("f", "Do f.", {"query": {"type": "string"}})
    assert tool.required == ("query",) and tool.parameters["type"] == "object"


@pytest.mark.parametrize(
    "keywords",
    [
        {"$schema": "http://json-schema.org/draft-07/schema#"},
        {"additionalProperties": False},
        {"title": "H", "description": "No arguments.", "required": []},
    ],
)
def test_keywords_alone_are_an_object_without_arguments(keywords):
    tool = ToolDefinition("f", "Do f.", keywords)
    assert tool.properties == {} and tool.parameters == {"type": "object", "properties": {}, **keywords}
    beside = ToolDefinition("f", "Do f.", {"title": {"type": "string"}, **{"additionalProperties": False}})
    assert list(beside.properties) == ["title"] and beside.parameters["additionalProperties"] is False


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "is not JSON"),
        ("[]", "holds no list of tools"),
        ('{"a": 1}', "holds no list of tools"),
        (json.dumps([GOOD, GOOD]), 'tools 1 and 2 are both named "a"'),
        (json.dumps([GOOD, {**GOOD, "name": "b"}, {**GOOD, "name": "c", "parameters": {"type": "object", "properties": {"x": {"type": "strin"}}}}]), "tool 3.*parameters.properties.x"),
        (json.dumps([{**GOOD, "name": "no spaces"}]), "tool 1.*not a tool name"),
        (json.dumps([{**GOOD, "description": ""}]), "no description"),
        (json.dumps([{**GOOD, "parameters": {"type": "array"}}]), "parameters.type"),
        (json.dumps([{**GOOD, "parameters": {"type": "object", "required": ["z"]}}]), "'z', which is not a property"),
        (json.dumps([{"name": "a", "description": "Do a.", "paramaters": {}}]), "tool 1: 'paramaters' is no key of a tool"),
        (json.dumps([{"name": "a", "description": "Do a.", "input-schema": {}}]), "tool 1: 'input-schema' is no key"),
        (json.dumps([{**GOOD, "parameters": True}]), 'tool 1: "a": parameters are True'),
        (json.dumps([{**GOOD, "parameters": []}]), r'tool 1: "a": parameters are \[\]'),
        (json.dumps([{**GOOD, "parameters": "x"}]), "tool 1: \"a\": parameters are 'x'"),
        (json.dumps([{**GOOD, "returns": {"default": math.nan}}]), "holds nan, which JSON has no word for"),
        (json.dumps([GOOD])[:-1] + ", 1e999]", "holds inf, which"),
        (json.dumps([{**GOOD, "description": "Bad \ud800."}]), "holds half a character"),
        (json.dumps([{**GOOD, "\udfff": ""}]), "holds half a character"),
        ("[" * 5000 + "]" * 5000, "is nested more than 50 deep"),
        ("[" * 60 + "]" * 60, "is nested more than 50 deep"),
        ("[3]", "tool 1 is not an object"),
    ],
)  # fmt: skip
def test_errors_name_the_place(tmp_path, content, said):
    file = tmp_path / "tools.json"
    file.write_text(content)
    with pytest.raises(ToolsError, match=said) as caught:
        load_tools(file)
    assert caught.value.hint and caught.value.exit_code == 2


def test_a_byte_order_mark_is_no_part_of_it(tmp_path):
    file = tmp_path / "tools.json"
    file.write_text(json.dumps([GOOD]), encoding="utf-8-sig")
    assert load_tools(file) == [ToolDefinition(**GOOD)]


def test_nests_that_tools_have_are_taken(tmp_path):
    schema: dict = {"type": "string"}
    for _ in range(15):
        schema = {"type": "object", "properties": {"x": schema}}
    file = tmp_path / "tools.json"
    file.write_text(json.dumps([{**GOOD, "parameters": schema}]))
    assert lint(load_tools(file)) == []


def test_no_such_file(tmp_path):
    with pytest.raises(ToolsError, match="does not exist"):
        load_tools(tmp_path / "none.json")
