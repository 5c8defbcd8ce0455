"""How near words and topics are to a list of tools: what may count as a request that none of them serves."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import cache

from auto_lora.catalog import ToolDefinition
from auto_lora.dialogues.definitions.acted_on import objects_of
from auto_lora.dialogues.definitions.frames import Frame, parse
from auto_lora.dialogues.definitions.meaning import act_of
from auto_lora.dialogues.definitions.phrasebook import (
    all_verbs,
    lines_of_split,
    phrases,
    share_out,
    stem,
    words_of,
)
from auto_lora.dialogues.definitions.topics import Topic, likeness, topic_of, topics
from auto_lora.dialogues.values.described import shell_of

_COMMON = set(
    "a an the of for to in on at by with from and or is it its this that what which who how do does you your my me i can could would please "
    "set get make use tool name text one any all some new be are was not if as into about up out off time day number value type".split()
)
# Two topics that share only such a word are not near each other: a smart bulb, a phone number.
_INCIDENTAL = frozenset(map(stem, "number report smart state control current".split()))
# Nouns as well as verbs: "time my eggs" is for the tool that starts timers.
_THINGS = frozenset(map(stem, "timer alarm email mail news message text log".split()))
# Tools of these topics serve nearly any request, so beside them nothing is a near miss.
_GENERAL = frozenset(("web_search", "fact_question"))


# What a command can do: "show me notes.txt".
_BY_COMMAND = frozenset("read_file write_file search_files server_status run_code run_command".split())


def kindred(topic: Topic, tools: Sequence[ToolDefinition]) -> bool:
    """Whether a topic is that of a tool or next to one: then its requests may not be no-calls."""
    own = [t for tool in tools if (t := topic_of(tool)) is not None]
    if topic.name in _BY_COMMAND and any(map(shell_of, tools)):
        return True
    if topic in own or any(likeness(topic, tool.name, tool.description) >= 1 for tool in tools):
        return True
    return any((topic.words & other.words) - _INCIDENTAL for other in own)


def near(words: str, tools: Sequence[ToolDefinition]) -> bool:
    """Whether words speak of what some tool is about: then they may not be a no-call."""
    spoken = {stem(w) for w in re.findall(r"[a-z]+", words.lower())} - _COMMON
    for tool in tools:
        topic = topic_of(tool)
        about = {stem(w) for w in words_of(tool.name) if len(w) > 2}
        about |= {stem(w) for noun in (topic.nouns if topic else ()) for w in noun.split()}
        if spoken & (about - _COMMON):
            return True
    return False


def answers_anything(tools: Sequence[ToolDefinition]) -> bool:
    """Whether a tool takes any question: a search, a store of facts, an interpreter."""
    return any((t := topic_of(tool)) is not None and t.name in _GENERAL for tool in tools)


def touches(pattern: str, tools: Sequence[ToolDefinition]) -> bool:
    """Whether a pattern for questions, its slots' roles among its words, has a word of any definition."""
    spoken = {stem(w) for w in re.findall(r"[a-z]+", pattern.lower())} - _COMMON - all_verbs()
    return not spoken.isdisjoint(words_in(tools))


def near_misses(tools: Sequence[ToolDefinition], split: str) -> list[Frame]:
    """Requests beside a tool's topic that no tool serves: "delete my alarm" where alarms can only be set.

    `phrases/near_misses.json` holds them by topic, with the words of tools that would serve them. A request is left out when
    such a word stands in the definition of a tool next to the topic, when one that is more than a verb stands in any tool's,
    or when the request's own words are near another tool.
    """
    own = {t.name for tool in tools if (t := topic_of(tool)) is not None}
    if answers_anything(tools):
        return []
    found = []
    for topic in topics():
        if topic.name not in own or topic.name not in phrases("near_misses"):
            continue
        beside = [tool for tool in tools if kindred(topic, [tool])]
        others = [tool for tool in tools if tool not in beside]
        taken = words_in(beside) | (words_in(others) - (all_verbs() - _THINGS))
        frames = lines_of_split(f"near_{topic.name}", split)
        for entry in phrases("near_misses")[topic.name]:
            if taken.isdisjoint(map(stem, entry["would"])):
                found += [f for line in entry["asks"] if (f := frames.get(line)) and not near(line, others)]
    return found


_ANY_THING = frozenset(("item", "items", "thing", "object", "entry", "list", "record"))
# Tools that make a thing of one's own: one may also want it deleted, printed, shared.
_OF_THINGS = frozenset("create send book remind".split())


def near_deeds(tools: Sequence[ToolDefinition], split: str) -> list[Frame]:
    """What one says of the tools' things, and other deeds on them, which no tool does: "print the invoice" where invoices can only be created.

    `phrases/near_deeds.json` holds them by deed, with the words of tools that would do it; left out where such a word stands in
    the definition of a tool that speaks of the thing.
    """
    if answers_anything(tools):
        return []
    found = []
    for tool in tools:
        thing = re.sub(r"^(?:an?|the|my) ", "", objects_of(tool.name, tool.description)[-1])
        plain = re.fullmatch(r"[\w'-]+(?: [\w'-]+)?", thing)  # no sign that means something in a frame
        act = act_of(tool.name, tool.description)[0]
        if not plain or thing in _ANY_THING:
            continue
        nouns = {stem(w) for w in thing.split()}
        taken = words_in([t for t in tools if nouns & words_in([t])])
        taken |= {stem(w) for t in tools if t is not tool for w in words_of(t.name)}
        for deed, entry in phrases("near_deeds").items():
            if deed == "talk" or (act in _OF_THINGS and taken.isdisjoint(map(stem, entry["would"].split()))):
                asks = share_out(entry["asks"], split)
                found += [parse(line.replace("{thing}", thing), f"near_{deed}/{line}") for line in asks]
    return found


def topic_of_shape(shape: str) -> Topic | None:
    """The topic whose frame a no-call prompt was made after; None for chat."""
    name = shape.split("/")[0].removeprefix("near_")
    return next((t for t in topics() if t.name == name), None)


def words_in(tools: Sequence[ToolDefinition]) -> set[str]:
    """All words in the definitions of tools."""
    return {stem(w) for tool in tools for w in words_of(json.dumps(tool.to_openai()["function"]))}


# Shipped tools: distractors in tool lists, and what requests that no tool covers ask for.


@cache
def _pool() -> tuple[tuple[ToolDefinition, frozenset[str], str], ...]:
    """The shipped tools, the stems that tell another tool does the same, and the topic each looks like."""
    return tuple(
        (
            ToolDefinition(e["name"], e["description"], e["parameters"]),
            frozenset(map(stem, e["does"])),
            e.get("beside", ""),
        )
        for e in phrases("distractors")["tools"]
    )


def fitting_distractors(tools: Sequence[ToolDefinition]) -> list[tuple[ToolDefinition, bool]]:
    """The shipped tools that do nothing any of `tools` does; True with those that look like one of them.

    A look-alike ("get_weather_alerts" beside "get_weather") may share a topic; any other must be far from all tools.
    """
    spoken = {stem(w) for tool in tools for w in words_of(f"{tool.name} {tool.description}")}
    taken = {frozenset(words_of(t.name)) for t in tools}
    own = {t.name for tool in tools if (t := topic_of(tool)) is not None}
    found = []
    for tool, does, beside in _pool():
        if frozenset(words_of(tool.name)) in taken or does & spoken:
            continue
        alike = beside in own
        topic = topic_of(tool)
        far = not near(" ".join(words_of(tool.name)), tools) and not (topic and kindred(topic, tools))
        if alike or far:
            found.append((tool, alike))
    return found
