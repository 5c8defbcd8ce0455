"""Tools whose enum says what is done: one tool adds, deletes and shows what is on a list.

`phrases/enum_deeds.json` has the words of enums for a deed ("words"), and by what is managed ("families") sentences for each deed,
of its own and of topics: "I need to remember to {main}" adds to a list of things to do.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache

from auto_lora.catalog import ToolDefinition
from auto_lora.catalog.definition import per_tool
from auto_lora.dialogues.definitions.acted_on import objects_of
from auto_lora.dialogues.definitions.frames import Frame
from auto_lora.dialogues.definitions.meaning import asks, is_action, makes
from auto_lora.dialogues.definitions.phrasebook import UNSAID, by_split, fills, main_roles, phrases, words_of
from auto_lora.dialogues.definitions.roles import roles_of
from auto_lora.dialogues.definitions.topics import frames_for, topic_of, topics

_WHERE = frozenset("list owner room device".split())  # where the thing is, whatever is done to it
_ALL_OF_THEM = frozenset("list list_all get_all show_all".split())
_TIMELY = frozenset("duration time start date".split())


@dataclass(frozen=True)
class Family:
    """What is managed: its nouns, topics with the sentences of a deed.

    `asked`: "what it holds": things are put into it and taken out of it; "by itself": "set the alarm"; "by name": either.
    """

    name: str
    nouns: frozenset[str]
    topics: Mapping[str, str]
    asked: str
    deeds: frozenset[str]


@cache
def _families() -> tuple[Family, ...]:
    return tuple(
        Family(
            n, frozenset(e["nouns"].split()), e["topics"], e["asked"], frozenset([*e["topics"], *e["frames"]])
        )
        for n, e in phrases("enum_deeds")["families"].items()
    )


@cache
def deed_of(value: str) -> str:
    """The deed that an enum's value names: "remove" of "delete_item"; "" where none is known."""
    known = {word: deed for deed, words in phrases("enum_deeds")["words"].items() for word in words.split()}
    words = words_of(value)
    whole = known.get("_".join(words), "")
    nouns = {"item", "items", "all"}.union(*(f.nouns for f in _families()))
    return whole or (known.get(words[0], "") if words and nouns.issuperset(words[1:]) else "")


def words_for(deed: str) -> list[str]:
    """The words that an enum may have for a deed."""
    return str(phrases("enum_deeds")["words"].get(deed, "")).split()


@per_tool
def managed_by(tool: ToolDefinition) -> str:
    """The argument that says what is done; "" where there is none, or more than one."""
    roles = roles_of(tool)
    found = [
        n
        for n, s in tool.properties.items()
        if roles[n] == "action"
        and isinstance(s, Mapping)
        and s.get("enum")
        and is_action(n, s, asks(tool), made=makes(tool))
    ]
    return found[0] if len(found) == 1 else ""


def deeds_named(tool: ToolDefinition) -> list[str]:
    """The values of the enum that says what is done, without those that stand for no wish."""
    values = tool.properties[managed_by(tool)]["enum"]
    return [v for v in values if v not in UNSAID] or list(values)


@per_tool
def family_of(tool: ToolDefinition) -> Family | None:
    """What a tool manages by an enum; None for any other tool, and where none of its values is a known deed."""
    if not managed_by(tool):
        return None
    acted_on = [w for phrase in objects_of(tool.name, tool.description) for w in words_of(phrase)]
    deeds = {deed_of(v) for v in deeds_named(tool)}
    for said in ({*words_of(tool.name)}, {*acted_on, *words_of(tool.description.partition(".")[0])}):
        for family in _families():
            if family.nouns & said and family.deeds & deeds:
                return family
    return None


def alone(tool: ToolDefinition, tools: list[ToolDefinition]) -> bool:
    """Whether no other tool of a list manages or does anything with the same thing, so that "pause it" asks for this one."""
    family = family_of(tool)
    if family is None:
        return False
    others = [t for t in tools if t.name != tool.name]
    named = {*family.topics.values()}
    return not any(
        family_of(t) == family
        or family.nouns & {*words_of(t.name)}
        or ((topic := topic_of(t)) is not None and topic.name in named)
        for t in others
    )


def sentences(tool: ToolDefinition, value: str, split: str) -> list[Frame]:
    """Sentences for one value of the enum, which say it without its verb; only those that have a place for all that is required."""
    family, deed = family_of(tool), deed_of(value)
    if family is None:
        return []
    found: list[Frame] = []
    lines = phrases("enum_deeds")["families"][family.name]["frames"].get(deed, [])
    found += by_split(f"{family.name}_{deed}", lines)[split] if lines else ()
    named = family.topics.get(deed)
    found += [f for topic in topics() if topic.name == named for f in frames_for(topic, tool, split)]
    roles = roles_of(tool)
    required = [roles[n] for n in tool.required if n != managed_by(tool)]
    return [f for f in found if all(_has_place(f, role) for role in required)]


def _has_place(frame: Frame, role: str) -> bool:
    main = "main" in frame.named and is_main(role)
    return main or role == "boolean" or any(fills(role, slot) for slot in frame.named)


def is_main(role: str) -> bool:
    """Whether an argument of this role may stand right after the verb: what is put on a list."""
    return any(fills(role, m) for m in main_roles("act"))


def left_out(frame: Frame | None, tool: ToolDefinition) -> frozenset[str]:
    """Arguments that nobody gives with such a deed: no item where the list is shown, no number of what is only now added."""
    if frame is None or not frame.means:
        return frozenset()
    family, roles, value = family_of(tool), roles_of(tool), frame.means[managed_by(tool)]
    free = {n: r for n, r in roles.items() if n not in frame.means and n not in tool.required}
    if family is None:  # of all users none is named
        return frozenset(n for n in free if value in _ALL_OF_THEM and "enum" not in tool.properties[n])
    deed, silent = deed_of(value), "action" not in frame.named
    mains = [n for n, r in free.items() if is_main(r)]
    if deed in ("", "update"):
        return frozenset()
    if deed in ("add", "play"):
        return frozenset(n for n, r in free.items() if r == "identifier" and mains)
    kept = {n for n, r in free.items() if any(fills(r, slot) for slot in frame.named)}
    if "main" in frame.named:
        kept |= {*mains}
    if not silent and deed not in ("show", "clear"):
        timely = () if family.asked == "what it holds" else ("time", "date", "label")
        kept |= {n for n, r in free.items() if r in ("identifier", *timely) and "main" not in frame.named}
    if deed not in ("show", "clear"):
        kept |= {n for n, r in free.items() if r in _WHERE}
    return frozenset(free.keys() - kept)


def needs(frame: Frame | None, tool: ToolDefinition, given: Collection[str]) -> set[str]:
    """An argument that a deed cannot do without: what is removed or changed; what is added says at least one."""
    if frame is None or not frame.means:
        return set()
    roles, out, family, doing = roles_of(tool), left_out(frame, tool), family_of(tool), managed_by(tool)
    deed = deed_of(frame.means[doing])
    mains = [n for n in roles if is_main(roles[n])]
    keys = [n for n in roles if roles[n] == "identifier"] + mains
    free = [n for n in roles if n not in given and n not in out]
    if "main" in frame.needed and not set(mains) & set(given):
        return {next((n for n in mains if n in free), "")} - {""}
    if deed == "update" and keys and not set(keys) & set(given):
        return {*[n for n in keys if n in free][:1]}
    if deed == "update" and set(given) <= {doing, *keys}:
        return {*[n for n in free if n not in keys][:1]}
    if deed == "add" and set(given) <= {doing}:
        told = _TIMELY if family and family.asked == "by itself" else {roles[n] for n in mains}
        return {*sorted(free, key=lambda n: roles[n] not in told)[:1]}
    return set()
