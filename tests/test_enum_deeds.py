"""Tools whose enum says what is done: to-do lists, carts, alarms, players."""

from __future__ import annotations

import random
import re
from collections import Counter

import pytest

from auto_lora.dialogues.definitions.acted_on import objects_of
from auto_lora.dialogues.definitions.enum_deeds import deed_of, family_of, managed_by
from auto_lora.dialogues.definitions.phrasebook import SPLITS, by_split, phrases
from auto_lora.dialogues.definitions.topics import topics
from auto_lora.dialogues.wording.chooser import FrameChooser
from tests.tool_lists import asked, text, tool


def _one_of(*values):
    return {"type": "string", "enum": list(values)}


TODO = tool("manage_todo", "Manage the user's to-do list.", ("action",), action=_one_of("add", "delete", "complete", "list"), task=text("The task"))  # fmt: skip
FORCED = tool("todo", "Manages a todo list.", ("type", "content"), type=_one_of("add", "delete", "complete"), content=text("The details of the todo task"))  # fmt: skip
CART = tool("manage_cart", "Manage the shopping cart.", ("action",), action=_one_of("add", "remove", "clear"), item=text("Item to add or remove"))  # fmt: skip
ALARM = tool("alarm", "Set, cancel or snooze an alarm.", ("action",), action=_one_of("set", "cancel", "snooze"), time=text("Time of the alarm, HH:MM"))  # fmt: skip
MUSIC = tool("music_control", "Control music playback.", ("action",), action=_one_of("play", "pause", "next"), song=text("Name of the song"))  # fmt: skip
LIST = tool("shopping_list", "Manage a shopping list.", ("action",), action=_one_of("add", "remove", "show"), item=text(), list_name=text("Name of the list"))  # fmt: skip


def test_an_enum_of_deeds_is_read():
    assert [deed_of(v) for v in ("add", "delete_task", "mark_done", "LIST", "clear_all", "approve")] == ["add", "remove", "done", "show", "clear", ""]  # fmt: skip
    assert [family_of(t).name for t in (TODO, FORCED, CART, ALARM, MUSIC, LIST)] == ["tasks", "tasks", "cart", "alarm", "music", "list"]  # fmt: skip
    door = tool("control_door", "Open or close a door.", ("action",), action=_one_of("open", "close"))
    assert managed_by(ALARM) == "action" and family_of(door) is None
    assert objects_of(TODO.name, TODO.description)[0] == "my to-do list"


@pytest.mark.parametrize("name, entry", phrases("enum_deeds")["families"].items())
def test_each_deed_has_sentences_in_each_split(name, entry):
    for deed, lines in entry["frames"].items():
        assert deed in phrases("enum_deeds")["words"]
        assert all(by_split(f"{name}_{deed}", lines)[split] for split in SPLITS)
        assert len(lines) == len(set(lines))
    assert set(entry["topics"].values()) <= {t.name for t in topics()}


@pytest.mark.parametrize("managed", [TODO, FORCED, CART, ALARM, MUSIC, LIST])
def test_each_value_is_asked_for_as_often_and_mostly_without_its_own_verb(managed):
    name = managed_by(managed)
    seen = Counter(arguments[name] for _, arguments in asked(managed, 160))
    values = managed.properties[name]["enum"]
    assert all(seen[v] > sum(seen.values()) / len(values) / 3 for v in values), seen
    chooser = FrameChooser(random.Random(1), "train", [managed])
    silent = {f.means[name] for f, _ in chooser._frames(managed) if "action" not in f.named}
    assert silent >= set(values)


def test_only_what_such_a_sentence_says_is_given():
    said = {"add": [], "delete": [], "complete": [], "list": []}
    for prompt, arguments in asked(TODO, 160):
        said[arguments["action"]].append((prompt, arguments))
    assert all("task" not in a for _, a in said["list"])
    assert all("task" in a for v in ("add", "delete", "complete") for _, a in said[v])
    assert any(re.search(r"need to remember to|don't let me forget|have to", p, re.I) for p, _ in said["add"])
    assert any(re.search(r"\bdone\b|finished|cross|tick", p, re.I) for p, _ in said["complete"])
    assert any(re.search(r"off (?:the|my) list|from my|anymore", p, re.I) for p, _ in said["delete"])
    assert any(re.search(r"what|show me|which|left", p, re.I) for p, _ in said["list"])
    for prompt, arguments in asked(CART, 120):
        assert ("item" in arguments) == (arguments["action"] != "clear"), prompt
    for prompt, arguments in asked(MUSIC, 120):
        assert arguments["action"] == "play" or "song" not in arguments, prompt
        assert arguments["action"] != "play" or not re.search(r"\bskip\b|\bnext\b|\bpause", prompt, re.I)


def test_a_list_is_called_by_its_name():
    named = [(p, a) for p, a in asked(LIST, 120) if "list_name" in a]
    assert named
    for prompt, arguments in named:
        assert re.search(r"\blist\b|to-?do|cart", prompt, re.I), prompt
        assert arguments["action"] == "add" or "to my" not in prompt.lower()


def test_beside_another_tool_of_the_same_things_the_verb_is_said():
    other = tool("set_alarm", "Set an alarm.", ("time",), time=text("HH:MM"))
    chooser = FrameChooser(random.Random(1), "train", [ALARM, other])
    assert all("action" in f.named for f, _ in chooser._frames(ALARM))
