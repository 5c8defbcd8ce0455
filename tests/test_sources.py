"""Tools from where people have them, and what llama.cpp's grammar compiler says to their schemas."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from auto_lora.__main__ import main
from auto_lora._errors import MismatchError, MissingPartError, ServerError, ToolsError
from auto_lora._settings import TrainingConfig
from auto_lora.catalog import ToolDefinition, load_tools
from auto_lora.catalog.grammar_patterns import read_pattern
from auto_lora.catalog.lint import fixed, lint
from auto_lora.catalog.show import as_json, type_of
from auto_lora.dialogues import SyntheticDataGenerator
from auto_lora.encode import hermes_template
from auto_lora.llama_server import LlamaCppClient
from auto_lora.preflight import DependencyChecker
from auto_lora.proof import grammar_gate

needs_mcp = pytest.mark.skipif(importlib.util.find_spec("mcp") is None, reason="the package mcp is missing")

MODULE = '''
from __future__ import annotations
import datetime, enum
from dataclasses import dataclass
from typing import Annotated, Literal, Optional
from pydantic import BaseModel, Field
from typing_extensions import TypedDict
from beside import UNIT

class Mode(enum.Enum):
    FAST = "fast"
    SLOW = "slow"

@dataclass
class Address:
    street: str
    zip: str | None = None
    parent: Address | None = None

class Item(TypedDict):
    title: str
    count: int

class Contact(BaseModel):
    mail: str

def get_weather(city: str, unit: Literal["C", "F"] = "C", days: Optional[int] = None) -> dict[str, float]:
    """Get the weather forecast.

    Args:
        city: Name of the
            city.
        unit (str): Scale.
    """

async def order(items: list[Item], to: Address, mode: Mode = Mode.FAST, when: datetime.date | None = None) -> bool:
    """Order things.

    Parameters
    ----------
    items : list
        What to order.
    """

def find(title: Annotated[str, Field(min_length=2)], who: Contact):
    """Find by title.

    :param title: The title.
    """

def helper(x):
    return UNIT

def _private(x: int) -> int:
    """Not a tool."""
'''  # fmt: skip


@pytest.fixture
def module(tmp_path):
    (tmp_path / "beside.py").write_text("UNIT = 1\n")

    def write(text: str) -> Path:
        path = tmp_path / "my_tools.py"
        path.write_text(text)
        return path

    return write


def test_a_python_module(module):
    before = dict(sys.modules)
    weather, order, find = load_tools(module(MODULE))
    assert weather.to_json() == {
        "name": "get_weather",
        "description": "Get the weather forecast.",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "description": "Name of the city."},
                "unit": {"type": "string", "enum": ["C", "F"], "default": "C", "description": "Scale."},
                "days": {"type": "integer"},
            },
            "required": ["city"],
        },
        "returns": {"type": "object", "additionalProperties": {"type": "number"}},
    }
    assert order.required == ("items", "to") and order.returns == {"type": "boolean"}
    assert order.properties["items"]["items"]["required"] == ["title", "count"]
    assert order.properties["items"]["items"]["properties"]["title"] == {"type": "string"}
    assert order.properties["items"]["description"] == "What to order."
    assert order.properties["to"]["properties"] == {
        "street": {"type": "string"}, "zip": {"type": "string"}, "parent": {"type": "object"},
    }  # fmt: skip
    assert order.properties["mode"] == {"type": "string", "enum": ["fast", "slow"], "default": "fast"}
    assert order.properties["when"] == {"type": "string", "format": "date"}
    assert find.properties["title"] == {"type": "string", "minLength": 2, "description": "The title."}
    assert find.properties["who"]["properties"] == {"mail": {"type": "string"}} and find.returns is None
    assert "auto_lora_tools_module" not in sys.modules and "auto_lora_tools_module" not in before
    assert not lint([weather, order, find])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def f(x):\n    'Do.'\n", "function \"f\", parameter 'x' has no annotation"),
        ("def f(*x: int):\n    'Do.'\n", "named arguments only"),
        ("def f(x: Missing):\n    'Do.'\n", "cannot be imported: NameError"),
        (
            "from __future__ import annotations\ndef f(x: Missing):\n    'Do.'\n",
            "annotation cannot be resolved",
        ),
        (
            "from __future__ import annotations\nimport datetime\ndef f(x: datetime.Day):\n    'Do.'\n",
            "annotation cannot be resolved",
        ),
        ("def f(city: 'name of the city'):\n    'Do.'\n", "annotation cannot be resolved"),
        ("import io\ndef f(x: io.StringIO):\n    'Do.'\n", "has no JSON form"),
        ("def f(:\n", "line 1 cannot be imported: SyntaxError"),
        ("raise SystemExit(3)\n", "cannot be imported: SystemExit"),
        ("x = 1\n", "holds no tools"),
        ("__all__ = ['g']\n", "__all__ names 'g'"),
        ("__all__ = ['f']\ndef f(x: int): ...\n", "has no description"),
        ("__all__ = ['f', 3]\ndef f(x: int): 'Do.'\n", "__all__ is ['f', 3], no list of names"),
        ("__all__ = 'f'\ndef f(x: int): 'Do.'\n", "__all__ is 'f', no list of names"),
        (
            "import functools\n__all__ = ['f', 'g']\ndef f(x: int): 'Do.'\ng = functools.partial(f, 1)\n",
            "'g', which is no function but of type partial",
        ),
    ],
)
def test_a_module_that_cannot_be_read(module, text, said):
    with pytest.raises(ToolsError, match=re.escape(said)) as caught:
        load_tools(module(text))
    assert caught.value.hint


def test_classes_and_constants_in_all_are_no_tools(module):
    head = "import enum\n__all__ = ['Mode', 'LIMIT', 'f']\nLIMIT = 3\nclass Mode(enum.Enum):\n    A = 'a'\n"
    (tool,) = load_tools(module(head + "def f(x: Mode):\n    'Do.'\n"))
    assert tool.name == "f" and tool.properties["x"]["enum"] == ["a"]


def test_pydantic_fields_as_defaults(module):
    text = """
from pydantic import Field
def weather(city: str = Field(description="City name"), days: int = Field(3, ge=1, le=7), tags: list[str] = Field(default_factory=list)) -> str:
    'Gets the weather.'
"""
    (tool,) = load_tools(module(text))
    assert tool.required == ("city",) and tool.properties["city"]["description"] == "City name"
    assert tool.properties["days"] == {"type": "integer", "default": 3, "minimum": 1, "maximum": 7}
    assert tool.properties["tags"] == {"type": "array", "items": {"type": "string"}}


def test_what_a_module_prints_is_kept_from_stdout(module, capsys):
    load_tools(module("print('hello')\ndef f(x: int):\n    'Do.'\n"))
    said = capsys.readouterr()
    assert said.out == "" and said.err == "hello\n"


def test_defaults_that_json_has_no_word_for_are_left_out(module):
    (tool,) = load_tools(
        module(
            "def f(x: float = float('inf'), y: list[float] = [float('nan')], z: float = 1.5):\n    'Do.'\n"
        )
    )
    assert [s.get("default") for s in tool.properties.values()] == [None, None, 1.5] and not tool.required


API = """
openapi: 3.0.3
info: {title: Pets, version: "1"}
paths:
  /pets/{petId}:
    parameters:
      - {name: petId, in: path, required: true, schema: {type: string, format: uuid}, description: Which pet}
    get:
      operationId: showPet
      summary: Show one pet
      responses: {200: {$ref: '#/components/responses/One'}}
    put:
      description: "Change a pet.\\n\\nA long story."
      requestBody: {$ref: '#/components/requestBodies/PetBody'}
      responses: {"204": {description: none}}
  /pets:
    get:
      operationId: list/pets
      parameters:
        - $ref: '#/components/parameters/Limit'
        - {name: since, in: query, schema: {type: string, enum: [2024-01-01, on, no], example: on}}
        - {name: X-Token, in: header, required: true, schema: {type: string}}
      responses: {default: {description: none}}
    post:
      operationId: createPets
      requestBody: {content: {application/json: {schema: {type: array, items: {$ref: '#/components/schemas/a~1Pet'}}}}}
      responses: {}
components:
  responses:
    One: {description: ok, content: {application/json: {schema: {$ref: '#/components/schemas/a~1Pet'}}}}
  parameters:
    Limit: {name: limit, in: query, schema: {type: integer, minimum: 0, exclusiveMinimum: true, maximum: 100}}
  requestBodies:
    PetBody: {required: true, content: {application/json: {schema: {$ref: '#/components/schemas/a~1Pet'}}}}
  schemas:
    Named: {type: object, required: [name], properties: {name: {type: string}}}
    a/Pet:
      allOf:
        - $ref: '#/components/schemas/Named'
        - type: object
          required: [id, tag]
          properties:
            id: {type: integer, readOnly: true}
            secret: {type: string, writeOnly: true}
            tag: {type: string, nullable: true}
            petId: {type: string, nullable: true, title: Nick, x-foo: 1}
            mother: {$ref: '#/components/schemas/a~1Pet'}
"""


@pytest.mark.parametrize("kind", ["yaml", "json"])
def test_an_openapi_document(tmp_path, kind):
    path = tmp_path / f"api.{kind}"
    if kind == "json":
        (tmp_path / "api.yaml").write_text(API)
        from auto_lora.catalog.sources import _read

        path.write_text(json.dumps(_read(tmp_path / "api.yaml")))
    else:
        path.write_text(API)
    show, change, listing, create = load_tools(path)
    assert (show.name, show.description) == ("showPet", "Show one pet")
    assert show.parameters["properties"] == {
        "petId": {"type": "string", "format": "uuid", "description": "Which pet"}
    }
    assert show.returns is not None and set(show.returns["required"]) == {"name", "id", "tag"}
    assert set(show.returns["properties"]) == {"name", "id", "tag", "petId", "mother"}
    assert (change.name, change.description) == ("put_pets_petId", "Change a pet.")
    assert set(change.properties) == {"petId", "name", "tag", "secret", "body_petId", "mother"}
    assert set(change.required) == {"petId", "name", "tag"} and change.returns is None
    assert change.properties["body_petId"] == {"type": "string"}
    assert change.properties["tag"] == {"type": ["string", "null"]}
    assert change.properties["mother"] == {"type": "object"}
    assert (listing.name, listing.description) == ("list_pets", "GET /pets")
    assert listing.properties == {
        "limit": {"type": "integer", "exclusiveMinimum": 0, "maximum": 100},
        "since": {"type": "string", "enum": ["2024-01-01", "on", "no"]},
    }
    assert list(create.properties) == ["body"] and create.required == ()
    assert create.properties["body"]["items"]["required"] == ["name", "tag"]
    assert not lint([show, change, listing, create])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("openapi: 3.0.3", "swagger: '2.0'"), "is OpenAPI 2.0"),
        (("parameters/Limit'", "parameters/None'"), "GET /pets: $ref #/components/parameters/None points nowhere"),
        (("schemas/Named'", "schemas/Nobody'"), "GET /pets/{petId}: $ref #/components/schemas/Nobody points nowhere"),
        (("operationId: list/pets", "operationId: showPet"), 'both named "showPet"'),
        (("paths:", "paths: ]"), "is not YAML"),
    ],
)  # fmt: skip
def test_openapi_errors_name_the_operation(tmp_path, change, said):
    path = tmp_path / "api.yaml"
    path.write_text(API.replace(*change))
    with pytest.raises(ToolsError, match=re.escape(said)) as caught:
        load_tools(path)
    assert caught.value.hint


NUMBERS = """
  /x/{id}:
    get:
      parameters:
        - {name: id, in: path, required: true, schema: {type: string}}
        - {name: id, in: query, required: true, schema: {type: integer}}
        - {name: at, in: query, schema: {type: string, enum: [08:00, 10:00, 12:30, 017, 1_5]}}
        - {name: n, in: query, schema: {type: number, minimum: -1.5, maximum: 2e3, multipleOf: .5, default: 10}}
      responses: {200: {description: ok, content: {application/json: {schema: {type: object, properties: {1: {type: integer}, 2: {type: string}}}}}}}"""


def test_numbers_are_those_of_json_and_keys_are_text(tmp_path):
    (tool,) = operations(tmp_path, NUMBERS)
    assert tool.properties["at"]["enum"] == ["08:00", "10:00", "12:30", "017", "1_5"]
    n = tool.properties["n"]
    assert (n["minimum"], n["maximum"], n["multipleOf"], n["default"]) == (-1.5, 2000.0, 0.5, 10)
    assert tool.returns is not None and list(tool.returns["properties"]) == ["1", "2"]
    assert type_of(tool.returns) == "{1, 2}"
    assert (tool.properties["id"], tool.properties["query_id"]) == ({"type": "string"}, {"type": "integer"})
    assert tool.required == ("id", "query_id")


def test_what_stands_beside_a_reference_joins_it(tmp_path):
    body = "{$ref: '#/components/schemas/Base', properties: {note: {type: string}}, required: [note]}"
    base = "\n  schemas: {Base: {type: object, properties: {size: {type: string}, count: {type: integer}}, required: [size]}}"
    (tool,) = operations(
        tmp_path,
        f"\n  /a: {{post: {{requestBody: {{required: true, content: {{application/json: {{schema: {body}}}}}}}}}}}",
        base,
    )
    assert set(tool.properties) == {"size", "count", "note"} and set(tool.required) == {"size", "note"}


def operations(tmp_path, paths: str, components: str = "") -> list[ToolDefinition]:
    path = tmp_path / "api.yaml"
    path.write_text(f"openapi: 3.1.0\npaths:{paths}\n{f'components:{components}' if components else ''}\n")
    return load_tools(path)


def test_a_path_elsewhere_in_the_document(tmp_path):
    (tool,) = operations(
        tmp_path, "\n  /a: {$ref: '#/components/pathItems/A'}", "\n  pathItems: {A: {get: {summary: A it}}}"
    )
    assert (tool.name, tool.description) == ("get_a", "A it")


@pytest.mark.parametrize(
    ("body", "properties", "required"),
    [
        ("required: true, content: {text/plain: {schema: {type: string}}}", {"body": {"type": "string"}}, ("body",)),
        ("description: A note., content: {text/plain: {}}", {"body": {"type": "string", "description": "A note."}}, ()),
        (
            "required: true, content: {application/json: {schema: {required: [text], properties: {text: {type: string}},"
            " oneOf: [{required: [mail], properties: {mail: {type: string}}}, {anyOf: [{properties: {phone: {type: integer}}}]}]}}}",
            {"text": {"type": "string"}, "mail": {"type": "string"}, "phone": {"type": "integer"}}, ("text",),
        ),
    ],
)  # fmt: skip
def test_bodies(tmp_path, body, properties, required):
    (tool,) = operations(tmp_path, f"\n  /a: {{post: {{requestBody: {{{body}}}}}}}")
    assert list(tool.properties.items()) == list(properties.items()) and tool.required == required


def test_what_the_path_alone_names(tmp_path):
    one, other = operations(
        tmp_path,
        "\n  '/b/{id}': {get: {}, put: {parameters: [{name: id, in: query, schema: {type: integer}}]}}",
    )
    assert one.properties == {"id": {"type": "string"}} and one.required == ("id",)
    assert other.properties == {"id": {"type": "integer"}}


def test_empty_places(tmp_path):
    nothing = "parameters: null, requestBody: null, responses: null"
    (tool,) = operations(tmp_path, f"\n  /a: {{parameters: null, get: {{{nothing}}}}}")
    assert tool.properties == {} and tool.returns is None
    (tool,) = operations(
        tmp_path, "\n  /a: {get: {parameters: [{name: x, in: query, schema: null}], responses: {200: null}}}"
    )
    assert tool.properties == {"x": {"type": "string"}}


@pytest.mark.parametrize(
    ("paths", "said"),
    [
        (" [1, 2]", "api.yaml: paths is no mapping"),
        ("\n  /a: {get: {parameters: {name: x, in: query}}}", "GET /a: parameters is no list"),
        ("\n  /a: {get: {parameters: [{in: query}]}}", "GET /a: a parameter has no name"),
        ("\n  /a: {get: {parameters: [{$ref: '#/components/parameters/A'}]}}", "GET /a: $ref #/components/parameters/A leads only back"),
        ("\n  /a: {$ref: './other.yaml'}", "path /a: $ref ./other.yaml points nowhere"),
    ],
)  # fmt: skip
def test_places_of_another_kind(tmp_path, paths, said):
    circle = (
        "\n  parameters: {A: {$ref: '#/components/parameters/B'}, B: {$ref: '#/components/parameters/A'}}"
    )
    with pytest.raises(ToolsError, match=re.escape(said)) as caught:
        operations(tmp_path, paths, circle)
    assert caught.value.hint


def test_operations_whose_names_become_equal_are_numbered(tmp_path):
    long = "a" * 70
    tools = operations(
        tmp_path,
        "\n  '/a/{id}': {get: {}}\n  '/a/{id}/': {get: {}}\n  /a-id: {get: {operationId: get a id}}"
        f"\n  /{long}b: {{get: {{}}}}\n  /{long}c: {{get: {{}}}}",
    )
    cut = f"get_{long}"
    assert [t.name for t in tools] == ["get_a_id", "get_a_id_2", "get_a_id_3", cut[:64], f"{cut[:62]}_2"]


SERVER = """
import sys
from typing import Literal
from mcp.server import MCPServer
from pydantic import BaseModel

server = MCPServer("demo")

class Address(BaseModel):
    street: str

@server.tool()
def add(a: int, b: int) -> int:
    "Add two numbers."
    return a + b

@server.tool()
def book(to: Address, kind: Literal["car", "bike"] = "car") -> str:
    "Book a vehicle."
    return kind

if sys.argv[1:]:
    server.run("streamable-http", port=int(sys.argv[1]))
server.run()
"""


@needs_mcp
def test_an_mcp_server_over_stdio_and_http(tmp_path):
    path = tmp_path / "server.py"
    path.write_text(SERVER)
    add, book = load_tools(f"mcp:stdio {shlex.join([sys.executable, str(path)])}")
    assert add.description == "Add two numbers." and add.required == ("a", "b")
    assert add.properties == {"a": {"type": "integer"}, "b": {"type": "integer"}}
    assert add.returns is not None and add.returns["properties"] == {"result": {"type": "integer"}}
    assert [(f.level, f.path) for f in lint([add, book])] == [("warning", "parameters.properties.to.$ref")]
    assert fixed([book])[0].properties["to"]["properties"] == {"street": {"type": "string"}}

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    running = subprocess.Popen([sys.executable, path, str(port)], stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                assert time.monotonic() < deadline and running.poll() is None
                time.sleep(0.1)
        assert load_tools(f"http://127.0.0.1:{port}/mcp") == [add, book]
    finally:
        running.terminate()
        running.wait(30)


@needs_mcp
@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("mcp:stdio no-such-program", "no-such-program"),
        (f"mcp:stdio {sys.executable} -c 'import sys; sys.exit(\"broken inside\")'", "broken inside"),
        ("mcp:stdio  ", "names no command"),
        ("http://127.0.0.1:9/mcp", "Connect"),
    ],
)
def test_an_mcp_server_that_gives_nothing(command, said):
    with pytest.raises(ToolsError, match=said):
        load_tools(command)


@needs_mcp
@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_ctrl_c_does_not_wait_for_a_server_that_is_silent(tmp_path):
    silent, begun = tmp_path / "silent.py", tmp_path / "begun"
    silent.write_text(f"import pathlib, time\npathlib.Path({str(begun)!r}).touch()\ntime.sleep(300)\n")
    source = f"mcp:stdio {shlex.join([sys.executable, str(silent)])}"
    argv = [sys.executable, "-m", "auto_lora", "tools", source]
    asking = subprocess.Popen(argv, cwd=Path(__file__).parents[1], stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not begun.exists():
        assert time.monotonic() < deadline and asking.poll() is None
        time.sleep(0.1)
    asking.send_signal(signal.SIGINT)
    _, said = asking.communicate(timeout=40)  # it is silent for 300 s
    assert asking.returncode == 130 and "auto-lora: stopped" in said


@needs_mcp
def test_a_silent_servers_words_are_not_taken_for_the_reason(tmp_path, monkeypatch):
    monkeypatch.setattr("auto_lora.catalog.mcp_server._PATIENCE", 3.0)
    silent = tmp_path / "silent.py"
    silent.write_text("import sys, time\nprint('listening', file=sys.stderr, flush=True)\ntime.sleep(50)\n")
    with pytest.raises(ToolsError, match="gave no tools: no answer in 3 s; it said: listening"):
        load_tools(f"mcp:stdio {shlex.join([sys.executable, str(silent)])}")


def test_what_a_source_needs_is_named(module, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingPartError, match="pydantic and docstring_parser") as caught:
        load_tools(module(MODULE))
    assert "pip install pydantic docstring-parser" in caught.value.hint
    monkeypatch.setattr("auto_lora.catalog.mcp_server.find_spec", lambda name: None)
    with pytest.raises(MissingPartError, match="takes the package mcp") as caught:
        load_tools("https://example.org/mcp")
    assert 'pip install "mcp' in caught.value.hint


# The lint.


def tool(schema, name="f", **more) -> ToolDefinition:
    return ToolDefinition(name, "Do it.", {"type": "object", "properties": {"x": schema}, **more})


def found(schema, **more) -> list[tuple[str, str]]:
    return [(f.level, f.path.removeprefix("parameters.properties.x.")) for f in lint([tool(schema, **more)])]


TEXT = {"type": "string"}
PLANTED = [
    tool({**TEXT, "pattern": "^(?=.*[0-9])[a-z0-9]+$", "description": "A code."}, "look_ahead"),
    tool({"$ref": "#/$defs/people"}, "reference", **{"$defs": {"people": {"type": "array", "items": TEXT}}}),
    tool({**TEXT, "maxLength": 100_000}, "huge"),
]


CITY = {"properties": {"city": {"type": "string"}}, "required": ["city"]}
DAYS = {"properties": {"days": {"type": "integer"}}}


@pytest.mark.parametrize(
    ("root", "required"),
    [
        ({"type": "object", "allOf": [CITY, DAYS]}, ("city",)),
        ({"allOf": [{"$ref": "#/$defs/A"}, DAYS], "$defs": {"A": CITY}}, ("city",)),
        ({"type": "object", "oneOf": [CITY, DAYS]}, ()),
        ({"type": "object", "$ref": "#/$defs/A", "$defs": {"A": {**CITY, "allOf": [DAYS]}}}, ("city",)),
    ],
)
def test_an_objects_properties_are_found_where_they_stand(root, required):
    one = ToolDefinition("get_weather", "Gets the weather.", root)
    assert set(one.properties) == {"city", "days"} and one.required == required
    asked = {
        tuple(json.loads(call["function"]["arguments"]))
        for c in SyntheticDataGenerator([one], TrainingConfig()).generate(30, "train")
        for m in c.messages
        for call in m.get("tool_calls") or ()
    }
    assert any("city" in given for given in asked) and (not required or all("city" in g for g in asked))
    assert set(fixed([one])[0].properties) == {"city", "days"}


@pytest.mark.parametrize(
    "root",
    [
        {"type": "object", "$ref": "#/$defs/A", "$defs": {"A": {"$ref": "#/$defs/A"}}},
        {"type": "object", "$ref": "#/$defs/None"},
        {"allOf": [{"$ref": "#"}]},
        {"type": "object", "properties": {"a": {"type": "string"}}, "anyOf": [{"required": ["a"]}]},
    ],
)
def test_what_cannot_be_opened_stays(root):
    assert set(ToolDefinition("f", "Does it.", root).properties) == set(root.get("properties", ()))


def test_tuples_as_draft_7_wrote_them():
    pair = {"type": "array", "items": [{"type": "number"}, {"type": "string"}], "additionalItems": False}
    assert tool(pair).properties["x"] == {
        "type": "array", "prefixItems": [{"type": "number"}, {"type": "string"}], "items": False,
    }  # fmt: skip


def test_planted_faults_are_named_by_tool_and_path():
    assert [(f.tool, f.path) for f in lint(PLANTED)] == [
        ("look_ahead", "parameters.properties.x.pattern"),
        ("reference", "parameters.properties.x.$ref"),
        ("huge", "parameters.properties.x.maxLength"),
    ]
    assert all(f.fix and f.level == "warning" for f in lint(PLANTED))
    assert not lint(fixed(PLANTED))
    assert [t.properties["x"] for t in fixed(PLANTED)] == [
        {**TEXT, "description": "A code. Pattern: ^(?=.*[0-9])[a-z0-9]+$"},
        {"type": "array", "items": TEXT},
        TEXT,
    ]


# Each of these a llama-server refuses (the slow test below asks one).
REFUSED = {
    "https reference": ({"$ref": "https://example.com/a.json"}, "$ref"),
    "dangling reference": ({"$ref": "#/$defs/none"}, "$ref"),
    "reference to itself": ({"$ref": "#"}, "$ref"),
    "true": (True, ""),
    "false": (False, ""),
    "items true": ({"type": "array", "items": True}, "items"),
    "tuple": ({"type": "array", "prefixItems": [TEXT], "items": False}, "items"),
    "empty enum": ({"enum": []}, "enum"),
    "minLength": ({**TEXT, "minLength": 3000}, "minLength"),
    "minItems": ({"type": "array", "items": TEXT, "minItems": 3000}, "minItems"),
    "length with a point": ({**TEXT, "maxLength": 10.0}, "maxLength"),
    "no regular expression": ({**TEXT, "pattern": "^(a$"}, "pattern"),
    "open class": ({**TEXT, "pattern": "^[a$"}, "pattern"),
    "nothing to repeat": ({**TEXT, "pattern": "^*$"}, "pattern"),
    "escaped end": ({**TEXT, "pattern": "^a\\$"}, "pattern"),
    "repeated too often": ({**TEXT, "pattern": "^a{3000}$"}, "pattern"),
    "inside": ({"type": "object", "properties": {"y": {"type": "array", "items": {"enum": []}}}}, "properties.y.items.enum"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_the_server_refuses_is_an_error(case):
    schema, path = REFUSED[case]
    findings = lint([tool(schema)])
    place = "parameters.properties.x" + (f".{path}" if path else "")
    assert [(f.level, f.path) for f in findings] == [("error", place)] and findings[0].fix
    assert not lint(fixed([tool(schema)]))


@pytest.mark.parametrize(
    ("schema", "findings"),
    [
        ({**TEXT, "minLength": 10, "maxLength": 5}, [("error", "minLength")]),
        ({"allOf": [{"properties": {"a": TEXT}}, {"properties": {"b": TEXT}}]}, [("warning", "allOf")]),
        ({"type": "object", "properties": {"a": TEXT}, "anyOf": [{"required": ["a"]}]}, [("warning", "anyOf")]),
        ({"type": "array", "items": TEXT, "maxItems": 5000, "uniqueItems": True}, [("warning", "maxItems"), ("note", "uniqueItems")]),
        ({"type": "number", "minimum": 0, "multipleOf": 0.5}, [("note", "minimum"), ("note", "multipleOf")]),
        ({"type": "integer", "minimum": 0, "maximum": 5}, []),
        ({"not": {"pattern": "("}}, [("note", "not")]),
        ({"type": "object", "properties": {"pattern": TEXT, "not": TEXT, "$ref": TEXT}}, []),
        ({"type": "object", "additionalProperties": False, "properties": {}}, []),
        ({**TEXT, "format": "email", "maxLength": 320}, []),
    ],
)  # fmt: skip
def test_what_is_misread_or_not_enforced(schema, findings):
    assert found(schema) == findings
    assert all(f.level == "note" for f in lint(fixed([tool(schema)])))


WHOLE = {"type": "integer"}


@pytest.mark.parametrize(
    ("schema", "place", "what", "mended"),
    [
        ({**WHOLE, "minimum": 10, "maximum": 1}, "minimum", "between minimum 10 and maximum 1", WHOLE),
        ({"type": "number", "exclusiveMinimum": 1, "maximum": 1}, "exclusiveMinimum", "no number", {"type": "number"}),
        ({**WHOLE, "minimum": 1.2, "maximum": 1.8}, "minimum", "no whole number", WHOLE),
        ({**WHOLE, "exclusiveMinimum": 1, "exclusiveMaximum": 2}, "exclusiveMinimum", "no whole number", WHOLE),
        ({**WHOLE, "minimum": 1, "maximum": 4, "multipleOf": 5}, "minimum", "that 5 divides", {**WHOLE, "multipleOf": 5}),
        ({**WHOLE, "enum": ["low", "high"]}, "enum", "of the type integer", {"enum": ["low", "high"]}),
        ({"type": ["integer", "null"], "enum": ["a"]}, "enum", "integer or null", {"enum": ["a"]}),
        ({**WHOLE, "const": "a"}, "const", "of the type integer", {"const": "a"}),
    ],
)  # fmt: skip
def test_a_schema_that_no_value_fits_is_an_error(schema, place, what, mended):
    error = lint([tool(schema)])[0]
    assert (error.level, error.path) == ("error", f"parameters.properties.x.{place}") and what in error.what
    assert fixed([tool(schema)])[0].properties["x"] == mended
    assert all(f.level == "note" for f in lint(fixed([tool(schema)])))


@pytest.mark.parametrize(
    "schema",
    [
        {**WHOLE, "minimum": 1, "maximum": 1},
        {**WHOLE, "minimum": 0.5, "maximum": 1},
        {**WHOLE, "exclusiveMinimum": 0, "exclusiveMaximum": 2},
        {**WHOLE, "enum": [1.0, "a"]},
        {"type": ["string", "integer"], "minimum": 2, "maximum": 1},
        {"type": ["string", "null"], "enum": [None]},
    ],
)
def test_a_schema_that_some_value_fits_is_none(schema):
    assert not [f for f in lint([tool(schema)]) if f.level == "error"]


def test_references_that_lead_only_to_each_other():
    circle = {"A": {"$ref": "#/$defs/B"}, "B": {"$ref": "#/$defs/A"}}
    about = {"description": "What."}
    for beside in ({}, about):
        given = tool({"$ref": "#/$defs/A", **beside}, **{"$defs": circle})
        assert [(f.level, f.path) for f in lint([given])] == [("error", "parameters.properties.x.$ref")]
        assert fixed([given])[0].properties["x"] == (beside or {"description": "Any value."})
    node = {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}}}
    real = tool({"$ref": "#/$defs/Node"}, **{"$defs": {"Node": node}})
    assert {f.level for f in lint([real])} == {"warning"}
    anything = tool({"$ref": "#/$defs/Any", **about}, **{"$defs": {"Any": True}})
    assert fixed([anything])[0].properties["x"] == about


def test_a_schema_that_requires_itself_fits_nothing():
    def findings(**node):
        given = tool({"$ref": "#/$defs/Node"}, **{"$defs": {"Node": {"type": "object", **node}}})
        assert all(f.level == "note" for f in lint(fixed([given])))
        return sorted((f.level, f.path) for f in lint([given]))

    place, own = "parameters.properties.x.$ref", {"$ref": "#/$defs/Node"}
    ends, never = [("warning", place)], [("error", place), ("warning", place)]
    some = {"type": "array", "items": own}
    assert findings(properties={"next": own}, required=["next"]) == never
    assert findings(properties={"next": own}, required=[]) == ends
    assert findings(properties={"all": some}, required=["all"]) == ends
    assert findings(properties={"all": {**some, "minItems": 1}}, required=["all"]) == never
    assert findings(properties={"next": {"anyOf": [own, TEXT]}}, required=["next"]) == ends
    assert findings(properties={"next": {"anyOf": [own, own]}}, required=["next"]) == never


def test_all_of_keeps_what_is_optional():
    whole = fixed(
        [tool({"allOf": [{"properties": {"a": TEXT}, "required": ["a"]}, {"properties": {"b": TEXT}}]})]
    )
    assert whole[0].properties["x"] == {"properties": {"a": TEXT, "b": TEXT}, "required": ["a"]}


@pytest.mark.parametrize(
    ("pattern", "works"),
    [
        ("^[A-Z]{3}-(?:a|b)+[.]?$", "^[A-Z]{3}-(?:a|b)+[.]?$"),
        (r"^\+?[1-9]\d{1,14}$", r"^\+?[1-9][0-9]{1,14}$"),
        (r"^[\w.\-/]+?$", r"^[A-Za-z0-9_.\x2D/]+$"),
        ("^https?://", r'^https?://[^"\\]*$'),
        ("^a|b$", r'^(a[^"\\]*|[^"\\]*b)$'),
        (r"^a\$", r'^a\$[^"\\]*$'),
        (r"^(?!a)b$", ""), (r"^(?<=a)b$", ""), (r"^(?P<n>a)$", ""), (r"^\p{L}$", ""), (r"^\bb$", ""), ("^a++$", ""), ("^a{,3}$", ""),
    ],
)  # fmt: skip
def test_patterns_in_the_words_of_grammars(pattern, works):
    level, what, found = read_pattern(pattern)
    assert found == works and bool(level) == bool(what) == (pattern != works)
    if works:
        assert read_pattern(works) == ("", "", works), "a projection is taken as it is"
        for text in ("ABC-ab.", "+12345", "a.b-c/d", "https://x.org", "ab", "b", "a$", "xyz", ""):
            assert bool(re.search(pattern, text)) == bool(re.search(works, text)), text


def test_objects_within_arguments_are_in_schema_order_too():
    point = {"type": "object", "properties": {"z": TEXT, "a": TEXT, "b": TEXT}, "required": ["b"]}
    nested = tool(
        {
            "type": "object",
            "properties": {"p": point, "l": {"type": "array", "items": point}},
            "required": ["l"],
        }
    )
    given = {"x": {"p": {"a": 1, "z": 2, "b": 3, "new": 4}, "l": [{"z": 1, "b": 2}]}}
    assert json.dumps(nested.order_arguments(given)) == json.dumps(
        {"x": {"l": [{"b": 2, "z": 1}], "p": {"b": 3, "z": 2, "a": 1, "new": 4}}}
    )


# The command.


@pytest.fixture
def planted_file(tmp_path):
    path = tmp_path / "planted.json"
    path.write_text(json.dumps([t.to_json() for t in PLANTED]))
    return path


def test_tools_shows_and_fixes(capsys, planted_file, tmp_path):
    assert main(["tools", str(planted_file)]) == 0
    out = capsys.readouterr().out
    assert "look_ahead" in out and "parameters.properties.x.maxLength" in out and "3 warnings" in out
    mended = tmp_path / "mended.json"
    assert main(["tools", str(planted_file), "--json", "--fix-tools", str(mended)]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["ok"] and facts["tools"] == [t.to_json() for t in PLANTED] and len(facts["lint"]) == 3
    assert not lint(load_tools(mended))
    assert main(["tools", str(mended)]) == 0 and "llama.cpp takes these tools." in capsys.readouterr().out


def test_tools_errors(capsys, tmp_path):
    assert main(["tools", str(tmp_path / "none.json")]) == 2
    assert "does not exist" in capsys.readouterr().err
    assert (
        main(["tools", json.dumps([tool({"description": "x" * 300}).to_json()])]) == 2
    )  # no file, but its text
    assert "does not exist" in capsys.readouterr().err
    assert main(["tools"]) == 2 and main(["tools", "--help"]) == 0
    refused = tmp_path / "refused.json"
    refused.write_text(json.dumps([tool({"enum": []}).to_json()]))
    assert main(["tools", str(refused)]) == 1
    assert "1 error;" in capsys.readouterr().out


def test_refused_tools_stop_training(capsys, smollm, tmp_path):
    refused = tmp_path / "refused.json"
    refused.write_text(json.dumps([t.to_json() for t in (*PLANTED, tool({"enum": []}, "empty"))]))
    asked = ["--model-path", str(smollm), "--tools", str(refused), "--output", str(tmp_path / "out")]
    assert main(["--train", *asked]) == 2
    first, hint = capsys.readouterr().err.strip().splitlines()
    assert first.startswith('auto-lora: "empty", parameters.properties.x.enum') and "--fix-tools" in hint
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
async def test_the_server_agrees(smollm, tmp_path, demo_tools):
    """A real llama-server refuses what the lint calls an error, and takes every projection."""
    template = tmp_path / "template.jinja"
    template.write_text(hermes_template(), encoding="utf-8")
    cases = [tool(schema, name.replace(" ", "_")) for name, (schema, _) in REFUSED.items()]
    never = tool({**TEXT, "minLength": 10, "maxLength": 5}, "never")  # the server would compute for ever
    hello = [{"role": "user", "content": "hello"}]
    async with LlamaCppClient(
        smollm, chat_template_file=template, context=4096, log_path=tmp_path / "log"
    ) as client:
        for case in cases:
            with pytest.raises(ServerError):
                await client.chat(hello, [case.to_openai()], max_tokens=1)
        mended = fixed([*PLANTED, *cases, never])
        reply = await client.chat(hello, [t.to_openai() for t in mended], max_tokens=1)
        assert reply.prompt_tokens > 500
        await grammar_gate(client, demo_tools)
        with pytest.raises(MismatchError, match='refuses the tool "dangling_reference"') as caught:
            await grammar_gate(client, [*demo_tools, cases[1]])
        assert "--fix-tools" in caught.value.hint
    assert as_json(mended)["ok"]


@pytest.mark.parametrize(
    ("tools", "status"),
    [([], "ok"), (PLANTED, "warning"), ([*PLANTED, tool({"enum": []}, "empty")], "missing")],
)
def test_check_says_what_the_lint_says(tmp_path, demo_tools, tools, status):
    path = tmp_path / "tools.json"
    path.write_text(json.dumps([t.to_json() for t in [*demo_tools, *tools]]))
    row = DependencyChecker(TrainingConfig(tools=str(path)))._tools()
    assert row.status == status and row.detail.startswith(f"{6 + len(tools)} tools: set_light")
    if tools:
        assert "parameters.properties.x." in row.detail and "auto-lora tools" in row.fix
