"""Objects, part by part: "4 lamb wraps", "2 litres of milk", "3 lamps at $40 each", the entries of maps with free keys."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from itertools import islice
from typing import Any

from auto_lora.dialogues.definitions.phrasebook import phrases, split_of, words_of
from auto_lora.dialogues.definitions.schemas import resolve, type_of
from auto_lora.dialogues.definitions.things import THINGS, says_another
from auto_lora.dialogues.values.dates import in_order
from auto_lora.dialogues.values.ends import ascending
from auto_lora.dialogues.values.english import plural
from auto_lora.dialogues.values.naming import is_number
from auto_lora.dialogues.values.strings import Strings
from auto_lora.dialogues.values.surfaces import Value, join_words

CLOSED = frozenset("enum const multipleOf exclusiveMinimum exclusiveMaximum".split())


class Objects(Strings):
    """Samples objects for one split; their parts by `sample`, which samples any schema."""

    def sample(
        self, name: str, schema: Mapping[str, Any], root: Mapping[str, Any] | None = None, role: str = ""
    ) -> Value:
        """A value that fits `schema`, with its surface."""
        raise NotImplementedError

    def _known_entries(self, known: Mapping[str, Any], schema: Mapping[str, Any]) -> Value:
        """One or two entries as such objects have them: "Accept: application/json" of headers."""
        pairs = [(k, v) for k, values in known["entries"].items() for v in values]
        wanted = min(
            max(self.random.randint(1, 2), int(schema.get("minProperties", 0))),
            int(schema.get("maxProperties", 9)),
        )
        mine = [p for p in pairs if split_of("value", *p) == self.split]
        able = mine if len(dict(mine)) >= wanted else pairs
        self.random.shuffle(able)
        drawn = dict(islice(dict(able).items(), max(wanted, 1)))
        form = self.random.choice(known["forms"])
        said = [form.format(k=k, v=v) for k, v in drawn.items()]
        return Value(drawn, join_words(said), "object")

    def _open_object(self, name: str, schema: Mapping[str, Any], root: Mapping[str, Any]) -> Value:
        """One to three entries of an object whose keys its schema leaves open: "apples 3 and pears 5"."""
        given = schema.get("additionalProperties", True)
        inner = resolve(given, root) if isinstance(given, Mapping) and given else {"type": "integer"}
        known = {} if {"propertyNames", "patternProperties"} & schema.keys() else _entries(name)
        if known and (given is True or inner == {"type": "string"}):
            return self._known_entries(known, schema)
        kind, deep = type_of(inner), type_of(resolve(inner.get("items", {}), root)) in ("object", "array")
        if kind not in ("integer", "number", "string", "array") or (
            kind == "array" and deep and "items" in inner
        ):
            return Value({}, "nothing in particular", "object")
        if kind in ("integer", "number") and not (CLOSED | {"minimum", "maximum"}) & inner.keys():
            inner = {"minimum": 1, "maximum": 100, **inner}
        wanted = max(self.random.randint(1, 3), int(schema.get("minProperties", 0)))
        keys = {self._mine(self.pools.noun): None for _ in range(20 * wanted)}  # in the order drawn
        most = min(wanted, int(schema.get("maxProperties", wanted)))
        entries = {key: self.sample("entry", inner, root) for key in list(keys)[:most]}
        form = self.random.choice(["{k}: {v}", "{k} {v}", "{k} = {v}", "{v} for {k}"])
        said = [form.format(k=k, v=v.surface) for k, v in entries.items()]
        return Value({k: v.json for k, v in entries.items()}, join_words(said), "object")

    def _object(self, name: str, schema: Mapping[str, Any], root: Mapping[str, Any], role: str) -> Value:
        if not schema.get("properties") and schema.get("additionalProperties", True) is not False:
            return self._open_object(name, schema, root)
        value: dict[str, Any] = {}
        words: list[str] = []
        switches: list[str] = []
        drawn: dict[str, Value] = {}
        required = schema.get("required", ())
        properties = schema.get("properties", {})
        for key in sorted(properties, key=lambda k: k not in required):
            if key in required or self.random.random() < 0.4:
                drawn[key] = self.sample(key, properties[key], root, self._role_inside(key, role, properties))
        for key, made in drawn.items():  # "one onion rings and egg kebab" would be two
            for _ in range(10):
                thing = isinstance(made.json, str) and made.role in THINGS
                if not thing or not (" and " in made.json or says_another(made.json, key, properties)):
                    break
                made = self.sample(key, properties[key], root, self._role_inside(key, role, properties))
            drawn[key] = made
        many = next((k for k in ("quantity", "qty", "count", "amount") if k in drawn), "")
        measured = any(is_number(v.json) for v in drawn.values())
        if "unit" in drawn and not measured and "unit" not in required:  # "flour and unit g"
            del drawn["unit"]
        ordered = ascending(in_order(self.random, self.split, drawn, properties), schemas=properties)
        line = self._order_line(ordered, many, properties) if many else None
        if line:
            words.append(line.surface)
        for key, made in ordered.items():
            value[key] = made.json
            if not (line and key in line.parts):
                (switches if made.role == "boolean" else words).append(self._part(key, made))
        if properties and not value:  # nobody sets nothing
            key = self.random.choice(list(properties))
            made = self.sample(key, properties[key], root, self._role_inside(key, role, properties))
            value[key] = made.json
            words.append(self._part(key, made))
        return Value(value, join_words(words + switches) or "nothing in particular", "object")

    def _order_line(
        self, drawn: Mapping[str, Value], many: str, properties: Mapping[str, Any]
    ) -> Value | None:
        """So many of a thing, as one says it: "4 lamb wraps", "2 litres of milk", "3 lamps at $40 each"; `parts` are the keys that it says.

        None where nothing is counted, or not by a number.
        """
        things = ("name", "item", "product", "title")
        thing = next((k for k in things if k in drawn), "")
        if not thing and self._role_inside("description", "", properties):
            thing = "description" if "description" in drawn else ""
        if not thing or not is_number(drawn[many].json) or not isinstance(drawn[thing].json, str):
            return None
        if many == "amount" and drawn[thing].role not in ("item", "dish", "product", "ingredient"):
            return None  # what somebody pays
        count, named, said = drawn[many].json, re.sub("^an? ", "", drawn[thing].surface), [thing, many]
        number = str(count) if self.random.random() < 0.6 else drawn[many].surface
        if " " in number:  # what is counted is named
            number = str(count)
        if "unit" in drawn and drawn["unit"].json:
            unit = drawn["unit"].surface
            number += (
                f" {plural(unit) if count != 1 and len(unit) > 3 and not unit.endswith('s') else unit} of"
            )
            said.append("unit")
        words = f"{number} {named}"
        priced = next((k for k in ("unit_price", "unitPrice", "price") if k in drawn), "")
        if priced == "price" and "total" in str(properties[priced]).lower():
            priced = ""
        if priced and self.random.random() < 0.7:
            words += f" at {drawn[priced].surface} each"
            said.append(priced)
        return Value(None, words, "object", tuple(said))

    def _role_inside(self, key: str, role: str, beside: Mapping[str, Any]) -> str:
        """What an object's own name is the name of: of the items of an order, an item."""
        named = key in ("name", "title") and role in (
            "item",
            "dish",
            "product",
            "ingredient",
            "song",
            "event",
            "task",
        )
        if key == "description" and {"quantity", "qty", "unit_price", "price"} & beside.keys():
            return "product"
        return role if named else ""

    def _part(self, key: str, value: Value) -> str:
        """What is said for one property of an object: "high wind strength", "target temperature of 22 degrees"."""
        name = " ".join(words_of(key))
        counted = value.role == "count" and " " in value.surface  # "10 guests", not "guests 10 guests"
        if counted or value.role in ("boolean", "duration"):  # "20 minutes and 30 seconds"
            return value.surface
        named = (
            isinstance(value.json, str)
            and " " not in value.surface
            and not name.endswith(f" {value.surface}")
        )
        forms = ["{n} {v}", "{n} {v}", "{n}: {v}"] + (
            ["{v} {n}"] if named else ["a {n} of {v}", "{n} at {v}"]
        )
        return self.random.choice(forms).format(n=name, v=value.surface)


@cache
def _entries(name: str) -> dict[str, Any]:
    """What a map with free keys holds, by the end of its name: an entry of `phrases/entries.json`; empty where it is not told."""
    spoken = " " + " ".join(words_of(name))
    return next(
        (
            dict(k)
            for k in phrases("entries").values()
            if any(spoken.endswith(f" {cue}") for cue in k["cues"])
        ),
        {},
    )
