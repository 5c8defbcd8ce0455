"""Arguments first: values sampled from a parameter's schema and meaning, each with its surface.

A surface is how a person would write the value: "half past seven in the evening" for "19:30",
"twenty" for 20. Labels are right by construction because the value comes before the words.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from dataclasses import replace
from math import ceil, floor
from typing import Any

from auto_lora.dialogues.definitions.decisions import decided
from auto_lora.dialogues.definitions.meaning import is_action
from auto_lora.dialogues.definitions.phrasebook import UNSAID, is_state, phrases, words_of
from auto_lora.dialogues.definitions.programs import is_programs
from auto_lora.dialogues.definitions.role_words import role_in
from auto_lora.dialogues.definitions.schemas import resolve, type_of
from auto_lora.dialogues.definitions.switches import Switch, switch_words, yes_or_no
from auto_lora.dialogues.values.english import singular
from auto_lora.dialogues.values.objects import CLOSED, Objects
from auto_lora.dialogues.values.quantities import sample_number
from auto_lora.dialogues.values.said_numbers import said_number
from auto_lora.dialogues.values.side_by_side import SUM_TO_ONE, parts_of_one
from auto_lora.dialogues.values.surfaces import Value, join_words, plain

_INTERVAL = re.compile(r"\[ ?a, ?b ?\]|\binterval\b|\brange\b|\bbounds\b|lower and upper|start and end", re.I)


_NO_INTERVAL = re.compile(r"\b(?:in|within|of) (?:the |a )?range\b|\blist of\b|\beach\b", re.I)


class Sampler(Objects):
    """Samples values of any schema for one split.

    Args:
        seed: all choices follow from it.
        split: "train", "validation" or "test".

    Attributes:
        switches: the tool's boolean that says on or off, with the words for it.
        roles: of its parameters, those that only the tool tells (`roles_by_tool`).
        asked: the tool finds or tells something; made: it makes something.
    """

    def __init__(self, seed: int, split: str) -> None:
        super().__init__(random.Random(seed), split)
        self.switches: Mapping[str, Switch] = {}
        self.roles: Mapping[str, str] = {}
        self.asked = self.made = False
        self._depth = 0

    def sample(
        self,
        name: str,
        schema: Mapping[str, Any],
        root: Mapping[str, Any] | None = None,
        role: str = "",
    ) -> Value:
        """A value that fits `schema`, with its surface.

        Args:
            name: the parameter's name, read for its meaning.
            schema: JSON Schema of the parameter.
            root: the schema `$ref`s point into.
            role: what it stands for; default: as its own name and description say.
        """
        schema = resolve(schema, root or {})
        kind = type_of(schema)
        own = not self._depth  # the tool's own parameter, not one of the same name within another
        role = role or (self.roles.get(name) if own else "") or role_in(name, schema, kind)
        if own and name in self.switches:
            allowed = [schema["const"]] if "const" in schema else schema.get("enum") or [True, False]
            value, (role, yes, no) = self.random.choice(allowed), self.switches[name]
            return Value(value, yes if value else no, role)
        if "const" in schema:
            return Value(schema["const"], plain(schema["const"]), role)
        if answers := yes_or_no(name, schema):
            value = self.random.choice(list(answers))
            return Value(value, self.random.choice(switch_words(name, answers[value])), "boolean")
        if schema.get("enum"):
            value = self.random.choice([v for v in schema["enum"] if v not in UNSAID] or schema["enum"])
            if is_action(name, schema, self.asked, made=self.made):
                return self.deed(value, schema["enum"])
            if own and not self.asked and (verbs := decided(schema, self.tool_words)):
                return Value(value, self._action_words(verbs[value], [*verbs.values()]), "action")
            if (
                isinstance(value, int)
                and not isinstance(value, bool)
                and role in ("duration", "count", "percent", "amount", "rating")
            ):
                return said_number(self.random, value, role, schema, name, self.tool_words)
            if isinstance(value, str) and value.isdecimal() and role in ("duration", "count", "rating"):
                return replace(
                    said_number(self.random, int(value), role, schema, name, self.tool_words), json=value
                )
            return Value(
                value,
                self._enum_words(value, role, f"{' '.join(words_of(name))} {schema.get('description', '')}"),
                "state" if is_state(schema) else role,
            )
        if kind == "boolean":
            value = self.random.random() < 0.5
            return Value(value, self.random.choice(switch_words(name, value)), "boolean")
        if kind in ("integer", "number"):
            return sample_number(self.random, schema, kind, role, name, self.tool_words)
        if kind == "array":
            return self._array(name, schema, root or {}, role)
        if kind == "object":
            self._depth += 1
            try:
                return self._object(name, schema, root or {}, role)
            finally:
                self._depth -= 1
        if kind == "null":
            return Value(None, "none", role)
        return self._string(name, schema, role)

    def _enum_words(self, value: Any, role: str, about: str) -> str:
        """What people call an enum's value: its own words, or another name for it; of one or two letters what the definition says: "w (week)"."""
        own = plain(value)
        if isinstance(value, str) and len(value) < 3 and (meant := _gloss(value, about)):
            return meant
        others: list[str] = phrases("enums").get(str(value).lower(), [])
        if len(own) <= 2 and not role.startswith(("unit", "currency", "language", "country")):
            others = []  # M is a size as well as a metre
        if any(o.startswith(("by ", "in ", "through ")) for o in others) and not _PAID.search(about):
            others = [o for o in others if not o.startswith(("by ", "in ", "through "))]
        if not isinstance(value, str) or not others or self.random.random() < 0.45:
            return own if self.random.random() < 0.3 else own.lower()
        return self.random.choice(others)

    def deed(self, value: str, values: list[str]) -> Value:
        """A value of an enum of things to do, with a verb for it."""
        return Value(value, self._action_words(value, values), "action")

    def _action_words(self, value: str, values: list[str]) -> str:
        """A verb for one of several things to do, never one that is another of them: "remove" for delete."""
        said: list[str] = phrases("acts")["act"]["said_as"].get(
            value.lower(), [value.lower().replace("_", " ")]
        )
        others = {v.lower() for v in values if v != value}
        return self.random.choice([s for s in said if s not in others] or [value.lower().replace("_", " ")])

    # Compounds.

    def _array(self, name: str, schema: Mapping[str, Any], root: Mapping[str, Any], role: str) -> Value:
        items_of = schema.get("items")
        item: Mapping[str, Any] = items_of if isinstance(items_of, Mapping) else {"type": "string"}
        inner = item.get("items")
        if (
            isinstance(inner, Mapping)
            and inner.get("type") in ("integer", "number")
            and not CLOSED & inner.keys()
        ):
            return self._matrix(name, schema, item)
        about = " ".join([*words_of(name), str(schema.get("description", ""))])
        if (interval := self._interval(item, schema, about, role)) is not None:
            return interval
        counted = item.get("type") in ("integer", "number") and role in ("number", "generic")
        least, most = int(schema.get("minItems", 0)), int(schema.get("maxItems", 10**9))
        low = least or (min(3, most) if counted else 1)  # nobody wants the mean of one number
        high = min(most, max(low, 6 if counted else 3))
        one = singular(name)
        if role == "date" and (week := _weekdays_like(about)):  # "Days to repeat, e.g. ['mon', 'tue']"
            item = {"type": "string", "enum": week}
        if counted and item["type"] == "number" and SUM_TO_ONE.search(about):
            shares = parts_of_one(self.random, min(high, max(low, self.random.randint(3, 5))))
            return Value(shares, join_words([str(n) for n in shares]), "number")
        if "description" not in item and schema.get("description"):
            item = {**item, "description": schema["description"]}
        items: list[Value] = []
        for _ in range(8 * high):
            if len(items) >= self.random.randint(max(low, 1), max(high, 1)):
                break
            made = self.sample(one, item, root, role if role in ("tag", "glob") or is_programs(role) else "")
            if isinstance(made.json, (int, float)) and "million" not in made.surface:
                made = replace(made, surface=made.surface.replace(",", ""))  # "4,307, 20" would be three
            two = (
                isinstance(made.json, str) and " and " in made.json
            )  # "rice and beans, soup" would be read as three
            if made.json not in [v.json for v in items] and not two:
                items.append(made)
        while len(items) < least:
            items.append(self.sample(one, item, root))
        surface = join_words([v.surface for v in items])
        if least == most == 2 and counted:  # a point: "between 1 and 2 and 3 and 4" would be four numbers
            surface = self.random.choice(["({0}, {1})", "[{0}, {1}]"]).format(*(v.json for v in items))
        numbers = [v.json for v in items if isinstance(v.json, (int, float))]
        if len(numbers) == len(items) > 1 and self.random.random() < 0.35:
            surface = f"[{', '.join(map(str, numbers))}]"
        return Value([v.json for v in items], surface, items[0].role if items else role)

    def _interval(
        self, item: Mapping[str, Any], schema: Mapping[str, Any], about: str, role: str
    ) -> Value | None:
        """The two ends of an interval, the lower first; None where no interval is meant, or its limits leave no room."""
        open_ended = item.get("type") in ("integer", "number") and not CLOSED & item.keys()
        two = schema.get("minItems", 2) == 2 and schema.get("maxItems", 2) >= 2
        if not (open_ended and two and _INTERVAL.search(about)) or _NO_INTERVAL.search(about):
            return None
        low = ceil(item.get("minimum", -5))
        high = floor(item.get("maximum", low + 50))
        if high <= low:
            return None
        first = self.random.randint(low, min(low + 20, high - 1))
        ends = [first, self.random.randint(first + 1, min(first + 30, high))]
        forms = ["from {0} to {1}", "between {0} and {1}", "[{0}, {1}]", "{0} to {1}"]
        return Value(ends, self.random.choice(forms).format(*ends), role)

    def _matrix(self, name: str, schema: Mapping[str, Any], row: Mapping[str, Any]) -> Value:
        """Rows of numbers of one length, as one writes them: "[[1, 2], [3, 4]]", points as "(1, 2) and (3, 4)"."""
        number = row["items"]
        about = f"{' '.join(words_of(name))} {schema.get('description', '')}"
        points = re.search(r"\bpoints?\b|coordinate|\bpairs?\b|\bvert(?:ex|ices)\b", about, re.I)
        rows, columns = (
            min(max(int(of.get("minItems", 0)), wanted), int(of.get("maxItems", 10**9)))
            for of, wanted in (
                (schema, self.random.choice([2, 2, 3])),
                (row, 2 if points else self.random.choice([2, 2, 3])),
            )
        )
        low = number.get("minimum", min(-5, number.get("maximum", 0) - 20))
        high = number.get("maximum", low + 20)
        whole = number.get("type") == "integer" or (ceil(low) <= floor(high) and self.random.random() < 0.7)

        def drawn() -> float:
            if whole:
                return self.random.randint(ceil(low), max(ceil(low), floor(high)))
            return min(max(round(self.random.uniform(low, high), 1 if high - low > 2 else 2), low), high)

        values = [[drawn() for _ in range(columns)] for _ in range(rows)]
        said = join_words([f"({', '.join(map(str, r))})" for r in values])
        return Value(values, said if points and self.random.random() < 0.6 else str(values), "number")


_WEEK = "monday tuesday wednesday thursday friday saturday sunday".split()


def _weekdays_like(about: str) -> list[str]:
    """The days of the week as a definition's examples write them: mon, Tue, WED, monday; empty where it shows none."""
    shown = [
        w
        for w in re.findall(r"['\"]([A-Za-z]{3,9})['\"]", about)
        if w.lower() in (*_WEEK, *(d[:3] for d in _WEEK))
    ]
    if not shown:
        return []
    days = [d[:3] for d in _WEEK] if len(shown[0]) == 3 else _WEEK
    return [d.upper() if shown[0].isupper() else d.capitalize() if shown[0][0].isupper() else d for d in days]


_PAID = re.compile(r"\b(?:pay\w*|method|mode|means|travel\w*|transport\w*|by|how)\b", re.I)


def _gloss(value: str, about: str) -> str:
    """What a definition says that a letter stands for: "week" in "d (day), w (week)"; "" where it says nothing."""
    found = re.search(
        rf"(?<!\w)['\"`]?{re.escape(value)}['\"`]?\s*(?:\(|=|:|for\b|means\b)\s*(?!\w+ ?[=(:])([A-Za-z][a-z]+(?: [a-z]+)?)",
        about,
    )
    return found[1].lower() if found and not _NO_GLOSS.match(found[1]) else ""


_NO_GLOSS = re.compile(r"default|recommended|optional|for\b|only|see\b|require", re.I)
