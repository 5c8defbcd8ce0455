"""Tools from where people have them: a file (JSON, Python module, OpenAPI) or an MCP server."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from auto_lora._errors import ToolsError
from auto_lora.catalog.definition import ToolDefinition, check_names, parse_tools

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
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = "does not exist" if not path.exists() else f"cannot be read ({error})"
        raise ToolsError(f"tools file {path} {reason}", f"give with --tools {_KINDS}") from None
    if path.suffix in (".yaml", ".yml"):
        return _yaml(text, path)
    try:
        return json.loads(text)
    except ValueError as error:
        raise ToolsError(f"tools file {path} is not JSON: {error}", "mend it at that place") from None


def _yaml(text: str, path: Path) -> Any:
    """YAML 1.2's JSON types: dates are text, and only true and false are booleans (not on, off, yes, no)."""
    import yaml

    class Loader(yaml.SafeLoader):
        pass

    Loader.yaml_implicit_resolvers = {
        letter: [
            (tag, how)
            for tag, how in resolvers
            if not tag.endswith(":timestamp") and not (tag.endswith(":bool") and letter in "yYnNoO")
        ]
        for letter, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    try:
        return yaml.load(text, Loader=Loader)
    except yaml.YAMLError as error:
        place = str(getattr(error, "problem_mark", "") or error).strip().replace("\n", " ")
        raise ToolsError(f"tools file {path} is not YAML: {place}", "mend it at that place") from None
