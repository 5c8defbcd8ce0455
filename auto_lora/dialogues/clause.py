"""One planned call put into one frame of the phrasebook: arguments in its slots, the rest at its end."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, replace

from auto_lora.catalog import ToolDefinition
from auto_lora.dialogues.frames import Frame, Slot, fill
from auto_lora.dialogues.phrasebook import (
    fills,
    is_state,
    main_roles,
    objects_of,
    phrases,
    role_of,
    tails_of,
    tool_act,
    topic_of,
    words_of,
)
from auto_lora.dialogues.values import Value

OWN_SLOTS = frozenset(("object", "verb", "main", "tail"))  # those of acts, which stand for no role
# What stands beside an argument when both are given: role to (before, after with its form).
BESIDE: dict[str, tuple[tuple[str, ...], tuple[tuple[str, str], ...]]] = {
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
BARE_TIMES = re.compile(
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


def roles_of(tool: ToolDefinition) -> dict[str, str]:
    """The role of each parameter, as slots of frames know it."""
    found = {}
    for name, schema in tool.properties.items():
        schema = schema if isinstance(schema, dict) else {}
        kind = schema.get("type", "string")
        role = role_of(name, str(schema.get("description", "")), kind if isinstance(kind, str) else "string")
        found[name] = "state" if is_state(schema) else "boolean" if kind == "boolean" else role
    return found


class Clause:
    """One call put into one frame."""

    def __init__(self, rng: random.Random, call: PlannedCall, frame: Frame) -> None:
        self.random, self.call, self.frame = rng, call, frame
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
        if slot in OWN_SLOTS:
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
            key=lambda n: self.roles[n] not in BESIDE
        )  # heads first, so that they take their neighbours
        phrased = [self._phrase(n, self.left.pop(n)) for n in names if n in self.left]
        self.random.shuffle(phrased)
        return " ".join(parts + phrased)

    def _with_neighbours(self, name: str, value: Value) -> str:
        """An argument's words, with those that stand right beside it."""
        before, after = BESIDE.get(self.roles[name], ((), ()))
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
            BARE_TIMES.match(text) or role in ("frequency", "here")
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


def _is_person(call: PlannedCall) -> bool:
    hidden = " ".join(words_of(" ".join(call.hidden)))
    return any(
        w in hidden
        for w in ("contact", "user", "person", "customer", "employee", "recipient", "patient", "member")
    )
