"""The built-in writer: words for planned calls, from the phrasebook.

A prompt is a frame ("do I need an umbrella [{+place}] [{+date}]") with the arguments' words in its slots, those it does not
name at the end, and around it openers, reasons, closers, casing and typos as people type them.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from auto_lora.catalog import ToolDefinition
from auto_lora.dialogues.frames import Frame, Slot, fill, parse
from auto_lora.dialogues.near import kindred, near, near_misses
from auto_lora.dialogues.phrasebook import (
    act_frames,
    fills,
    is_state,
    main_roles,
    objects_of,
    phrases,
    role_of,
    share_out,
    slots_for,
    tails_of,
    tool_act,
    topic_of,
    topics,
    words_of,
)
from auto_lora.dialogues.pools import Pools
from auto_lora.dialogues.style import Style
from auto_lora.dialogues.values import Value

_OWN_SLOTS = frozenset(("object", "verb", "main", "tail"))  # those of acts, which stand for no role
# What stands beside an argument when both are given: role to (before, after with its form).
_BESIDE: dict[str, tuple[tuple[str, ...], tuple[tuple[str, str], ...]]] = {
    "place": ((), (("region", ", {v}"), ("country", ", {v}"))),
    "region": ((), (("country", ", {v}"),)),
    "poi": (("spatial",), (("place", " in {v}"),)),
    "playlist": (("owner",), ()),
    "list": (("owner",), ()),
    "kind": (("position", "sort", "mood", "genre", "cuisine", "year", "color", "size"), ()),
    "song": (("kind",), ()), "title": (("kind",), ()), "album": ((), ()), "book": (("kind",), ()), "movie": (("kind",), ()),
    "rating": ((), (("rating_unit", " {v}"), ("rating_max", " out of {v}"))),
    "amount": ((), (("currency", " {v}"), ("currency_from", " {v}"))),
    "number": ((), (("unit_from", " {v}"), ("unit", " {v}"))),
    "date": ((), (("daypart", " {v}"), ("time", " at {v}"))),
    "dish": ((), (("org", " from {v}"),)),
}  # fmt: skip
# Says nothing without the other: where such an argument is given, one of those must be.
_LEANS_ON = {
    "spatial": ("poi", "place", "kind", "here"), "rating_unit": ("rating",), "rating_max": ("rating",), "owner": ("playlist", "list"),
    "position": ("kind", "title"), "series": ("title", "position"), "rating": ("title", "position", "kind", "book", "movie", "song"),
}  # fmt: skip
_NOTHING_GIVEN = 0.2  # of the requests to a tool that requires nothing: "turn off the lights"
_WORDY = 0.3  # of the requests give most of what they could
_ANYWHERE = ("date", "time", "when", "daypart", "place", "here")  # said at the end of whatever is asked
# Words of a frame that are an argument where the tool has one for them: role to (what stands there, what it becomes).
_SAID_BY_FRAMES = {
    "owner": (r"\bmy (?=playlist\b|list\b|\{playlist\}|\{list\})", "{owner} "),
    "position": (r"\bthis (?=\{kind\})", "{position} "),
}
_BARE_TIMES = re.compile(
    r"(?:today|tomorrow|yesterday|tonight|next|this|every|in|at|on|after|before|around|by|between|now|right now|later|soon|the day|a week|"
    r"half an hour|during|early|late|each|for|from|until|since|noon|midnight|weekly|daily|\w+ (?:days|weeks) from)\b",
    re.I,
)


@dataclass(frozen=True)
class PlannedCall:
    """A tool and its arguments with their surfaces, in schema order.

    `hidden` are arguments whose value comes from an earlier result, so no words give it. `frame` is the sentence
    that the arguments were chosen for, None when any will do. `casual`: typed without capitals.
    """

    tool: ToolDefinition
    values: dict[str, Value]
    hidden: frozenset[str] = frozenset()
    frame: Frame | None = None
    casual: bool = False

    def arguments(self) -> dict[str, object]:
        return self.tool.order_arguments({name: value.json for name, value in self.values.items()})

    def shown(self) -> dict[str, Value]:
        return {n: v for n, v in self.values.items() if n not in self.hidden}


@dataclass(frozen=True)
class Written:
    """A prompt and the shape it was made after (frame names joined by `+`)."""

    text: str
    shape: str


def roles_of(tool: ToolDefinition) -> dict[str, str]:
    """The role of each parameter, as slots of frames know it."""
    found = {}
    for name, schema in tool.properties.items():
        schema = schema if isinstance(schema, dict) else {}
        kind = schema.get("type", "string")
        role = role_of(name, str(schema.get("description", "")), kind if isinstance(kind, str) else "string")
        found[name] = "state" if is_state(schema) else "boolean" if kind == "boolean" else role
    return found


class BuiltinWriter:
    """Writes prompts without a model.

    Args:
        rng: the source of all choices.
        split: whose frames may be used.
        style: how people type; default: the phrasebook's own way.
    """

    name = "builtin"

    def __init__(self, rng: random.Random, split: str, style: Style | None = None) -> None:
        self.random = rng
        self.style = style
        self.split = split
        self.pools = Pools(rng)
        self._candidates: dict[str, list[tuple[Frame, float]]] = {}
        self._missed: dict[tuple[str, ...], list[Frame]] = {}

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
        has a place for, seldom others; where nothing is required, one in five requests gives no argument at all.

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
                    chance = 0.8 if wordy else 0.4
                elif role == "kind":
                    chance = 0.01
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
            while free and (len(given - required) < at_least or not given):
                given = self._supported(given | {free.pop()}, roles, required)
            if len(given - required) >= min(at_least, len(roles) - len(required)):
                break
        return frame, [n for n in tool.properties if n in given]

    def _neighbours(self, given: set[str], roles: dict[str, str]) -> set[str]:
        """Some of what stands right beside a given argument: the unit of a rating, the owner of a playlist."""
        found = set()
        for head in sorted(given):
            before, after = _BESIDE.get(roles[head], ((), ()))
            beside = [
                n for n, r in roles.items() if n not in given and r in (*before, *(r for r, _ in after))
            ]
            found |= {n for n in beside if self.random.random() < 0.6 / len(beside)}
        return found

    def _nothing_given(self, tool: ToolDefinition) -> float:
        """How many of the requests name no argument; fewer where the topic has no sentence for that."""
        topic = topic_of(tool)
        said = topic is None or any(not f.needed - _OWN_SLOTS for f in topic.frames[self.split])
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
        usable = [(f, w) for f, w in self._frames(tool) if self._answers(f, roles, tool)]
        return self.random.choices(*zip(*usable, strict=True))[0] if usable else None  # type: ignore[arg-type]

    def _frames(self, tool: ToolDefinition) -> list[tuple[Frame, float]]:
        """The tool's frames of this split with weights: three quarters to its topic's, where it has one."""
        if tool.name not in self._candidates:
            topic, (act, _), states = topic_of(tool), tool_act(tool), "state" in roles_of(tool).values()
            own = [_with_slots(f, tool) for f in topic.frames[self.split]] if topic else []
            act = "switch" if states else "set" if act == "switch" else act
            general: list[Frame] = []
            if states or not (own and tool_act(tool)[0] == "switch"):  # "set the lights" does not say off
                general += act_frames(act, self.split)
                if act == "any" or not own:
                    general += act_frames("any", self.split)[:2]
            self._candidates[tool.name] = [(f, 3.0 / len(own)) for f in own] + [
                (f, 1.0 / len(general)) for f in general
            ]
        return self._candidates[tool.name]

    def _answers(self, frame: Frame, roles: set[str], tool: ToolDefinition) -> bool:
        """Whether every slot outside brackets can be filled; on or off must have its place."""
        if "state" in roles_of(tool).values() and "state" not in frame.named:
            return False
        for slot in frame.needed:
            if slot == "main":
                if not any(fills(r, m) for m in main_roles(tool_act(tool)[0]) for r in roles):
                    return False
            elif slot not in _OWN_SLOTS and not any(fills(r, slot) for r in roles):
                return False
        return True

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
        text = self._around(best.text, question=_is_question(best.text), wanted=wanted)
        return Written(text.lower() if calls[0].casual else text, best.shape)

    def _joined(self, calls: Sequence[PlannedCall], chain: bool) -> Written | None:
        """One clause a call, with joiners."""
        parts = [self._clause(call) for call in calls]
        if any(part is None for part in parts):
            return None
        texts = [part.text for part in parts if part]
        shape = "+".join(part.shape for part in parts if part)
        text = texts[0]
        for following in texts[1:]:
            joiner = self.random.choice(phrases("around")["chain_joiners" if chain else "joiners"])
            text += joiner + (following[0].upper() + following[1:] if joiner.endswith(". ") else following)
        return Written(text, shape)

    def _clause(self, call: PlannedCall) -> Written | None:
        for frame in self._frames_of(call):
            text = _Clause(self, call, frame).text()
            if text is not None:
                return Written(text, frame.name)
        return None

    def _frames_of(self, call: PlannedCall) -> list[Frame]:
        """The planned frame first; else frames that leave few arguments over."""
        roles = roles_of(call.tool)
        shown = {roles[n] for n in call.shown()}
        usable = [(f, w) for f, w in self._frames(call.tool) if self._answers(f, shown, call.tool)]
        picked = [call.frame] if call.frame is not None else []
        if usable:
            weights = [
                w * 0.3 ** sum(not slots_for(r) & f.named and r != "boolean" for r in shown)
                for f, w in usable
            ]
            picked += self.random.choices([f for f, _ in usable], weights, k=3)
        return picked

    def no_call(self, tools: Sequence[ToolDefinition]) -> tuple[Written, str] | None:
        """A prompt that no tool serves, and the answer to it; None when the tools' words are near it.

        Chat; a request on a topic that none of the tools is about, worded like any other request; in a tenth, where there are
        such, a request beside a tool's topic (`near_misses`).
        """
        missed, kind = self._near_misses(tools), self.random.random()
        if kind < 0.45:
            group = self.random.choice(phrases("chat")["groups"])
            stock = share_out(group["prompts"], self.split) or group["prompts"][:1]
            prompt = shape = self.random.choice(stock)
            answer = group["answer"]
        else:
            frames: Sequence[Frame] = missed if kind >= 0.9 else ()
            others = [] if frames else [t for t in topics() if not kindred(t, tools)]
            if others:
                frames = self.random.choice(others).frames[self.split]
            frame = self.random.choice(frames) if frames else None
            made = self._filled(frame) if frame else None
            if frame is None or made is None:
                return None
            prompt, shape, answer = made, frame.name, str(phrases("no_call")["uncovered"])
        if not shape.startswith("near_") and near(prompt, tools):
            return None
        prompt = self._around(prompt, question=_is_question(prompt), plain=True)
        lower = self.style.lower if self.style else 0.4
        return Written(prompt.lower() if self.random.random() < lower else prompt, shape), answer

    def _near_misses(self, tools: Sequence[ToolDefinition]) -> list[Frame]:
        names = tuple(t.name for t in tools)
        if names not in self._missed:
            self._missed[names] = near_misses(tools, self.split)
        return self._missed[names]

    def _filled(self, frame: Frame) -> str | None:
        """A frame with made-up values and without a tool."""
        chosen = set(frame.needed) | {r for r in sorted(frame.named) if self.random.random() < 0.35}

        def words(slot: Slot) -> str:
            value = self.pools.make(slot.role)
            form = self.random.choice(tails_of(slot.role))
            bare = not slot.phrase or _BARE_TIMES.match(value) is not None
            return value if bare else form.format(v=value, name=slot.role)

        made = fill(frame, chosen.__contains__, words, self.random)
        return " ".join(made.split()) if made else None

    def ask_for(self, parameter: str) -> str:
        """The question for a required argument that was not given."""
        return str(phrases("no_call")["missing"]).format(name=" ".join(words_of(parameter)))

    def _around(self, text: str, *, question: bool, plain: bool = False, wanted: int = 0) -> str:
        if self.style:
            return self.style.typed(text, self.random, question=question, spare=wanted - len(text.split()))
        book, chance = phrases("around"), self.random.random
        if not plain and chance() < 0.12:
            text = self.random.choice(book["reasons"]) + text
        elif chance() < (0.1 if plain else 0.25):
            text = self.random.choice(book["openers"]) + text
        asks = "please" in text.split()
        if not plain and not asks and not question and chance() < 0.2:
            text += self.random.choice(book["closers"])
        style = chance()
        if style < 0.4:
            return text
        end = "?" if question else self.random.choice([".", "", "!"] if style < 0.9 else [".", ""])
        return text[0].upper() + text[1:] + (end if text[-1] not in ".!?" else "")


class _Clause:
    """One call put into one frame."""

    def __init__(self, writer: BuiltinWriter, call: PlannedCall, frame: Frame) -> None:
        self.random, self.call, self.frame = writer.random, call, frame
        self.roles = roles_of(call.tool)
        self.left = dict(call.shown())
        self.act, self.verb = tool_act(call.tool)

    def text(self) -> str | None:
        """The clause; None when the frame has a slot that no argument fills."""
        made = fill(self._typed(), self._has, self._words, self.random)
        if made is None:
            return None
        if "tail" not in self.frame.named:
            made = f"{made} {self._tail()}"
        text = re.sub(r"\s+([,.;?])", r"\1", " ".join(made.split()))
        return re.sub(r"\ba (?=[aeio]\w)", "an ", text)

    def _typed(self) -> Frame:
        """The frame, now and then with two letters of one word swapped; never inside a slot."""
        parts = list(self.frame.parts)
        plain = [(i, p) for i, p in enumerate(parts) if isinstance(p, str) and re.search(r"[a-z]{5}", p)]
        if not plain or self.random.random() > 0.04:
            return self.frame
        i, text = self.random.choice(plain)
        word = self.random.choice(re.findall(r"[a-z]{5,}", text))
        at = self.random.randrange(1, len(word) - 2)
        parts[i] = text.replace(word, word[:at] + word[at + 1] + word[at] + word[at + 2 :], 1)
        return replace(self.frame, parts=tuple(parts))

    def _find(self, slot: str) -> str | None:
        """The argument for a slot: one of that very role before a kindred one."""
        exact = [n for n in self.left if self.roles[n] == slot]
        kin = [n for n in self.left if fills(self.roles[n], slot)]
        return next(iter(exact or kin), None)

    def _main(self) -> str | None:
        for role in main_roles(self.act):
            found = [
                n
                for n, v in self.left.items()
                if fills(self.roles[n], role) and isinstance(v.json, (str, int, float))
            ]
            found = [n for n in found if n in self.call.tool.required or role != "generic"]
            if found:
                return found[0]
        return None

    def _has(self, slot: str) -> bool:
        if slot in _OWN_SLOTS:
            return slot != "main" or self._main() is not None
        return self._find(slot) is not None

    def _words(self, slot: Slot) -> str | None:
        if slot.role == "object":
            topic = topic_of(self.call.tool)
            named = [f"the {noun}" for noun in topic.nouns] if topic else []
            return self.random.choice([*named, *objects_of(self.call.tool.name, self.call.tool.description)])
        if slot.role == "verb":
            return self.verb
        if slot.role == "tail":
            return self._tail()
        name = self._main() if slot.role == "main" else self._find(slot.role)
        if name is None:
            return None
        value = self.left.pop(name)
        return self._phrase(name, value) if slot.phrase else self._with_neighbours(name, value)

    def _tail(self) -> str:
        """What the frame has no place for, in any order, with prepositions."""
        parts = []
        if self.call.hidden:
            kind = "person" if _is_person(self.call) else "thing"
            parts.append(self.random.choice(phrases("around")["links"][kind]))
        names = list(self.left)
        self.random.shuffle(names)
        names.sort(
            key=lambda n: self.roles[n] not in _BESIDE
        )  # heads first, so that they take their neighbours
        phrased = [self._phrase(n, self.left.pop(n)) for n in names if n in self.left]
        self.random.shuffle(phrased)
        return " ".join(parts + phrased)

    def _with_neighbours(self, name: str, value: Value) -> str:
        """An argument's words, with those that stand right beside it."""
        before, after = _BESIDE.get(self.roles[name], ((), ()))
        text = value.surface
        for role in before:
            found = next(
                (n for n in self.left if self.roles[n] == role and role not in self.frame.named), None
            )
            if found and self.random.random() < 0.85:
                text = f"{self.left.pop(found).surface} {text}"
        for role, form in after:
            found = next(
                (n for n in self.left if self.roles[n] == role and role not in self.frame.named), None
            )
            if found and self.random.random() < 0.85:
                text += form.format(v=self.left.pop(found).surface)
        return text

    def _phrase(self, name: str, value: Value) -> str:
        """An argument with its preposition: "in the kitchen", "at 7 pm", "tomorrow", "priority high"."""
        role = self.roles[name]
        if role == "boolean":
            return value.surface
        spatial = next((n for n in self.left if self.roles[n] == "spatial"), None)
        if role in ("place", "poi") and spatial:
            return f"{self.left.pop(spatial).surface} {self._with_neighbours(name, value)}"
        text = self._with_neighbours(name, value)
        if role in ("date", "time", "when", "daypart", "frequency", "here") and (
            _BARE_TIMES.match(text) or role in ("frequency", "here")
        ):
            return text
        if role == "daypart":
            return f"in the {text}"
        if role == "when":
            return self.random.choice(["on {v}", "for {v}", "at {v}"]).format(v=text)
        twice = sum(r == role for r in self.roles.values()) > 1
        plain = value.role in ("generic", "number") or (
            isinstance(value.json, (int, float)) and not re.search(r"[^\d.]", text)
        )
        forms = (
            tails_of("generic")
            if (twice or plain) and role not in ("rating", "temperature")
            else tails_of(role)
        )
        if role == "room" and re.match(r"(?:the|my|our|all|every|up|down)", text):
            forms = ["in {v}"]
        return self.random.choice(forms).format(v=text, name=" ".join(words_of(name)))


def _with_slots(frame: Frame, tool: ToolDefinition) -> Frame:
    """The frame with slots for those of its words that are arguments of this tool."""
    text = frame.text
    for role in set(roles_of(tool).values()) & _SAID_BY_FRAMES.keys():
        text = re.sub(*_SAID_BY_FRAMES[role], text)
    return frame if text == frame.text else parse(text, frame.name)


def _is_question(text: str) -> bool:
    first = text.split()[0].lower().rstrip(",")
    return first in {
        "what",
        "what's",
        "can",
        "could",
        "would",
        "do",
        "does",
        "how",
        "where",
        "which",
        "who",
        "is",
        "any",
        "when",
        "why",
        "are",
    }


def _is_person(call: PlannedCall) -> bool:
    hidden = " ".join(words_of(" ".join(call.hidden)))
    return any(
        w in hidden
        for w in ("contact", "user", "person", "customer", "employee", "recipient", "patient", "member")
    )


def _second_person(request: str) -> str:
    return re.sub(r"\bme\b", "you", re.sub(r"\bmy\b", "your", request))
