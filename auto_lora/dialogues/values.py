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

from auto_lora.dialogues.meaning import described_values, is_action, unit_forms, units_measuring
from auto_lora.dialogues.patterns import from_pattern
from auto_lora.dialogues.phrasebook import (
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


_LIMITS = frozenset("minimum maximum exclusiveMinimum exclusiveMaximum multipleOf".split())
_FRACTION = re.compile(
    r"\b(?:probability|fraction|proportion|frequency of|allele|significance|alpha|confidence level|between 0 and 1|as a decimal)\b",
    re.I,
)
_LARGE = re.compile(
    r"\b(?:shares|shareholders?|revenue|turnover|population|payout|assets|equity|market cap|net income|dividends)\b",
    re.I,
)
_SIGNED = re.compile(r"\b(?:[a-cx-z]|x\d|y\d|coefficient|coordinate|offset)\b", re.I)
_COMMAS = re.compile(r"\bcity(?:,| and) (?:state|country)\b", re.I)  # "in the format 'City, State'"
# What one searches for, by a word of the description of a query.
_SOUGHT = {
    "song": "song",
    "track": "song",
    "movie": "movie",
    "film": "movie",
    "book": "book",
    "product": "product",
    "recipe": "dish",
    "restaurant": "restaurant",
}
# What a title is of, by a word of the tool's definition; any other is a work's.
_TITLED = {
    "event": "event",
    "meeting": "event",
    "calendar": "event",
    "appointment": "event",
    "task": "task_title",
    "todo": "task_title",
    "ticket": "issue",
    "incident": "issue",
    "issue": "issue",
    "bug": "issue",
}
_ENTERTAINING = re.compile(
    r"\b(?:music|song|stream|video|play|watch|movie|listen|subscri|chat|app|message|deliver|ride)", re.I
)
_OF_MEDIA = re.compile(r"\b(?:music|media|song|movie|film|book|restaurant|business|thing)s?\b", re.I)


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

    Attributes:
        tool_words: name and description of the tool whose arguments are sampled; they say what a unit measures.
    """

    def __init__(self, seed: int, split: str) -> None:
        self.random = random.Random(seed)
        self.split = split
        self.pools = Pools(self.random)
        self.tool_words = ""

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
            return Value(
                value,
                self._enum_words(value),
                "state" if is_state(schema) else "action" if is_action(schema) else role,
            )
        if kind == "boolean":
            value = self.random.random() < 0.5
            return Value(value, self.random.choice(switch_words(name, value)), "boolean")
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
        about = " ".join([*words_of(name), str(schema.get("description", ""))])
        low, high = _bounds(schema, kind, role, about)
        free = role in ("generic", "number", "amount", "capacity", "count") and not (_LIMITS & schema.keys())
        wide = self._wide(kind, role, name, about) if free else None
        if wide is not None:
            return self._said(wide, role, schema, name)
        step = schema.get("multipleOf") or (
            1 if kind == "integer" or high - low > 40 or role == "temperature" else 0.5
        )
        halves = kind == "number" and role == "temperature" and not schema.get("multipleOf")
        if halves and self.random.random() < 0.3:
            step = 0.5
        first, last = -(-low // step), high // step
        if last - first > 30 and step == 1 and self.random.random() < 0.5:
            step, first, last = 5, -(-low // 5), high // 5
        return self._said(
            self.random.randint(int(first), max(int(first), int(last))) * step, role, schema, name
        )

    def _wide(self, kind: str, role: str, name: str, about: str) -> float | None:
        """A number of a size that what it counts may have: shares by the million, a probability, a negative coordinate."""
        chance, draw = self.random.random(), self.random.randint
        if kind == "number" and _FRACTION.search(about):
            return draw(1, 99) / 100
        if _LARGE.search(about):
            return draw(1, 99) * 10 ** draw(3, 7)
        if role == "count":
            return None
        if role == "amount":
            return draw(1, 99) * 1000 if chance < 0.25 else draw(10, 99) * 100 if chance < 0.4 else None
        if chance < 0.15 and (_SIGNED.search(" ".join(words_of(name)))):
            return -draw(1, 20)
        if kind == "number" and chance < 0.45:
            return draw(1, 999) / self.random.choice([10, 10, 100])
        return draw(100, 9999) if chance > 0.85 else None

    def _said(self, value: float, role: str, schema: Mapping[str, Any], name: str) -> Value:
        value = round(value, 6)
        if float(value).is_integer():
            value = int(value)
        surface = self._spoken_number(value, role, schema, name)
        bare = role == "count" and " " not in surface  # "limit 20", where "for 3 guests" needs no name
        return Value(value, surface, "generic" if bare else role)

    def _digits(self, value: float, role: str) -> str:
        """Digits as people type them: 4500, 4,500, 45 million."""
        text = f"{value:g}" if isinstance(value, float) else str(value)
        if not isinstance(value, int) or value < 1000 or role in ("year", "identifier"):
            return text
        if value >= 10**6 and value % 10**5 == 0 and self.random.random() < 0.6:
            return f"{value / 10**6:g} million"
        return f"{value:,}" if self.random.random() < 0.35 else text

    def _spoken_number(self, value: float, role: str, schema: Mapping[str, Any], name: str) -> str:
        text = self._digits(value, role)
        in_words = isinstance(value, int) and 0 <= value < 100 and self.random.random() < 0.12
        words = number_words(int(value)) if in_words else text
        about = f"{name} {schema.get('description', '')}".lower()
        pick = self.random.choice
        if role in ("percent", "level") and ("percent" in about or "%" in about):
            return pick([f"{text}%", f"{text} percent", f"{words} percent"])
        if role == "temperature" and "kelvin" not in about:
            unit = "fahrenheit" if "fahrenheit" in about else "celsius"
            return pick(
                [f"{text} degrees", f"{words} degrees", text, f"{text} degrees {unit}", f"{text}\u00b0"]
            )
        if role == "duration":
            units: tuple[str, ...] = ("second", "minute", "hour", "day", "week", "night", "month", "year")
            unit = next((u for u in units if u in about), "minute")
            return f"{words} {unit}{'' if value == 1 else 's'}"
        if role == "amount" and "currency" not in f"{about} {self.tool_words}".lower():
            return pick([f"${text}", f"{text} dollars", text])
        if role == "count":
            units = ("passenger", "guest", "adult", "ticket", "result", "item", "copie")
            counted = words_of(name)[-1]
            own = (
                "people"
                if counted == "people"
                else counted.removesuffix("s")
                if counted.endswith("s")
                else ""
            )
            unit = next((u for u in units if u in about), own)
            plural = {"copie": ("copy", "copies"), "people": ("person", "people")}.get(
                unit, (unit, f"{unit}s")
            )
            return f"{words} {plural[0] if value == 1 else plural[1]}" if unit else words
        forms = unit_forms(str(schema.get("description", "")))
        if forms and self.random.random() < 0.65:
            return pick(forms).format(v=text)
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
        if role.startswith("currency") and re.search(
            r"\b(?:ISO|codes?|USD|EUR)\b|\[A-Z\]\{3\}", f"{about} {schema.get('pattern', '')}"
        ):
            return self._code(role)
        if pool == "org" and "restaurant" in about.lower():
            pool = "restaurant"
        if pool == "query":
            pool = next((p for word, p in _SOUGHT.items() if word in about.lower()), pool)
        if pool == "title":
            pool = next(
                (p for word, p in _TITLED.items() if word in f"{about} {self.tool_words}".lower()), pool
            )
        if pool == "service" and not _ENTERTAINING.search(f"{about} {self.tool_words}"):
            pool = "system"
        if role in ("place", "address") and _COMMAS.search(about) and self.random.random() < 0.8:
            value = self._mine(lambda: self._full_place(role, about))
            return Value(value, value, role)
        if re.search(r"joined by|comma.separated|separated by commas", about):
            return self._joined(pool, about, role)
        if pool == "kind":
            named = next((w for w in ("place", "work", "media") if w in about.lower()), "")
            pool = f"kind_{named}" if named else "kind" if _OF_MEDIA.search(about) else "generic"
        closed = role in (
            "generic",
            "kind",
            "category",
            "unit",
            "position",
            "series",
            "rating_unit",
        )  # few words do
        if given and self.random.random() < (0.85 if closed else 0.45):
            value = self.random.choice(given)
            return Value(value, value, role)
        if role == "unit":
            value = self.random.choice(
                units_measuring(f"{about} {self.tool_words}") or phrases("inventories")["unit"]
            )
            return Value(value, value, role)
        value = self._mine(lambda: self.pools.make(pool))
        if role == "time_zone":  # people name the city of it
            city = value.rpartition("/")[2].replace("_", " ")
            return Value(value, self.random.choice([city, city, value]), role)
        if role in ("message", "text") and self.random.random() < 0.3:
            return Value(value, f'"{value}"', role)
        label = re.sub(r"^(?:the|an?) (?=.)", "", value) if role in _WITHOUT_ARTICLE else value
        return Value(label, value, role)

    def _full_place(self, role: str, about: str) -> str:
        """A place with what its description asks for: "Boston, MA", "Riga, Latvia", "12 Elm Street, Boston, MA, USA"."""
        faker = self.pools.faker("en_US")
        city, state = self.pools.place(), faker.state_abbr()
        if role == "address":
            return f"{faker.street_address()}, {city}, {state}" + (
                ", USA" if "country" in about.lower() else ""
            )
        abroad = "country" in about.lower() and self.random.random() < 0.5
        return f"{city}, {self.pools.country() if abroad else state}"

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
        surface = join_words([v.surface for v in items])
        numbers = [v.json for v in items if isinstance(v.json, (int, float))]
        if len(numbers) == len(items) > 1 and self.random.random() < 0.35:
            surface = f"[{', '.join(map(str, numbers))}]"
        return Value([v.json for v in items], surface, items[0].role if items else role)

    def _object(self, schema: Mapping[str, Any], root: Mapping[str, Any], role: str) -> Value:
        value, words = {}, []
        required = schema.get("required", ())
        properties = schema.get("properties", {})
        for key in sorted(properties, key=lambda k: k not in required):
            if key in required or self.random.random() < 0.4:
                made = self.sample(key, properties[key], root)
                value[key] = made.json
                words.append(self._part(key, made))
        return Value(value, join_words(words) or "nothing in particular", "object")

    def _part(self, key: str, value: Value) -> str:
        """What is said for one property of an object: "high wind strength", "target temperature of 22 degrees"."""
        name = " ".join(words_of(key))
        if value.role == "boolean":
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
    if role == "temperature" and "kelvin" in about.lower():
        usual = (200, 600)
    tiny = 1 if kind == "integer" else 0.5
    low, high = schema.get("minimum"), schema.get("maximum")
    if schema.get("exclusiveMinimum") is not None:
        low = schema["exclusiveMinimum"] + tiny
    if schema.get("exclusiveMaximum") is not None:
        high = schema["exclusiveMaximum"] - tiny
    if role == "amount" and low == 0:
        low = 1  # nobody asks for 0 dollars
    width = usual[1] - usual[0]
    if low is None:
        low = usual[0] if high is None or high > usual[0] else high - width
    if high is None:
        high = max(usual[1], low + width) if low > usual[0] else usual[1]
    return low, max(low, high)


def switch_words(name: str, value: bool) -> list[str]:
    """Ways to say that a switch is on or off: "including the description", "with power save off", "formatted", "unread only"."""
    words = words_of(name)
    states = {
        "enabled": ("enabled", "disabled"),
        "active": ("active", "inactive"),
        "open": ("open", "closed"),
    }
    if len(words) == 1 and words[0] in states:
        return [states[words[0]][0 if value else 1]]
    including = words[0] in ("include", "show", "with", "has")
    enabling = {words[0], words[-1]} & {"enable", "enabled", "on"}
    core = " ".join(
        words[
            including or words[0] in ("is", "enable", "use") : len(words)
            - (words[-1] in ("enabled", "on", "flag"))
        ]
    )
    core = core or " ".join(words)
    if words[-1] == "only" and len(words) > 1:
        rest = " ".join(words[:-1])
        return (
            [f"only {rest}", f"{rest} only", f"just {rest}"]
            if value
            else [f"not only {rest}", f"not just {rest}"]
        )
    if including:
        yes = [
            f"including the {core}",
            f"with the {core}",
            f"including {core}",
            f"with {core}",
        ]
        return (
            yes
            if value
            else [
                f"without the {core}",
                f"without {core}",
                f"no {core}",
                f"excluding {core}",
            ]
        )
    if enabling:
        yes = [
            f"with {core} enabled",
            f"with {core} on",
            f"{core} on",
            f"{core} enabled",
            f"with {core}",
        ]
        return (
            yes
            if value
            else [
                f"with {core} disabled",
                f"with {core} off",
                f"{core} off",
                f"without {core}",
            ]
        )
    if len(words) == 1 and core.endswith("ed"):
        return [core, f"make it {core}", f"with it {core}"] if value else [f"not {core}", f"but not {core}"]
    return (
        [f"with {core}", f"with {core}", f"{core} on"]
        if value
        else [f"without {core}", f"without {core}", f"no {core}"]
    )


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
