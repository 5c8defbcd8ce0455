"""Tools from where people have them: a file (JSON, Python module, OpenAPI) or an MCP server."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from auto_lora._errors import ToolsError
from auto_lora.catalog.definition import ToolDefinition, check_names, parse_tools

_DEEPEST = 50  # schemas are walked by recursion, and JSON Schema's own checker takes a dozen frames a level
_TOO_DEEP = f"is nested more than {_DEEPEST} deep"
_HALF = re.compile("[\ud800-\udfff]")  # a surrogate without its pair, which UTF-8 cannot write
_YAML_NUMBERS = {
    "int": r"^[-+]?(0|[1-9][0-9]*)$",
    "float": r"^([-+]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))$",
}
MCP = "mcp:stdio "
_KINDS = "a JSON file, a Python module (.py), an OpenAPI 3 document, an MCP URL or 'mcp:stdio COMMAND ...'"


def load_tools(source: str | Path) -> list[ToolDefinition]:
    """Reads and checks the tools of a source.

    Args:
        source: a JSON file of tools, a Python module (`.py`), an OpenAPI 3 document (JSON or YAML),
            `mcp:stdio COMMAND ...`, or the http(s) URL of an MCP server.

    Raises:
        ToolsError: it cannot be read, holds no tools, an invalid one (named by its position), or
            two of one name.
        MissingPartError: a package that this kind of source needs is not installed.
    """
    text = str(source)
    if text.startswith((MCP, "http://", "https://")):
        from auto_lora.catalog.mcp_server import tools_of_server

        tools = tools_of_server(text)
    elif text.endswith(".py") and Path(text).is_file():
        from auto_lora.catalog.python_module import tools_of_module

        tools = tools_of_module(Path(text))
    else:
        data = _read(Path(text))
        if not (isinstance(data, Mapping) and ("openapi" in data or "swagger" in data)):
            return parse_tools(data, text)
        from auto_lora.catalog.openapi import tools_of_document

        tools = tools_of_document(data, text)
    if not tools:
        raise ToolsError(f"{text} holds no tools", f"expected {_KINDS}")
    check_names(tools, text)
    return tools


def _read(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8-sig")  # a BOM is what Windows' editors put before it
    except (OSError, UnicodeDecodeError) as error:
        reason = "does not exist" if not os.path.exists(path) else f"cannot be read ({error})"
        raise ToolsError(f"tools file {path} {reason}", f"give with --tools {_KINDS}") from None
    try:
        data = _yaml(text, path) if path.suffix in (".yaml", ".yml") else json.loads(text)
    except RecursionError:
        raise ToolsError(f"tools file {path} {_TOO_DEEP}", "flatten it") from None
    except ValueError as error:
        raise ToolsError(f"tools file {path} is not JSON: {error}", "mend it at that place") from None
    _check_values(data, path)
    return data


def _with_text_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            k if isinstance(k, str) else json.dumps(k, default=str): _with_text_keys(v)
            for k, v in value.items()
        }
    return [_with_text_keys(part) for part in value] if isinstance(value, list) else value


def _check_values(data: Any, path: Path) -> None:
    """Raises ToolsError for what a parser takes and no model can be shown: NaN, half characters, endless nests."""
    waiting: list[tuple[Any, int]] = [(data, 0)]
    while waiting:
        value, depth = waiting.pop()
        if depth > _DEEPEST:
            raise ToolsError(f"tools file {path} {_TOO_DEEP}", "flatten it")
        if isinstance(value, Mapping):
            waiting += [(part, depth + 1) for pair in value.items() for part in pair]
        elif isinstance(value, list):
            waiting += [(part, depth + 1) for part in value]
        elif isinstance(value, float) and not math.isfinite(value):
            raise ToolsError(f"tools file {path} holds {value}, which JSON has no word for", "leave it out")
        elif isinstance(value, str) and _HALF.search(value):
            raise ToolsError(
                f"tools file {path} holds half a character: {value!r}", "write both \\u escapes or none"
            )


def _yaml(text: str, path: Path) -> Any:
    """YAML 1.2's JSON types: dates and times are text, only true and false are booleans (not on, off, yes, no), keys are text."""
    import yaml

    class Loader(yaml.SafeLoader):
        pass

    Loader.yaml_implicit_resolvers = {
        letter: [
            (tag, how)
            for tag, how in resolvers
            if not tag.endswith((":timestamp", ":int", ":float"))
            and not (tag.endswith(":bool") and letter in "yYnNoO")
        ]
        for letter, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    for kind, form in _YAML_NUMBERS.items():  # PyYAML's own read 12:30 as 750 and 017 as 15
        Loader.add_implicit_resolver(f"tag:yaml.org,2002:{kind}", re.compile(form), list("-+.0123456789"))
    try:
        return _with_text_keys(yaml.load(text, Loader=Loader))
    except yaml.YAMLError as error:
        place = str(getattr(error, "problem_mark", "") or error).strip().replace("\n", " ")
        raise ToolsError(f"tools file {path} is not YAML: {place}", "mend it at that place") from None
