"""The built-in writer: words for planned calls, from the phrasebook.

A prompt is a frame ("do I need an umbrella [{+place}] [{+date}]") with the arguments' words in its slots, those it does not
name at the end, and around it openers, reasons, closers, casing and typos as people type them.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from auto_lora.catalog import ToolDefinition
from auto_lora.dialogues.clause import (
    BARE_TIMES,
    BESIDE,
    OWN_SLOTS,
    OWN_WORDS,
    Clause,
    PlannedCall,
    is_question,
)
from auto_lora.dialogues.frames import Frame, Slot, fill, parse
from auto_lora.dialogues.meaning import KINDS, act_of, is_settings, roles_of, tool_act
from auto_lora.dialogues.naming import spoken_name
from auto_lora.dialogues.near import answers_anything, kindred, near, near_misses, touches
from auto_lora.dialogues.phrasebook import (
    act_frames,
    fills,
    main_roles,
    phrases,
    share_out,
    slots_for,
    tails_of,
    values_of,
)
from auto_lora.dialogues.pools import Pools
from auto_lora.dialogues.said import with_slots
from auto_lora.dialogues.several import gathered, may_follow
from auto_lora.dialogues.style import Style
from auto_lora.dialogues.topics import Topic, topic_of, topics

# Says nothing without the other: where such an argument is given, one of those must be.
_LEANS_ON = {
    "spatial": ("poi", "place", "kind", "here"), "rating_unit": ("rating",), "rating_max": ("rating",), "owner": ("playlist", "list"),
    "position": ("kind", "title"), "series": ("title", "position"), "rating": ("title", "position", "kind", "book", "movie", "song"),
}  # fmt: skip
_ONE_BY_ONE = 0.15  # of several calls of one tool, where each has more than one argument
_NOTHING_GIVEN = 0.15  # of the requests to a tool that requires nothing: "turn off the lights"
# Acts whose sentences have other verbs than the tool's own too ("change the lock"): beside them "lock the screen" is asked for,
# but not "turn the heater", which needs its "off".
_OWN_VERB = frozenset("book create play remove send set switch track".split())
_PARTED = frozenset("put switch turn".split())
_WORDY = 0.3  # of the requests give most of what they could
# Not said where the sentence has no place for it: "the weather with windy".
_UNSAID_AT_END = ("kind", "weather", "warmth")
_QUOTES = "\"'”’»"
_ANYWHERE = ("date", "time", "when", "daypart", "place", "here")  # said at the end of whatever is asked


@dataclass(frozen=True)
class Written:
    """A prompt and the shape it was made after (frame names joined by `+`)."""

    text: str
    shape: str


class BuiltinWriter:
    """Writes prompts without a model.

    Args:
        rng: the source of all choices.
        split: whose frames may be used.
        style: how people type; default: the phrasebook's own way.
        tools: the whole list; where two share a topic, its sentences tell neither from the other and are not used.
    """

    name = "builtin"

    def __init__(
        self, rng: random.Random, split: str, style: Style | None = None, tools: Sequence[ToolDefinition] = ()
    ) -> None:
        self.random = rng
        names = Counter(topic.name for tool in tools if (topic := topic_of(tool)))
        self._crowded = {name for name, count in names.items() if count > 1}
        self._alike = sum(map(is_settings, tools)) > 1  # "set it to high": which of them?
        self.style = style
        self.split = split
        self.pools = Pools(rng)
        self._candidates: dict[str, list[tuple[Frame, float]]] = {}
        self._filled_by: dict[tuple[str, frozenset[str]], list[tuple[Frame, float]]] = {}
        self._missed: dict[tuple[str, ...], list[Frame]] = {}
        self._far: dict[tuple[str, ...], list[Topic]] = {}
        self._chat: dict[tuple[str, ...], list[tuple[list[str], str]]] = {}

    def choose(
        self,
        tool: ToolDefinition,
        *,
        optional: float,
        at_least: int = 0,
        weights: Mapping[str, float] | None = None,
    ) -> tuple[Frame | None, list[str]]:
        """A frame, and the arguments that one would give in it.

        Required arguments are always given. Optional ones: those that the frame needs, with probability `optional` those it
        has a place for, seldom others; where nothing is required, one in seven requests gives no argument at all.

        Args:
            optional: 0: only what is required, where something is.
            at_least: optional arguments that must be given.
            weights: extra weight of parameters that should be given more often.
        """
        roles, required = roles_of(tool), set(tool.required)
        bare, wordy = not required, self.random.random() < _WORDY
        if bare and not at_least and self.random.random() < self._nothing_given(tool):
            return self._frame_for(tool, set()), []
        for _ in range(20):
            frame = self._frame_for(
                tool, set(roles.values()) if bare or optional else {roles[n] for n in required}
            )
            given = set(required)
            for name, role in roles.items():
                if name in given or (not bare and not optional):
                    continue
                mine = slots_for(role)
                needed = (
                    frame is not None
                    and bool(mine & frame.needed)
                    and not any(fills(roles[g], slot) for g in given for slot in mine & frame.needed)
                )
                likely = frame is not None and bool(mine & frame.named)
                if likely:
                    chance = 0.8 if wordy or role in KINDS else 0.4
                elif not _sayable(role, frame):
                    continue
                elif (
                    bare and frame is not None and "tail" in frame.named
                ):  # a sentence that has room for anything
                    chance = 0.4 if wordy else 0.2
                elif bare and frame is not None:
                    chance = 0.12 if wordy or role in _ANYWHERE else 0.05
                else:
                    chance = max(optional, 0.12)
                chance *= 1 + (weights or {}).get(name, 0.0)
                if needed or self.random.random() < chance:
                    given.add(name)
            if bare or optional:
                given |= self._neighbours(given, roles)
            given = self._supported(given, roles, required)
            free = [n for n in roles if n not in given]
            self.random.shuffle(free)
            if frame:  # first what it has a place for
                free.sort(key=lambda n: bool(slots_for(roles[n]) & frame.named))
            while free and (len(given - required) < at_least or not given):
                given = self._supported(given | {free.pop()}, roles, required)
            beside = {r for n in given for r in BESIDE.get(roles[n], ((), ()))[0]}
            unsaid = [n for n in given - required if not _sayable(roles[n], frame) and roles[n] not in beside]
            if not unsaid and len(given - required) >= min(at_least, len(roles) - len(required)):
                break
        else:  # nowhere to say them
            given -= set(unsaid)
        return frame, [n for n in tool.properties if n in given]

    def _neighbours(self, given: set[str], roles: dict[str, str]) -> set[str]:
        """Some of what stands right beside a given argument: the unit of a rating, the owner of a playlist."""
        found = set()
        for head in sorted(given):
            before, after = BESIDE.get(roles[head], ((), ()))
            beside = [
                n for n, r in roles.items() if n not in given and r in (*before, *(r for r, _ in after))
            ]
            found |= {n for n in beside if self.random.random() < 0.6 / len(beside)}
        return found

    def _nothing_given(self, tool: ToolDefinition) -> float:
        """How many of the requests name no argument; fewer where the topic has no sentence for that."""
        topic = self.topic_of(tool)
        said = topic is None or any(not f.needed - OWN_SLOTS for f in topic.frames[self.split])
        return _NOTHING_GIVEN if said else _NOTHING_GIVEN / 2

    def _supported(self, given: set[str], roles: dict[str, str], required: set[str]) -> set[str]:
        """Without arguments that say nothing alone; what they lean on is added where the tool has it.

        Nobody names a place and says "here", too.
        """
        if any(roles[g] in ("place", "region", "country") for g in given):
            given = {g for g in given if roles[g] != "here" or g in required}
        for name in sorted(given - required):
            wanted = _LEANS_ON.get(roles[name])
            if wanted and not any(roles[g] in wanted for g in given):
                able = [n for n, r in roles.items() if r in wanted]
                if able and self.random.random() < 0.8:
                    given = given | {self.random.choice(able)}
                else:
                    given = given - {name}
        return given

    def _frame_for(self, tool: ToolDefinition, roles: set[str]) -> Frame | None:
        usable = self._usable(tool, roles)
        return self.random.choices(*zip(*usable, strict=True))[0] if usable else None  # type: ignore[arg-type]

    def _usable(self, tool: ToolDefinition, roles: set[str]) -> list[tuple[Frame, float]]:
        """The tool's frames whose slots these roles fill, with weights."""
        key = tool.name, frozenset(roles)
        if key not in self._filled_by:
            if len(self._filled_by) > 2000:  # tools with many arguments: memory stays as it is
                self._filled_by.clear()
            main = main_roles(tool_act(tool)[0])
            self._filled_by[key] = [(f, w) for f, w in self._frames(tool) if _answers(f, roles, main)]
        return self._filled_by[key]

    def topic_of(self, tool: ToolDefinition) -> Topic | None:
        """The topic of a tool, where it is this tool's alone."""
        topic = topic_of(tool)
        return None if topic is None or topic.name in self._crowded else topic

    def _frames(self, tool: ToolDefinition) -> list[tuple[Frame, float]]:
        """The tool's frames of this split with weights: three quarters to its topic's, where it has one."""
        if tool.name not in self._candidates:
            topic, (act, verb), roles = self.topic_of(tool), tool_act(tool), set(roles_of(tool).values())
            own = [with_slots(f, tool) for f in topic.frames[self.split]] if topic else []
            general: list[Frame] = []
            turns = act_of(tool.name, tool.description)[0] == "switch"
            if act in ("switch", "act") or not (own and turns):  # "set the lights" does not say off
                if act != "switch" or "state" in roles:
                    general += act_frames(act, self.split)
                else:  # "turn off the heater"
                    general += act_frames("do" if " " in verb else "set", self.split)
                if act == "any" or not own:
                    general += act_frames("any", self.split)[:2]
            if is_settings(tool):
                settings = act_frames("settings", self.split)
                general = [*general, *(f for f in settings if not self._alike or "object" in f.named)]
            if act in ("compute", "run") and any(fills(r, m) for r in roles for m in main_roles(act)):
                # "Compute 3 + 4", not "compute the expression of 3 + 4".
                general = [f for f in general if "main" in f.needed]
            plain = act_frames("do", self.split) if act in _OWN_VERB and verb not in _PARTED else ()
            must = roles & {"state", "action"}  # on or off, and what to do, must have their place
            groups = ((own, 3.0), (general, 1.0), (plain, 1.0))
            fitting = [([f for f in frames if must <= f.named], weight) for frames, weight in groups]
            self._candidates[tool.name] = [(f, w / len(frames)) for frames, w in fitting for f in frames]
        return self._candidates[tool.name]

    def write(self, calls: Sequence[PlannedCall], *, chain: bool = False) -> Written | None:
        """A prompt that asks for `calls` in order; None when no frame of this split fits."""
        wanted, best = 0, self._joined(calls, chain)
        if self.style:  # of some wordings the one that is nearest to the length of one of the user's prompts
            wanted = self.random.choice(self.style.lengths)
            free = [replace(call, frame=None) for call in calls]
            others = [self._joined(free, chain) for _ in range(5)]
            found = [w for w in [best, *others] if w is not None]
            best = min(found, key=lambda w: abs(len(w.text.split()) - wanted), default=None)
        if best is None:
            return None
        said = [(roles_of(c.tool)[n], v.surface) for c in calls for n, v in c.shown().items() if v.surface]
        text = self._around(best.text, question=is_question(best.text), wanted=wanted, said=said)
        return Written(text.lower() if calls[0].casual else text, best.shape)

    def _joined(self, calls: Sequence[PlannedCall], chain: bool) -> Written | None:
        """One clause a call, with joiners; several calls of one tool now and then in one breath."""
        several = len(calls) > 1 and not chain  # what an earlier result gives has no words to gather
        together = gathered(calls) if several and self.random.random() < 0.8 else None
        if together:
            call, in_turn = together
            made = self._clause(call)
            return replace(made, text=f"{made.text} respectively") if made and in_turn else made
        one_by_one = self._one_by_one(calls) if several and self.random.random() < _ONE_BY_ONE else None
        if one_by_one:
            return one_by_one
        made = self._clause(calls[0], alone=len(calls) == 1)
        if made is None:
            return None
        text, shape = made.text, made.shape
        for before, call in pairwise(calls):
            if not chain and may_follow(call, before) and self.random.random() < 0.5:
                text += self.random.choice(phrases("around")["again"]) + self._bare(call)
                continue
            made = self._clause(call)
            if made is None:
                return None
            joiner = self.random.choice(phrases("around")["chain_joiners" if chain else "joiners"])
            text += joiner + (made.text[0].upper() + made.text[1:] if joiner.endswith(". ") else made.text)
            shape += f"+{made.shape}"
        return Written(text, shape)

    def _one_by_one(self, calls: Sequence[PlannedCall]) -> Written | None:
        """What is asked, then each call's arguments: "compute the area of a triangle: the first with a base of 5 and ..., the second ..."."""
        tool = calls[0].tool
        frames = self._usable(tool, set())
        if not frames or not all(may_follow(b, a) for a, b in pairwise(calls)):
            return None
        long_enough = [w for w in phrases("around")["one_by_one"] if len(w) >= len(calls)]
        if not long_enough or any(len(c.shown()) < 2 for c in calls):
            return None
        asked = self._clause(
            replace(calls[0], values={}, frame=self.random.choices(*zip(*frames, strict=True))[0])
        )  # type: ignore[arg-type]
        if asked is None:
            return None
        words = self.random.choice(long_enough)
        parts = [before + self._bare(call) for before, call in zip(words, calls, strict=False)]
        return Written(asked.text + "".join(parts), f"{asked.shape}+")

    def _bare(self, call: PlannedCall) -> str:
        """A call's arguments alone, as after a sentence for another call of its tool."""
        return Clause(self.random, call, parse("{tail}")).text() or ""

    def _clause(self, call: PlannedCall, *, alone: bool = False) -> Written | None:
        for frame in self._frames_of(call):
            text = Clause(self.random, call, frame, alone=alone).text()
            if text is not None:
                return Written(text, frame.name)
        return None

    def _frames_of(self, call: PlannedCall) -> list[Frame]:
        """The planned frame first; else frames that leave few arguments over."""
        roles = roles_of(call.tool)
        shown = {roles[n] for n in call.shown()}
        usable = self._usable(call.tool, shown)
        picked = [call.frame] if call.frame is not None else []
        if usable:
            weights = [
                w * 0.3 ** sum(not slots_for(r) & f.named and r != "boolean" for r in shown)
                for f, w in usable
            ]
            picked += self.random.choices([f for f, _ in usable], weights, k=3)
        return picked

    def no_call(
        self, tools: Sequence[ToolDefinition], wanted: Mapping[str, float] | None = None
    ) -> tuple[Written, str] | None:
        """A prompt that no tool serves, and the answer to it; None when the tools' words are near it.

        Chat; a request on a topic that none of the tools is about, worded like any other request; in a tenth, where there are
        such, a request beside a tool's topic (`near_misses`). `wanted` gives topics extra weight.
        """
        missed, kind = self._near_misses(tools), self.random.random()
        if kind < 0.35:
            stock, answer = self.random.choice(self._chat_beside(tools))
            frame = parse(self.random.choice(stock))
        else:
            frames: Sequence[Frame] = missed if kind >= 0.9 else ()
            others = [] if frames else self._far_topics(tools)
            if others:
                weights = [1.0 + (wanted or {}).get(t.name, 0.0) for t in others]
                frames = self.random.choices(others, weights)[0].frames[self.split]
            if not frames:
                return None
            frame, answer = self.random.choice(frames), str(phrases("no_call")["uncovered"])
        prompt, shape = self._filled(frame), frame.name
        if prompt is None:
            return None
        if not shape.startswith("near_") and near(prompt, tools):
            return None
        prompt = self._around(prompt, question=is_question(prompt), plain=True)
        lower = self.style.lower if self.style else 0.4
        return Written(prompt.lower() if self.random.random() < lower else prompt, shape), answer

    def _chat_beside(self, tools: Sequence[ToolDefinition]) -> list[tuple[list[str], str]]:
        """Groups of what people say beside requests, and their answers; questions only where no tool may take them."""
        names = tuple(t.name for t in tools)
        if names not in self._chat:
            uncovered, asked = phrases("no_call")["uncovered"], answers_anything(tools)
            self._chat[names] = []
            for group in phrases("chat")["groups"]:
                stock = share_out(group["prompts"], self.split)
                stock = [p for p in stock if not ("{" in p and touches(p, tools))]
                if stock and not (asked and group["answer"] == uncovered):
                    self._chat[names].append((stock, group["answer"]))
        return self._chat[names]

    def _far_topics(self, tools: Sequence[ToolDefinition]) -> list[Topic]:
        names = tuple(t.name for t in tools)
        if names not in self._far:
            self._far[names] = [t for t in topics() if not kindred(t, tools)]
        return self._far[names]

    def _near_misses(self, tools: Sequence[ToolDefinition]) -> list[Frame]:
        names = tuple(t.name for t in tools)
        if names not in self._missed:
            self._missed[names] = near_misses(tools, self.split)
        return self._missed[names]

    def _filled(self, frame: Frame) -> str | None:
        """A frame with made-up values and without a tool."""
        chosen = set(frame.needed) | {r for r in sorted(frame.named) if self.random.random() < 0.35}

        def words(slot: Slot) -> str:
            value = self.pools.make(values_of(slot.role))
            form = self.random.choice(tails_of(slot.role))
            bare = not slot.phrase or BARE_TIMES.match(value) is not None
            return value if bare else form.format(v=value, name=slot.role)

        made = fill(frame, chosen.__contains__, words, self.random)
        return " ".join(made.split()).lstrip(" ,") if made else None

    def ask_for(self, parameter: str, kind: object = "string") -> str:
        """The question for a required argument that was not given."""
        return str(phrases("no_call")["missing"]).format(
            name=" ".join(spoken_name(parameter, number=kind in ("integer", "number")))
        )

    def _around(
        self,
        text: str,
        *,
        question: bool,
        plain: bool = False,
        wanted: int = 0,
        said: Sequence[tuple[str, str]] = (),
    ) -> str:
        """What people put before and after a request, as they type it.

        Args:
            said: roles and words of the arguments. Nobody could tell "play songs by Daniel, Carolyn" or "say I'm late asap".
        """
        begins = any(text.startswith(words) for _, words in said)
        ends = {role for role, words in said if text.endswith(words) and words[-1] not in _QUOTES}
        closer = "" if ends & OWN_WORDS else self._line("closers", named=not ends)
        if self.style:
            spare = wanted - len(text.split())
            return self.style.typed(text, self.random, question=question, spare=spare, closer=closer)
        book, chance = phrases("around"), self.random.random
        if not plain and chance() < 0.12:
            text = self.random.choice(book["reasons"]) + text
        elif chance() < (0.1 if plain else 0.25):
            text = self._line("openers", named=not begins) + text
        asks = "please" in text.split()
        if not plain and not asks and not question and chance() < 0.2:
            text += closer
        style = chance()
        if style < 0.4:
            return text
        end = "?" if question else self.random.choice([".", "", "!"] if style < 0.9 else [".", ""])
        return text[0].upper() + text[1:] + (end if text[-1] not in ".!?" else "")

    def _line(self, kind: str, *, named: bool) -> str:
        """An opener or closer; some address the assistant by a name, where `named`."""
        line = self.random.choice([x for x in phrases("around")[kind] if named or "{" not in x])
        return line.format(name=self.pools.make("assistant")) if "{" in line else line


def _sayable(role: str, frame: Frame | None) -> bool:
    """Whether an argument of this role can be said in a frame: in a place for it, or at the end."""
    return role not in _UNSAID_AT_END or (frame is not None and bool(slots_for(role) & frame.named))


def _answers(frame: Frame, roles: set[str], main: Sequence[str]) -> bool:
    """Whether every slot outside brackets can be filled; `main`: what may stand right after the tool's verb."""
    for slot in frame.needed:
        if slot == "given":
            if not roles:
                return False
        elif slot == "main":
            if not any(fills(r, m) for m in main for r in roles):
                return False
        elif slot not in OWN_SLOTS and not any(fills(r, slot) for r in roles):
            return False
    return True
