"""Tools of programs and their makers: what an element, a callback, a pod or a branch is there, and what is called one elsewhere.

In such a tool a `parent` is no mother and a `service` no streaming service: the roles of `phrases/roles.json` with a
"program" list go before the others, and a text without a role, examples or format is a name of a program ("userStore", "order_items").
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from auto_lora.catalog import ToolDefinition
from auto_lora.catalog.definition import per_tool
from auto_lora.dialogues.definitions.phrasebook import phrases, stem, words_of

# One of these, which are said nowhere else, and another word of either list; or one of the others in a method of a class.
_SURELY = re.compile(
    r"\b(?:callback|DOM|regexp?|regular expression|kubernetes|k8s|docker|container image|namespace|git|pull request|repositor(?:y|ies)|repo|SQL|database|base64|"
    r"source code|XML|stack trace|unit tests?|stdout|iterator|refactor\w*|linter?|npm|pip|dependenc(?:y|ies)|checksum|cron|codebase|across the project|"
    r"primary key|columns? to index|debounc\w+|throttl\w+|async|promql|webhook|S3|virtual machine|VM|application logs?|log level|pod logs?|deployment|"
    r"CI pipeline|HTTP (?:request|method|header)s?|JSON ?path|alert rule)\b",
    re.I,
)
_MAYBE = re.compile(
    r"\b(?:object|instance|class|function|method|element|array|server|cache|queue|session|handler|listener|node|parser|component|module|variable|string|"
    r"attribute|branch|query|table|column|index|host|port|encod\w+|hash|package|script|symbol|file|interface|timeout|event|container|controller|editor|worker|"
    r"code|alert|threshold|rule|log|metric|pod|thread|buffer|pipeline|cluster|bucket|socket|shell|commit|endpoint|JSON|HTTP|schema|byte|deploy)s?\b",
    re.I,
)
_METHOD = re.compile(r"(?:^|\.)[A-Z]\w*\.\w+$")
_CAMEL = re.compile(r"[a-z][A-Z][a-z]")
# What only functions are given.
_PASSED = frozenset(
    "callback handler listener func function element node component controller instance selector params".split()
)
_PATH = re.compile(r"\bJSON ?path|\bjq\b", re.I)
_EXAMPLE = re.compile(r"\be\.g\.|such as|for example|\blike ['\"`]", re.I)
_BROAD = frozenset("program_object program_symbol workload dom_event".split())  # their examples tell more
_BEING = re.compile(
    r"\b(?:object|instance|element|controller|component|manager|monitor|source|array|list of)\b", re.I
)


@per_tool
def is_program(tool: ToolDefinition) -> bool:
    """Whether a tool belongs to a program or its making: a method of a class, a cluster, a repository."""
    texts = [f"{n} {s.get('description', '')}" for n, s in tool.properties.items() if isinstance(s, Mapping)]
    text = " ".join([" ".join(words_of(tool.name)), tool.description, *texts])
    surely, maybe = ({stem(m.lower()) for m in found.findall(text)} for found in (_SURELY, _MAYBE))
    passed = {w for n in tool.properties for w in words_of(n)[-1:]}
    script = _CAMEL.search(tool.name) is not None and bool(passed & _PASSED)
    method = _METHOD.search(tool.name) is not None
    return (bool(surely) and len(surely | maybe) > 1) or ((method or script) and bool(maybe))


@per_tool
def is_function(tool: ToolDefinition) -> bool:
    """Whether such a tool is a function that one's own program calls, by its name: "fs.readFile", not "merge_pr"."""
    return is_program(tool) and ("." in tool.name or _CAMEL.search(tool.name) is not None)


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
    about = str(schema.get("description", ""))
    if known and not (known in _BROAD and (_EXAMPLE.search(about) or schema.get("examples"))):
        return known
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
