"""Topic packs: sentences that people use for one kind of tool, and which tool is of that kind.

Each file of `phrases/topics/` is a topic ("weather", "set_alarm", ...), found by the words of a tool's name and description.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files

from auto_lora.catalog import ToolDefinition
from auto_lora.catalog.definition import per_tool
from auto_lora.dialogues.definitions.acted_on import objects_of
from auto_lora.dialogues.definitions.frames import Frame
from auto_lora.dialogues.definitions.meaning import act_of, switches_of, verb_act
from auto_lora.dialogues.definitions.phrasebook import all_verbs, by_split, is_state, stem, words_of

# What a description says of how a tool does its work, up to the end of the sentence: its topic is not there.
_MEANS = re.compile(
    r"\b(?:based on|using|given|by (?:specifying|providing|using)|for (?:the )?(?:customers?|users?)\b)[^.;]*",
    re.I,
)
_COMMON_STEMS = frozenset(
    ("nam", "the", "for", "new", "off", "all", "and", "with", "info", "information", "detail")
)
# Acts that ask for something, and those that do something: by its name's first word a topic, and a tool, is of one or the other.
_ASKED = frozenset("find get track".split())
_WANTED = frozenset("lookup search query info balance price results transactions".split())
_DONE = frozenset("create book remove send set remind play switch".split())


_SAYS_NO_DEED = frozenset("get put make take give have need want".split())  # "get rid of it"
_ASKS = re.compile(r"(?:what|which|who|has|have i|how(?! do)|am|is|are|does|do|when|where)\b", re.I)


# What stands after "to", "into" or "from" is where things go.
_WHERE = re.compile(
    r"\b(?:to|into|onto|from) (?:(?:the|a|an|your|my|their|one|of|user) )*(?:\w+ )??(?:(?:shopping|todo|do|task) )?(\w+)"
)


@dataclass(frozen=True)
class Topic:
    """A topic pack: cues in tools' words, nouns, frames by split; `mixed`: its frames ask for several things to be done.

    `unlike`: its nouns are not one thing (the volume, the language). `unless`: a tool with one of these words is of another.
    `field`: they name a field ("do the physics"), not what is asked for. `whole`: the sentences of acts ("add the playlist", "rate
    the rating") say something else of its things. `told`: frames with such words are for tools whose definition has such: who won,
    of one that tells results.
    """

    name: str
    cues: tuple[tuple[str, ...], ...]
    nouns: tuple[str, ...]
    frames: Mapping[str, tuple[Frame, ...]]
    mixed: bool = False
    field: bool = False
    unlike: bool = False
    unless: frozenset[str] = frozenset()
    whole: bool = False
    told: tuple[tuple[re.Pattern[str], re.Pattern[str]], ...] = ()

    @cached_property
    def words(self) -> frozenset[str]:
        """What its cues and nouns speak of, verbs apart."""
        spoken = {w for cue in self.cues for w in cue} | {stem(w) for n in self.nouns for w in words_of(n)}
        return frozenset(w for w in spoken if len(w) > 2) - all_verbs() - _COMMON_STEMS

    @cached_property
    def asks(self) -> bool:
        """Whether its sentences want to know something: the weather, a contact's number."""
        return verb_act(words_of(self.name)[0]) in ("", *_ASKED) and self.name != "list_add"

    @cached_property
    def switches(self) -> bool:
        """Whether its frames need to be told on or off."""
        return all("state" in f.needed for f in self.frames["train"])


@cache
def topics() -> tuple[Topic, ...]:
    """All topic packs, in alphabetical order."""
    folder = files("auto_lora.dialogues").joinpath("phrases/topics")
    found = []
    for file in sorted(folder.iterdir(), key=lambda f: f.name):
        if file.name.endswith(".json"):
            entry = json.loads(file.read_text(encoding="utf-8"))
            name = file.name.removesuffix(".json")
            cues = tuple(tuple(stem(w) for w in words_of(cue)) for cue in entry["cues"])
            found.append(
                Topic(
                    name,
                    cues,
                    tuple(entry["nouns"]),
                    by_split(name, entry["frames"]),
                    entry.get("mixed", False),
                    entry.get("field", False),
                    entry.get("unlike", False),
                    frozenset(entry.get("unless", ())),
                    entry.get("whole", False),
                    tuple(
                        (re.compile(rf"\b(?:{said})", re.I), re.compile(rf"\b(?:{words})", re.I))
                        for said, words in entry.get("told", {}).items()
                    ),
                )
            )
    return tuple(found)


@cache
def _tool_words(name: str, description: str) -> tuple[frozenset[str], frozenset[str]]:
    about = _MEANS.sub(" ", description)
    return frozenset(map(stem, words_of(name))), frozenset(map(stem, words_of(about)))


def likeness(topic: Topic, name: str, description: str) -> float:
    """How much of a topic's cues a tool's name (2 a word) and description (1 a word) hold; the best cue counts most."""
    named, described = _tool_words(name, description)
    scores = [
        sum(2 if w in named else 1 for w in cue)
        for cue in topic.cues
        if all(w in named or w in described for w in cue)
    ]
    return max(scores, default=0.0) + 0.1 * sum(scores)


@cache
def _topic_of(name: str, description: str, switches: bool) -> Topic | None:
    best, found = 2.0, None
    spoken = [stem(w) for w in words_of(name) if stem(w) not in all_verbs()]
    said = set(words_of(f"{name} {description}"))
    for topic in topics():
        if said & topic.unless:
            continue
        score = likeness(topic, name, description)
        # Turning off is another topic than switching on or off.
        score -= 1.5 * (switches != topic.switches)
        # One word in three is no topic: a forecast of a forest's growth is not the weather's.
        if score < 3.0 and sum(w in topic.words for w in spoken) * 2 < len(spoken):
            continue
        if score >= best and _is_about(topic, name, description):
            best, found = score + 1e-9, topic
    return found


def _is_about(topic: Topic, name: str, description: str) -> bool:
    """Whether a tool does to the topic's things what the topic's sentences ask for.

    What it is named after last, or what its description acts on, must be one of them: the hours of a branch are not git's. A topic
    that asks is none of a tool that does something, nor the other way round: "save_recipe" finds no recipe.
    """
    named, own = words_of(name), words_of(topic.name)
    begins, kind = (verb_act(words[0]) if words else "" for words in (named, own))
    if own == named[:1]:  # "deploy_app"
        return True
    act, verb = act_of(name, description)
    begins = begins or ("" if act == "any" else act)  # "hr_post_job_opening" posts
    kind = kind or ("find" if own[-1] == "search" else "")
    undone = begins == "remove" and kind in ("create", "book", "send")
    other_deed = begins == kind == "do" and not any(stem(verb) in cue for cue in topic.cues)
    if (
        undone or other_deed or (begins in _ASKED and kind == "do")
    ):  # a leave's balance is no request for leave
        return False
    things = topic.words | {stem(w) for w in own} | {cue[-1] for cue in topic.cues if len(cue) > 1}
    things -= _COMMON_STEMS
    nouns = [stem(w) for w in named[bool(begins) :] if len(w) > 2 and stem(w) not in _COMMON_STEMS]
    acted_on = [re.split(r" (?:of|and|or)\b", phrase)[0].split() for phrase in objects_of(name, description)]
    heads = {*nouns[-1:], *(stem(words[-1].lower()) for words in acted_on if words)}
    heads -= _COMMON_STEMS
    if (nouns or named[-1:] == ["info"]) and heads.isdisjoint(things):
        return False
    if named[:1] in (["log"], ["record"]) and own[0] != named[0]:  # to log a call is not to make one
        return False
    if any(stem(word) in cue for word in named[:1] for cue in topic.cues):
        return True
    if own[-1] == "status" or (kind in _ASKED and topic.name != "list_add"):
        return begins in ("", "any", *_ASKED)
    if begins in _DONE and own[-1] in _WANTED:  # to create a customer is not to look one up
        return False
    return not (begins in _ASKED and kind in _DONE)


@per_tool
def topic_of(tool: ToolDefinition) -> Topic | None:
    """The topic a tool is about; None when no cue is in its words."""
    switches = any(is_state(s) for s in tool.properties.values() if isinstance(s, dict)) or switches_of(tool)
    topic = _topic_of(tool.name, tool.description, bool(switches))
    url = any(
        words_of(n)[-1:] == ["url"] for n in tool.required
    )  # to navigate to a page is no way through a town
    named = topic is not None and any("url" in f.named for f in topic.frames["train"])
    return None if url and not named else topic


def frames_for(topic: Topic, tool: ToolDefinition, split: str) -> list[Frame]:
    """A topic's frames that ask for what a tool does; all of them, but where a topic's sentences ask for several things.

    "delete_branch" is git's, but neither "make a branch" nor "undo commit {identifier}" asks for it.
    """
    defined = " ".join(
        [*words_of(tool.name), tool.description, *(" ".join(words_of(n)) for n in tool.properties)]
    )
    unlike = [said for said, words in topic.told if not words.search(defined)]
    frames = [f for f in topic.frames[split] if not any(said.search(f.text) for said in unlike)]
    if not topic.mixed:
        return frames
    act, verb = act_of(tool.name, tool.description)
    own = {stem(w) for w in words_of(tool.name)}
    nouns = {stem(words_of(n)[-1]) for n in topic.nouns} - {stem(topic.name)}
    found = []
    for frame in frames:
        said = re.sub(r"\{[^}]*\}", " ", frame.text)
        words = words_of(said)
        stems = set(map(stem, words))
        asks = _ASKS.match(said) is not None
        acts = {"get", "find"} if asks else {verb_act(w) for w in words if w not in _SAYS_NO_DEED} - {"do"}
        # "Show the commit history" is to show, not to commit.
        by_verb = not asks and stem(verb.partition(" ")[0]) in stems - _SAYS_NO_DEED and acts <= {"", act}
        done = bool(own & stems) if act == "any" else act in acts or by_verb
        named = stems & nouns
        if done and named <= own and (named or by_verb or stem(topic.name) in own):
            found.append(frame)
    return found


def nouns_for(topic: Topic, tool: ToolDefinition) -> tuple[str, ...]:
    """A topic's nouns; of a mixed one, or one of unlike nouns, those that the tool is named after, of a field none."""
    if topic.field:
        return ()
    named = set(map(stem, words_of(tool.name)))
    where = {
        stem(w)
        for said in (" ".join(words_of(tool.name)), tool.description.lower())
        for w in _WHERE.findall(said.replace("'s ", " "))
    }
    nouns = [n for n in topic.nouns if stem(words_of(n)[-1]) not in where]  # "add to cart" adds no cart
    all_fit = not (topic.mixed or topic.unlike)
    return tuple(n for n in nouns if all_fit or named & set(map(stem, words_of(n))))
