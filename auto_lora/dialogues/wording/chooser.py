"""Which sentence a tool is asked for in, and which of its arguments are given in it.

The frames of a tool are its topic's, where the topic is this tool's alone, and those of what it does ("get", "set", "book").
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Mapping, Sequence

from auto_lora.catalog import ToolDefinition
from auto_lora.dialogues.definitions.acted_on import measured_by, objects_of
from auto_lora.dialogues.definitions.deeds import other_deeds, says
from auto_lora.dialogues.definitions.enum_deeds import alone, left_out, managed_by, needs
from auto_lora.dialogues.definitions.frames import Frame
from auto_lora.dialogues.definitions.meaning import act_of, asks, decides, is_settings, switches_of, tool_act
from auto_lora.dialogues.definitions.phrasebook import (
    act_frames,
    fills,
    main_roles,
    measure_frames,
    slots_for,
    stem,
)
from auto_lora.dialogues.definitions.programs import is_function, is_program
from auto_lora.dialogues.definitions.roles import KINDS, roles_of
from auto_lora.dialogues.definitions.things import THINGS
from auto_lora.dialogues.definitions.topics import Topic, frames_for, topic_of
from auto_lora.dialogues.values.described import described_frames, runs_alone
from auto_lora.dialogues.wording.clause import OWN_SLOTS
from auto_lora.dialogues.wording.kinds import with_kinds
from auto_lora.dialogues.wording.managed import by_value
from auto_lora.dialogues.wording.phrased import BESIDE
from auto_lora.dialogues.wording.said import with_slots
from auto_lora.dialogues.wording.together import NAMES, lesser_kinds, neighbours, supported

_NOTHING_GIVEN = 0.15  # of the requests to a tool that requires nothing: "turn off the lights"
# Acts whose sentences have other verbs than the tool's own too ("change the lock"): beside them "lock the screen" is asked for,
# but not "turn the heater", which needs its "off".
_OWN_VERB = frozenset("book create play remove send set switch track".split())
_PARTED = frozenset("put switch turn".split())
# Verbs that an act's sentences stand for: "send the email" is no reply to one, "cancel" is not asked for as "close".
_ALIKE = {
    "send": "send mail",
    "create": "create make add generate write draft build",
    "set": "set change adjust update modify configure edit put",
    "book": "book reserve order buy purchase",
    "remove": "delete remove cancel clear drop discard",
    "play": "play stream listen watch",
}
# What people call some values of enums in sentences.
_ALSO = {
    "phone": ("number",),
    "stolen": ("stole", "robbed", "wallet"),
    "lost": ("lose", "missing"),
    "sick": ("ill",),
    "hourly": ("hour",),
}
# "Get me a ticket" beside a search for tickets makes none.
_WANTED = re.compile(r"(?:get me|i need|i want|i'd like) \{object\}", re.I)
_ASKS_WHICH = re.compile(r"\W*(?:which|where|who|what)\b", re.I)
_IT = re.compile(r"\b(?:it|this|that|these|those|them)\b", re.I)
_ASKS_HOW = re.compile(r"how|what|which|show me how|is there a way|(?:my|in my) \(")
_WHOLE_HOUSE = re.compile(r"\bthe (?:whole )?(?:house|place|home|apartment|flat)\b")
_SETS = re.compile(r"(?:resume|skip|shuffle|next)\b(?= (?:(?:the|this|my) )?(?:music|song|track)\b)")
_DESCRIBED = 0.35  # of commands, to one that is quoted
_WORDY = 0.3  # of the requests give most of what they could
# Not said where the sentence has no place for it: "the weather with windy".
_UNSAID_AT_END = ("kind", "weather", "warmth")
# "Are there any options for" what one buys or goes to.
_OFFERED = re.compile(r"where can i get|are there any options|do you have", re.I)
_TO_BE_HAD = frozenset(
    "product item dish drink cuisine kind_place amount place poi origin destination ingredient genre title song artist book movie event service".split()
)
_REFUNDS = re.compile(r"refund|money back|give me back|want my money", re.I)
_RETURNS = re.compile(r"\breturn|\bsend|\blabel|\bexchange", re.I)
_ANYTHING = frozenset("query title topic generic".split())  # what any search looks for
_ANYWHERE = ("date", "time", "when", "daypart", "place", "here")  # said at the end of whatever is asked


class FrameChooser:
    """Chooses frames of one split.

    Args:
        tools: the whole list; where two share a topic, its sentences tell neither from the other and are not used.
    """

    def __init__(self, rng: random.Random, split: str, tools: Sequence[ToolDefinition] = ()) -> None:
        self.random, self.split, self._tools = rng, split, list(tools)
        names = Counter(topic.name for tool in tools if (topic := topic_of(tool)))
        self._crowded = {name for name, count in names.items() if count > 1}
        finders = [roles_of(t) for t in tools if tool_act(t)[0] == "find" or tool_act(t) == ("get", "list")]
        # Of several that search, "find Waterloo" asks for none, unless only one of them looks for such a thing.
        self._sought = (
            Counter(r for roles in finders for r in set(roles.values())) if len(finders) > 1 else None
        )
        self._alike = sum(map(is_settings, tools)) > 1  # "set it to high": which of them?
        self._candidates: dict[str, list[tuple[Frame, float]]] = {}
        self._filled_by: dict[tuple[str, frozenset[str]], list[tuple[Frame, float]]] = {}

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
        # Whether it is to be on or off, and what is to be done, is always said.
        doing = managed_by(tool)
        roles, required = roles_of(tool), {*tool.required, *switches_of(tool), *([doing] if doing else [])}
        if not at_least and _changes(tool, roles):
            at_least = 1
        lesser = lesser_kinds(tool, roles, self.topic_of(tool))
        dated = asks(tool) and "date" in roles.values()  # what is looked up is of a day, seldom of an hour
        bare, wordy = not required - {doing}, self.random.random() < _WORDY
        if bare and not doing and not at_least and self.random.random() < self._nothing_given(tool):
            return self._frame_for(tool, set()), []
        for _ in range(20):
            frame = self._frame_for(
                tool, set(roles.values()) if bare or optional else {roles[n] for n in required}
            )
            given, out = set(required), left_out(frame, tool)
            for name, role in roles.items():
                if name in given or name in out or (not bare and not optional):
                    continue
                if name in lesser and self.random.random() < 0.8:
                    continue
                mine = slots_for(role)
                if role == "kind_place" and "kind" in roles.values():
                    mine -= {"kind"}  # "what cinemas are playing"
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
                if dated and role in ("time", "daypart") and not needed:
                    chance /= 2
                if bare and role == "here":  # as common as a place, which goes before it
                    chance = max(chance, 0.4)
                chance *= 1 + (weights or {}).get(name, 0.0)
                if needed or self.random.random() < chance:
                    given.add(name)
            if bare or optional:
                given |= neighbours(self.random, given, roles) - out
            given |= needs(frame, tool, given)
            given |= needs(frame, tool, given)  # what is changed, and into what
            sought = frame is not None and "kind" in frame.named
            apart = sought or not NAMES & {roles[n] for n in given}
            if apart:
                given -= lesser - required  # stands beside a name only: "the film Rust"
            given = supported(self.random, given, roles, required, frame)
            free = [n for n in roles if n not in given and n not in out and not (apart and n in lesser)]
            self.random.shuffle(free)
            if frame:  # first what it has a place for
                free.sort(key=lambda n: bool(slots_for(roles[n]) & frame.named))
            while free and (len(given - required) < at_least or not given):
                given = supported(self.random, given | {free.pop()}, roles, required, frame)
            beside = {r for n in given for r in BESIDE.get(roles[n], ((), ()))[0]}
            unsaid = [n for n in given - required if not _sayable(roles[n], frame) and roles[n] not in beside]
            if not unsaid and len(given - required) >= min(at_least, len(roles) - len(required)):
                break
        else:  # nowhere to say them
            given -= set(unsaid)
        return frame, [n for n in tool.properties if n in given]

    def _nothing_given(self, tool: ToolDefinition) -> float:
        """How many of the requests name no argument; fewer where the topic has no sentence for that."""
        topic = self.topic_of(tool)
        said = topic is None or any(not f.needed - OWN_SLOTS for f in frames_for(topic, tool, self.split))
        return _NOTHING_GIVEN if said else _NOTHING_GIVEN / 2

    def _frame_for(self, tool: ToolDefinition, roles: set[str]) -> Frame | None:
        usable = self.usable(tool, roles)
        return self.random.choices(*zip(*usable, strict=True))[0] if usable else None  # type: ignore[arg-type]

    def usable(self, tool: ToolDefinition, roles: set[str]) -> list[tuple[Frame, float]]:
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
        """The tool's frames of this split with weights: three quarters to its topic's, where it has one that names what is asked for."""
        if tool.name not in self._candidates:
            topic, (act, verb), roles = self.topic_of(tool), tool_act(tool), set(roles_of(tool).values())
            own = [with_kinds(with_slots(f, tool), tool, topic) for f in frames_for(topic, tool, self.split)] if topic else []  # fmt: skip
            own = _without_answers(own, tool)
            if topic and topic.field and len(tool.required) > 1:  # "try it with 45" of two numbers
                own = [f for f in own if len(f.needed - OWN_SLOTS) > 1]
            if act in ("book", "create") or verb == "place":  # "which places deliver pizza" orders none
                own = [f for f in own if not _ASKS_WHICH.match(f.text)]
            things = {roles_of(tool)[n] for n in tool.required if n in roles_of(tool)} & THINGS
            if things:  # "I'll have it, into the cart" of what is named behind
                own = [
                    f
                    for f in own
                    if any(fills(r, slot) for r in things for slot in f.named) or not _IT.search(f.text)
                ]
            if "regex" in roles:  # to grep is not to list a directory
                own = [f for f in own if "query" in f.named]
            if "setting" in roles:  # "shuffle the music" gives it
                own = [f for f in own if not _SETS.match(f.text)]
            if "room" in roles:  # "hold the house at 20 in the kitchen"
                own = [f for f in own if not _WHOLE_HOUSE.search(f.text)]
            if verb == "refund":  # whose sentences ask for a return beside it
                own = [f for f in own if _REFUNDS.search(f.text) and not _RETURNS.search(f.text)]
            general: list[Frame] = []
            turns = act_of(tool.name, tool.description)[0] == "switch"
            if act in ("switch", "act") or not (own and turns):  # "set the lights" does not say off
                alike = verb in _ALIKE.get(act, verb).split() if act != "switch" else "state" in roles
                # "Turn off the heater", "forward the mail".
                general += act_frames(act if alike else "do", self.split)
                if act == "any":
                    general += act_frames("any", self.split)[:2]
            if any(isinstance(s, Mapping) and decides(s, tool) for s in tool.properties.values()):
                general = [f for f in general if "main" not in f.named]  # "approve sounds good to me"
            if act == "create" and any(asks(t) and _same_thing(t, tool) for t in self._tools):
                general = [f for f in general if not _WANTED.match(f.text)]
            if act == "find" and not roles & _TO_BE_HAD:
                general = [f for f in general if not _OFFERED.match(f.text)]
            if act == "find" and self._sought is not None:
                mine = {
                    r for r in main_roles(act) if r in roles and r not in _ANYTHING and self._sought[r] == 1
                }
                general = [f for f in general if mine or "object" in f.named]
            general += self._measuring(tool, act)
            if is_settings(tool):
                settings = act_frames("settings", self.split)
                general = [*general, *(f for f in settings if not self._alike or "object" in f.named)]
            if act in ("compute", "run") and any(fills(r, m) for r in roles for m in main_roles(act)):
                # "Compute 3 + 4", not "compute the expression of 3 + 4".
                general = [f for f in general if "main" in f.needed]
            plain = act_frames("do", self.split) if act in _OWN_VERB and verb not in _PARTED else ()
            if topic and topic.whole and own:
                general, plain = [], ()
            must = roles & {"state", "action"}  # on or off, and what to do, must have their place
            # Few sentences are not said in three quarters of the cases.
            groups: tuple[tuple[Sequence[Frame], float], ...] = (
                (own, 0.15 if topic and topic.field else min(3.0, 0.5 * len(own))),
                (general, 1.0),
                (plain, 1.0),
                (_programs(tool, self.split), 0.5),
            )
            if runs_alone(tool, self._tools):
                groups = (
                    *groups,
                    (described_frames(self.split), _DESCRIBED * sum(w for fs, w in groups if fs)),
                )
            if not any(_answers(f, roles, main_roles(act)) for f in (*own, *general)):  # none can be filled
                groups = (*groups, (act_frames("do", self.split), 1.0))
            fitting = [([f for f in frames if must <= f.named], weight) for frames, weight in groups]
            if deeds := other_deeds(tool):  # "send an invoice" where an argument says whether to send it
                fitting = [([f for f in fs if not says(deeds).search(_fixed(f))], w) for fs, w in fitting]
            found = [(f, w / len(frames)) for frames, w in fitting for f in frames]
            if managed_by(tool):
                found = by_value(tool, self.split, found, lambda fs: _without_answers([with_slots(f, tool) for f in fs], tool), alone=alone(tool, self._tools))  # fmt: skip
            self._candidates[tool.name] = found
        return self._candidates[tool.name]

    def _measuring(self, tool: ToolDefinition, act: str) -> list[Frame]:
        """Questions for what a tool measures: "how far is it", "how many days are there"; none where another tool measures it, too."""
        if act not in ("get", "compute", "do", "any"):
            return []
        mine = measured_by(tool)
        topic = topic_of(tool)
        crowded = topic is not None and topic.name in self._crowded
        alone = not crowded and sum(measured_by(t) == mine for t in self._tools) == 1
        return list(measure_frames(mine, self.split)) if mine and alone else []


def _programs(tool: ToolDefinition, split: str) -> list[Frame]:
    """Sentences of who writes programs, who asks how to call a function; "how do I restart the service" restarts none."""
    frames = list(act_frames("program", split)) if is_program(tool) else []
    return frames if is_function(tool) else [f for f in frames if not _ASKS_HOW.match(f.text)]


# Roles that say what is to be changed, not into what.
_WHICH = frozenset(
    "identifier room device lamp generic person person_name thing_name username server vehicle list playlist file repo".split()
)


def _changes(tool: ToolDefinition, roles: Mapping[str, str]) -> bool:
    """Whether a tool changes something, and none of the arguments it requires says into what: "change the light 17"."""
    required = [roles[n] for n in tool.required if n in roles]
    changing = act_of(tool.name, tool.description)[0] == "set" and len(roles) > len(required)
    return changing and bool(required) and _WHICH.issuperset(required)


def _without_answers(frames: list[Frame], tool: ToolDefinition) -> list[Frame]:
    """Without sentences that hold a value of one of the tool's enums: it would stand beside another, or unlabelled."""
    roles = roles_of(tool)
    said: set[str] = set()
    for name, schema in tool.properties.items():
        if isinstance(schema, Mapping) and roles[name] not in (*KINDS, "state", "action", "delivery"):
            said |= {
                w
                for v in schema.get("enum") or ()
                if isinstance(v, str) and re.fullmatch(r"\w.*\w", v)
                for w in (v.lower(), *_ALSO.get(v.lower(), ()))
            }
    said -= {"on", "off", "all", "any", "now", "new", "open", "none"}
    if not said:
        return frames
    held = re.compile(rf"\b(?:{'|'.join(map(re.escape, sorted(said)))})\b", re.I)
    return [f for f in frames if not held.search(_fixed(f))]


def _fixed(frame: Frame) -> str:
    """A frame's own words, without its slots."""
    return re.sub(r"\{[^}]*\}", "", frame.text)


def _sayable(role: str, frame: Frame | None) -> bool:
    """Whether an argument of this role can be said in a frame: in a place for it, or at the end."""
    return role not in _UNSAID_AT_END or (frame is not None and bool(slots_for(role) & frame.named))


def _answers(frame: Frame, roles: set[str], main: Sequence[str]) -> bool:
    """Whether every slot outside brackets can be filled; `main`: what may stand right after the tool's verb."""
    if frame.means and "action" not in roles:
        return False
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


def _same_thing(one: ToolDefinition, other: ToolDefinition) -> bool:
    """Whether two tools act on the same thing, by the last words of what they act on."""
    heads = [
        {stem(p.split()[-1].lower()) for p in objects_of(t.name, t.description) if p} for t in (one, other)
    ]
    return bool(heads[0] & heads[1])
