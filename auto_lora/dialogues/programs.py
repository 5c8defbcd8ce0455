"""Tools of programs and their makers: what an element, a callback, a pod or a branch is there, and what is called one elsewhere.

In such a tool a `parent` is no mother and a `service` no streaming service: the roles of `phrases/roles.json` with a
"program" list go before the others, and a name without a role is one of a program ("userStore", "order_items").
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from auto_lora.catalog import ToolDefinition
from auto_lora.catalog.definition import per_tool
from auto_lora.dialogues.phrasebook import phrases, words_of

# One of these and another word of either list, or three of the others beside a camelCase name.
_SURELY = re.compile(
    r"\b(?:callback|DOM|regexp?|regular expression|kubernetes|k8s|pods?|docker|containers?|namespace|git|commits?|pull request|repositor(?:y|ies)|repo|SQL|"
    r"database|schema|HTTP|endpoint|base64|source code|JSON|XML|bytes|threads?|buffer|logs?|S3|bucket|deploy\w*|cluster|CI|pipeline|virtual machine|VM|"
    r"stack trace|unit tests?|shell|stdout|iterator|promise|refactor\w*|linter?|npm|checksum|socket|cron|codebase|npm|pip|dependenc(?:y|ies)|across the project|primary key|debounc\w+|throttl\w+|async|metrics?|promql|webhook)\b",
    re.I,
)
_MAYBE = re.compile(
    r"\b(?:object|instance|class|function|method|element|array|server|cache|queue|session|handler|listener|node|parser|component|module|variable|"
    r"string|attribute|branch|query|table|column|index|host|port|encod\w+|hash|package|script|symbol|file|interface|timeout|event|container|controller|editor|worker|file path|code|alert|threshold|rule)s?\b",
    re.I,
)
_METHOD = re.compile(r"(?:^|\.)[A-Z]\w*\.\w+$")
_CAMEL = re.compile(r"[a-z][A-Z][a-z]")
_PATH = re.compile(r"\bJSON ?path|\bjq\b", re.I)
_EXAMPLE = re.compile(r"\be\.g\.|such as|for example|\blike ['\"`]", re.I)
_BEING = re.compile(
    r"\b(?:object|instance|element|controller|component|manager|monitor|source|array|list of)\b", re.I
)


@per_tool
def is_program(tool: ToolDefinition) -> bool:
    """Whether a tool belongs to a program or its making: a method of a class, a cluster, a repository."""
    texts = [f"{n} {s.get('description', '')}" for n, s in tool.properties.items() if isinstance(s, Mapping)]
    text = " ".join([" ".join(words_of(tool.name)), tool.description, *texts])
    surely, maybe = ({m.lower() for m in found.findall(text)} for found in (_SURELY, _MAYBE))
    camel = any(_CAMEL.search(n) for n in (tool.name, *tool.properties))
    method = _METHOD.search(tool.name) is not None
    indexed = any(n in tool.properties for n in ("table", "table_name", "tableName")) and re.search(
        r"\bcolumns?\b|\brows?\b", text
    )
    return (
        bool(indexed)
        or (bool(surely) and len(surely | maybe) > 1)
        or (method and bool(maybe))
        or (camel and len(maybe) > 2)
    )


@cache
def _roles() -> dict[str, str]:
    return {name: role for role, entry in phrases("roles").items() for name in entry.get("program", ())}


def is_programs(role: str) -> bool:
    """Whether a role is one of programs."""
    return "program" in phrases("roles").get(role, {})


def program_role(name: str, schema: Mapping[str, Any], role: str) -> str:
    """The role of a string parameter of such a tool, by its whole name, then its last word; `role` where nothing is told.

    Args:
        role: what it has elsewhere.
    """
    words = words_of(name)
    known = _roles().get(" ".join(words)) or _roles().get(
        " ".join(words[-1:] if words[-1:] != ["prefix"] else [])
    )
    if known:
        return known
    about = str(schema.get("description", ""))
    if _PATH.search(about):
        return "json_path"
    open_ended = (
        role == "generic"
        and not _EXAMPLE.search(about)
        and not schema.get("examples")
        and not schema.get("format")
    )
    if open_ended:
        return "program_object" if _BEING.search(about) else "program_symbol"
    return role
