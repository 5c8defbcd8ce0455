"""Commands that are described: "list the files in src" for `ls src`."""

from __future__ import annotations

import random
import re

from auto_lora.dialogues.definitions.phrasebook import phrases
from auto_lora.dialogues.definitions.topics import topics
from auto_lora.dialogues.values.described import described, runs_alone, shell_of
from auto_lora.dialogues.values.pools import Pools
from auto_lora.dialogues.wording.near import kindred
from tests.tool_lists import asked, text, tool

BASH = tool("run_command", "Run a shell command.", ("command",), command=text("The shell command to run"))
CMD = tool("cmd_controller.execute", "Executes a command using the Windows command prompt.", ("command",), command=text("The command line"))  # fmt: skip
ANY = tool("execute", "Execute a command on the system.", ("command",), command=text("The command"))
READ = tool("read_file", "Read a file.", ("path",), path=text("Path of the file"))


def test_only_where_the_shell_is_known_and_nothing_else_could_be_meant():
    assert [shell_of(t) for t in (BASH, CMD, ANY, READ)] == ["unix", "windows", "", ""]
    assert runs_alone(BASH, [BASH]) and not runs_alone(BASH, [BASH, READ]) and not runs_alone(ANY, [ANY])
    file = next(t for t in topics() if t.name == "read_file")
    assert kindred(file, [BASH])  # so that nothing a command can do is refused


def test_a_command_and_its_words_have_the_same_names():
    pools = Pools(random.Random(1))
    for shell in ("unix", "windows"):
        for _ in range(200):
            value = described(pools, shell)
            assert "{" not in value.json + value.surface and value.json != ""
            names = [w for w in re.findall(r"[\w./-]+", value.surface) if re.search(r"\.\w|\d", w)]
            assert all(n in value.json for n in names), value
        words = [w for _, ways in phrases("commands")[shell] for w in ways]
        assert len(words) == len(set(words))  # each says one command


def test_at_most_a_third_of_the_commands_are_described():
    for definition in (BASH, CMD):
        made = asked(definition, 150)
        quoted = [a["command"].lower() in p.lower() for p, a in made]
        assert 0.6 < sum(quoted) / len(made) < 0.97, sum(quoted) / len(made)
        for prompt, _ in made:
            assert not re.search(r"\b(?:run|execute|command) (?:list|show|delete) (?:the|me)\b", prompt, re.I), prompt  # fmt: skip
    assert all(a["command"].lower() in p.lower() for p, a in asked(ANY, 60))
