"""Arguments first: values sampled from a parameter's schema and meaning, each with its surface.

A surface is how a person would write the value: "half past seven in the evening" for "19:30",
"twenty" for 20. Labels are right by construction because the value comes before the words.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from auto_lora.dialogues.patterns import from_pattern
from auto_lora.dialogues.phrasebook import (
    described_values,
    is_state,
    phrases,
    pool_of,
    role_of,
    split_of,
    words_of,
)
from auto_lora.dialogues.pools import Pools, number_words, ordinal

_ONES = [number_words(n) for n in range(20)]
# Common nouns: "the weekend" is the weekend, where "The Wall" is the title.
_WITHOUT_ARTICLE = frozenset(
    "date when daypart year condition weather warmth facility meal kind position series".split()
)


@dataclass(frozen=True)
class Value:
    """A JSON value and the words for it; `role` says what kind of phrase it goes into."""

    json: Any
    surface: str
    role: str


class Sampler:
    """Samples values for one split: open vocabularies are divided between the splits by hash.

    Args:
        seed: all choices follow from it.
        split: "train", "validation" or "test".
    """

    def __init__(self, seed: int, split: str) -> None:
        self.random = random.Random(seed)
        self.split = split
        self.pools = Pools(self.random)

    def sample(self, name: str, schema: Mapping[str, Any], root: Mapping[str, Any] | None = None) -> Value:
        """A value that fits `schema`, with its surface.

        Args:
            name: the parameter's name, read for its meaning.
            schema: JSON Schema of the parameter.
            root: the schema `$ref`s point into.
        """
        schema = resolve(schema, root or {})
        kind = _type_of(schema)
        role = role_of(name, str(schema.get("description", "")), kind)
        if "const" in schema:
            return Value(schema["const"], _plain(schema["const"]), role)
        if schema.get("enum"):
            value = self.random.choice(schema["enum"])
            return Value(value, self._enum_words(value), "state" if is_state(schema) else role)
        if kind == "boolean":
            value = self.random.random() < 0.5
            spoken = " ".join(words_of(name))
            states = {
                "enabled": ("enabled", "disabled"),
                "active": ("active", "inactive"),
                "open": ("open", "closed"),
            }
            words = states.get(spoken, (f"with {spoken}", f"without {spoken}"))
            return Value(value, words[0] if value else words[1], "boolean")
        if kind in ("integer", "number"):
            return self._number(schema, kind, role, name)
        if kind == "array":
            return self._array(name, schema, root or {}, role)
        if kind == "object":
            return self._object(schema, root or {}, role)
        if kind == "null":
            return Value(None, "none", role)
        return self._string(name, schema, role)

    def _enum_words(self, value: Any) -> str:
        """What people call an enum's value: its own words, or another name for it."""
        plain = _plain(value)
        others: list[str] = phrases("enums").get(str(value).lower(), [])
        if not isinstance(value, str) or not others or self.random.random() < 0.45:
            return plain if self.random.random() < 0.3 else plain.lower()
        return self.random.choice(others)

    # Numbers.

    def _number(self, schema: Mapping[str, Any], kind: str, role: str, name: str) -> Value:
        low, high = _bounds(
            schema, kind, role, " ".join([*words_of(name), str(schema.get("description", ""))])
        )
        step = schema.get("multipleOf") or (
            1 if kind == "integer" or high - low > 40 or role == "temperature" else 0.5
        )
        if (
            kind == "number"
            and role == "temperature"
            and self.random.random() < 0.3
            and not schema.get("multipleOf")
        ):
            step = 0.5
        first, last = -(-low // step), high // step
        if last - first > 30 and step == 1 and self.random.random() < 0.5:
            step, first, last = 5, -(-low // 5), high // 5
        value = self.random.randint(int(first), max(int(first), int(last))) * step
        value = round(value, 6)
        if kind == "integer" or float(value).is_integer():
            value = int(value)
        surface = self._spoken_number(value, role, schema, name)
        bare = role == "count" and " " not in surface  # "limit 20", where "for 3 guests" needs no name
        return Value(value, surface, "generic" if bare else role)

    def _spoken_number(self, value: float, role: str, schema: Mapping[str, Any], name: str) -> str:
        text = f"{value:g}" if isinstance(value, float) else str(value)
        words = (
            number_words(value)
            if isinstance(value, int) and 0 <= value < 100 and self.random.random() < 0.12
            else text
        )
        about = f"{name} {schema.get('description', '')}".lower()
        if role in ("percent", "level") and ("percent" in about or "%" in about):
            return self.random.choice([f"{text}%", f"{text} percent", f"{words} percent"])
        if role == "temperature":
            unit = "fahrenheit" if "fahrenheit" in about else "celsius"
            return self.random.choice(
                [f"{text} degrees", f"{words} degrees", text, f"{text} degrees {unit}", f"{text}°"]
            )
        if role == "duration":
            unit = next(
                (
                    u
                    for u in ("second", "minute", "hour", "day", "week", "night", "month", "year")
                    if u in about
                ),
                "minute",
            )
            return f"{words} {unit}{'' if value == 1 else 's'}"
        if role == "amount":
            return (
                self.random.choice([f"${text}", f"{text} dollars", text]) if "currency" not in about else text
            )
        if role == "count":
            unit = next(
                (
                    u
                    for u in ("passenger", "guest", "adult", "ticket", "result", "item", "copie")
                    if u in about
                ),
                "",
            )
            plural = {"copie": ("copy", "copies")}.get(unit, (unit, f"{unit}s"))
            return f"{words} {plural[0] if value == 1 else plural[1]}" if unit else words
        return words

    # Strings.

    def _string(self, name: str, schema: Mapping[str, Any], role: str) -> Value:
        made = self._formatted(schema, role)
        if made is None:
            made = self._worded(schema, role)
        value = made.json
        fits = schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", 10**9)
        if "pattern" in schema and not re.search(schema["pattern"], value):
            value = from_pattern(schema["pattern"], self.random)
            return Value(value, value, role)
        if not fits:
            value = (value * (1 + schema.get("minLength", 0) // max(len(value), 1)))[
                : schema.get("maxLength", 10**9)
            ]
            return Value(value.strip() or value, value.strip() or value, role)
        return made

    def _formatted(self, schema: Mapping[str, Any], role: str) -> Value | None:
        """A value of the form that format or description ask for, worded otherwise; None where they ask for none."""
        about = f"{schema.get('description', '')} {schema.get('pattern', '')} {schema.get('examples', '')}"
        form = schema.get("format", "")
        timely = role in ("time", "start", "end", "when", "daypart")
        if form == "time" or (timely and re.search(r"HH:MM|24.?hour|\b\d\d:\d\d\b", about, re.I)):
            return self._time(
                seconds="ss" in about.lower()
                or (form == "time" and "pattern" not in schema and "HH:MM" not in about)
            )
        dated = role in ("date", "start", "end", "when")
        if form == "date" or (dated and re.search(r"YYYY-MM-DD|ISO|\b\d{4}-\d\d-\d\d\b", about, re.I)):
            return self._date()
        if form == "date-time":
            day, hour = self._date(), self._time(seconds=True)
            return Value(f"{day.json}T{hour.json}Z", f"{day.surface} at {hour.surface}", "date")
        faker = self.pools.faker("en_US")
        makers: dict[str, Callable[[], str]] = {
            "email": faker.email, "uri": faker.url, "url": faker.url, "uuid": faker.uuid4,
            "ipv4": faker.ipv4, "ipv6": faker.ipv6, "hostname": faker.domain_name,
        }  # fmt: skip
        if form in makers:
            value = self._mine(makers[form])
            return Value(value, value, role if role != "generic" else {"uri": "url"}.get(form, form))
        return None

    def _worded(self, schema: Mapping[str, Any], role: str) -> Value:
        """A value in the words that the user would type, taken over as they are."""
        about = str(schema.get("description", ""))
        given = [v for v in schema.get("examples", []) if isinstance(v, str)] or list(described_values(about))
        pool = str(phrases("roles").get(role, {}).get("pool", pool_of(role)))
        if role == "currency" and re.search(r"\b(?:ISO|code|USD)\b", about):
            return self._code(role)
        if pool == "org" and "restaurant" in about.lower():
            pool = "restaurant"
        if re.search(r"joined by|comma.separated|separated by commas", about):
            return self._joined(pool, about, role)
        if pool == "kind":
            named = next((w for w in ("place", "work", "media") if w in about.lower()), "")
            pool = f"kind_{named}" if named else pool
        closed = role in ("generic", "kind", "position", "series", "rating_unit")  # few words do
        if given and self.random.random() < (0.85 if closed else 0.45):
            value = self.random.choice(given)
            return Value(value, value, role)
        value = self._mine(lambda: self.pools.make(pool))
        if role == "time_zone":  # people name the city of it
            city = value.rpartition("/")[2].replace("_", " ")
            return Value(value, self.random.choice([city, city, value]), role)
        if role in ("message", "text") and self.random.random() < 0.3:
            return Value(value, f'"{value}"', role)
        label = re.sub(r"^(?:the|an?) (?=.)", "", value) if role in _WITHOUT_ARTICLE else value
        return Value(label, value, role)

    def _code(self, role: str) -> Value:
        """A currency's code, by its name."""
        code = self.random.choice(phrases("inventories")["currency"])
        return Value(code, self.random.choice([code, *phrases("enums").get(code.lower(), [])]), role)

    def _joined(self, pool: str, about: str, role: str) -> Value:
        """Several values in one string, as the description joins them."""
        separator = next(iter(re.findall(r"joined by '([^']+)'", about)), ", ")
        values = list(
            dict.fromkeys(
                self._mine(lambda: self.pools.make(pool)) for _ in range(self.random.choice([1, 2, 2]))
            )
        )
        between = (
            self.random.choice([" to ", " and ", " into ", " in ", " versus "])
            if len(values) == 2
            else " and "
        )
        return Value(separator.join(values), between.join(values), role)

    def _time(self, seconds: bool = False) -> Value:
        hour, minute = (
            self.random.randint(5, 23),
            self.random.choice([0, 0, 0, 15, 30, 30, 45, 5, 10, 20, 40, 50]),
        )
        value = f"{hour:02d}:{minute:02d}" + (":00" if seconds else "")
        return Value(value, self.random.choice(time_surfaces(hour, minute)), "time")

    def _date(self) -> Value:
        day = self._mine_date()
        month = day.strftime("%B")
        forms = [
            f"{month} {ordinal(day.day)} {day.year}", f"{day.day} {month} {day.year}",
            f"{month} {day.day}, {day.year}", day.isoformat(), f"the {ordinal(day.day)} of {month} {day.year}",
        ]  # fmt: skip
        return Value(day.isoformat(), self.random.choice(forms), "date")

    def _mine_date(self) -> date:
        for _ in range(50):
            day = date(2025, 1, 1) + timedelta(days=self.random.randrange(900))
            if split_of("value", day.isoformat()) == self.split:
                break
        return day

    def _mine(self, make: Callable[[], str]) -> str:
        """A value that belongs to this split, if one comes up in 30 tries."""
        for _ in range(30):
            value = str(make())
            if split_of("value", value.casefold()) == self.split:
                break
        return value

    # Compounds.

    def _array(self, name: str, schema: Mapping[str, Any], root: Mapping[str, Any], role: str) -> Value:
        low = schema.get("minItems", 1)
        high = min(schema.get("maxItems", max(low, 3)), max(low, 3))
        item = schema.get("items") if isinstance(schema.get("items"), Mapping) else {"type": "string"}
        singular = name.removesuffix("s")
        items: list[Value] = []
        for _ in range(8 * high):
            if len(items) >= self.random.randint(max(low, 1), max(high, 1)):
                break
            made = self.sample(singular, item, root)  # type: ignore[arg-type]
            if made.json not in [v.json for v in items]:
                items.append(made)
        while len(items) < low:
            items.append(self.sample(singular, item, root))  # type: ignore[arg-type]
        return Value(
            [v.json for v in items], join_words([v.surface for v in items]), items[0].role if items else role
        )

    def _object(self, schema: Mapping[str, Any], root: Mapping[str, Any], role: str) -> Value:
        value, words = {}, []
        required = schema.get("required", ())
        properties = schema.get("properties", {})
        for key in sorted(properties, key=lambda k: k not in required):
            if key in required or self.random.random() < 0.4:
                made = self.sample(key, properties[key], root)
                value[key] = made.json
                words.append(f"{' '.join(words_of(key))} {made.surface}")
        return Value(value, ", ".join(words) or "nothing in particular", "object")


def resolve(schema: Any, root: Mapping[str, Any]) -> Mapping[str, Any]:
    """Follows `$ref` into `root` and takes the first usable branch of anyOf, oneOf and allOf."""
    for _ in range(8):
        if not isinstance(schema, Mapping):
            return {}
        if "$ref" in schema:
            target: Any = root
            for part in str(schema["$ref"]).removeprefix("#/").split("/"):
                target = target.get(part, {}) if isinstance(target, Mapping) else {}
            schema = target
        elif "allOf" in schema:
            merged: dict[str, Any] = {k: v for k, v in schema.items() if k != "allOf"}
            for part in schema["allOf"]:
                merged = {**resolve(part, root), **merged}
            schema = merged
        elif "anyOf" in schema or "oneOf" in schema:
            branches = [b for b in schema.get("anyOf", schema.get("oneOf")) if b.get("type") != "null"]
            rest = {k: v for k, v in schema.items() if k not in ("anyOf", "oneOf")}
            schema = {**rest, **(branches[0] if branches else {"type": "null"})}
        else:
            return schema
    return {}


def _type_of(schema: Mapping[str, Any]) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((k for k in kind if k != "null"), "null")
    if kind is None:
        kind = "object" if "properties" in schema else "array" if "items" in schema else "string"
    return str(kind)


def _bounds(schema: Mapping[str, Any], kind: str, role: str, about: str) -> tuple[float, float]:
    usual = {
        "temperature": (15, 28), "level": (5, 100), "percent": (1, 100), "duration": (5, 60), "amount": (5, 900), "count": (1, 10),
        "identifier": (1000, 99999), "age": (2, 90), "weight": (2, 120), "distance": (1, 300), "rating": (1, 5), "year": (1900, 2026),
    }.get(role, (1, 99))  # fmt: skip
    tiny = 1 if kind == "integer" else 0.5
    low, high = schema.get("minimum"), schema.get("maximum")
    if schema.get("exclusiveMinimum") is not None:
        low = schema["exclusiveMinimum"] + tiny
    if schema.get("exclusiveMaximum") is not None:
        high = schema["exclusiveMaximum"] - tiny
    width = usual[1] - usual[0]
    if low is None:
        low = usual[0] if high is None or high > usual[0] else high - width
    if high is None:
        high = max(usual[1], low + width) if low > usual[0] else usual[1]
    return low, max(low, high)


def time_surfaces(hour: int, minute: int) -> list[str]:
    """Ways to say a time of day, each naming the half of the day."""
    half = "am" if hour < 12 else "pm"
    twelve = hour % 12 or 12
    part = (
        "in the morning"
        if hour < 12
        else "in the afternoon"
        if hour < 18
        else "in the evening"
        if hour < 22
        else "at night"
    )
    clock = f"{twelve}:{minute:02d}"
    forms = [f"{hour:02d}:{minute:02d}", f"{clock} {half}", f"{clock}{half}", f"{clock} {part}"]
    if minute == 0:
        forms += [
            f"{twelve} {half}",
            f"{twelve}{half}",
            f"{_ONES[twelve]} {half}",
            f"{twelve} o'clock {part}",
            f"{_ONES[twelve]} {part}",
        ]
    if minute == 30:
        forms += [f"half past {_ONES[twelve]} {part}", f"{_ONES[twelve]} thirty {half}"]
    if minute == 15:
        forms += [f"quarter past {_ONES[twelve]} {part}", f"{_ONES[twelve]} fifteen {half}"]
    if minute == 45:
        forms += [f"quarter to {_ONES[(hour + 1) % 12 or 12]} {part}"] if hour not in (11, 17, 21, 23) else []
    return forms


def join_words(parts: list[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}" if parts else ""


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value).replace("_", " ") if isinstance(value, str) else f"{value}"
