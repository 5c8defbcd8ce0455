"""`auto-lora tools SOURCE`: what was understood of the tools, and what llama.cpp makes of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from auto_lora.catalog.definition import ToolDefinition
from auto_lora.catalog.lint import Finding, lint

_COLOURS = {"error": "red", "warning": "yellow", "note": "blue"}


def as_json(tools: Sequence[ToolDefinition]) -> dict[str, Any]:
    """Tools and findings for programs; `ok` when llama-server takes the tools."""
    findings = lint(tools)
    return {
        "ok": all(f.level != "error" for f in findings),
        "tools": [t.to_json() for t in tools],
        "lint": [vars(f) for f in findings],
    }


def print_tools(console: Console, tools: Sequence[ToolDefinition]) -> None:
    """A table of tools with their parameters and results, then the findings and their count."""
    table = Table(title=f"{len(tools)} tools", title_justify="left")
    for column in ("tool", "parameter", "type", "required", "about"):
        table.add_column(column, overflow="fold")
    for tool in tools:
        table.add_section()
        returns = f", returns {type_of(tool.returns)}" if tool.returns is not None else ""
        table.add_row(f"[bold]{escape(tool.name)}[/]", "", "", "", escape(tool.description + returns))
        for name, schema in tool.properties.items():
            about = schema.get("description", "") if isinstance(schema, Mapping) else ""
            required = "yes" if name in tool.required else ""
            table.add_row("", escape(name), escape(type_of(schema)), required, escape(about))
    console.print(table)
    findings = lint(tools)
    for finding in findings:
        console.print(
            f"[{_COLOURS[finding.level]}]{finding.level}[/]{escape(str(finding)[len(finding.level) :])}"
        )
    console.print(summary(findings))


def summary(findings: Sequence[Finding]) -> str:
    """One line: how many findings of each level, and what to do."""
    counts = {level: sum(f.level == level for f in findings) for level in _COLOURS}
    said = ", ".join(f"{n} {level}{'s' * (n != 1)}" for level, n in counts.items() if n)
    if not counts["error"] + counts["warning"]:
        return f"llama.cpp takes these tools{f' ({said})' if said else ''}."
    return f"{said}; --fix-tools FILE writes tools that llama.cpp takes."


def type_of(schema: Any) -> str:
    """A schema in a few words: `integer 1 to 100`, `"on" or "off"`, `list of string`."""
    if not isinstance(schema, Mapping):
        return "any"
    if "$ref" in schema:
        return str(schema["$ref"]).rsplit("/", 1)[-1]
    if isinstance(values := schema.get("enum"), list) and values:
        shown = [json.dumps(v, ensure_ascii=False) for v in values[:6]]
        return " or ".join(shown) + (f" or {len(values) - 6} more" if len(values) > 6 else "")
    for key in ("anyOf", "oneOf"):
        if isinstance(branches := schema.get(key), list):
            return " or ".join(map(type_of, branches))
    kind = schema.get("type", "object" if "properties" in schema else "any")
    kind = " or ".join(kind) if isinstance(kind, list) else str(kind)
    if kind == "array":
        return f"list of {type_of(schema.get('items'))}"
    if kind == "object" and schema.get("properties"):
        return "{" + ", ".join(schema["properties"]) + "}"
    low, high = schema.get("minimum"), schema.get("maximum")
    bounds = f" {low} to {high}" if low is not None and high is not None else ""
    return kind + bounds + (f" ({schema['format']})" if "format" in schema else "")
