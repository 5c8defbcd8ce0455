"""Commands that are described rather than quoted: "list the files in src" for `ls src`, where the words leave no doubt."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

from auto_lora.catalog import ToolDefinition
from auto_lora.catalog.definition import per_tool
from auto_lora.dialogues.definitions.frames import Frame
from auto_lora.dialogues.definitions.phrasebook import by_split, phrases, words_of
from auto_lora.dialogues.definitions.roles import roles_of
from auto_lora.dialogues.values.pools import Pools
from auto_lora.dialogues.values.surfaces import Value

SLOT = "described"
_ALSO = frozenset("command file folder file_from glob".split())


@per_tool
def shell_of(tool: ToolDefinition) -> str:
    """Whose commands a tool runs, "unix" or "windows", by its own words; "" where none or both are named, or it runs no command."""
    told = [str(s.get("description", "")) for s in tool.properties.values() if isinstance(s, dict)]
    said = {*words_of(" ".join([tool.name, tool.description, *told]))}
    found = [kind for kind, words in phrases("commands")["shells"].items() if said & {*words.split()}]
    if "windows" in found and said & {"cmd", "windows"} and not said & {"powershell", "linux", "bash"}:
        found = ["windows"]
    commands = [n for n, r in roles_of(tool).items() if r == "command" and "enum" not in tool.properties[n]]
    single = len(commands) == 1 and tool.properties[commands[0]].get("type", "string") == "string"
    return found[0] if len(found) == 1 and single else ""


def runs_alone(tool: ToolDefinition, tools: Sequence[ToolDefinition]) -> bool:
    """Whether a tool runs the commands of a known shell, and no other of a list runs any or takes a file: "show me notes.txt" asks for it."""
    others = [t for t in tools if t.name != tool.name]
    return bool(shell_of(tool)) and not any(_ALSO & {*roles_of(t).values()} for t in others)


@cache
def described_frames(split: str) -> tuple[Frame, ...]:
    """Sentences around the words for a command."""
    return by_split(SLOT, phrases("commands")["frames"])[split]


def described(pools: Pools, shell: str) -> Value:
    """A command and what it does, in words."""
    template, ways = pools.random.choice(phrases("commands")[shell])
    made: dict[str, str] = {}
    for slot in re.findall(r"\{(\w+)\}", template):
        if slot == "n":
            made[slot] = str(pools.random.choice([3, 5, 10, 15, 20, 25, 30, 50, 100]))
        elif slot == "pid":
            made[slot] = str(pools.random.randint(100, 32000))
        else:
            made[slot] = re.sub(r"\W*\s\W*", "_", pools.make(slot))
    return Value(template.format(**made), pools.random.choice(ways).format(**made), SLOT)
