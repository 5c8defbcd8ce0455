"""Arguments first: values sampled from a parameter's schema and meaning, each with its surface.

A surface is how a person would write the value: "half past seven in the evening" for "19:30",
"twenty" for 20. Labels are right by construction because the value comes before the words.
"""

from __future__ import annotations

import random
import re
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from auto_lora.dialogues.phrasebook import phrases, role_of, split_of, words_of

_POOL_OF = {
    "origin": "city", "destination": "city", "place": "city", "source_language": "language",
    "unit_from": "currency", "unit_to": "currency",
}  # fmt: skip
_ONES = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
_TENS = "zero ten twenty thirty forty fifty sixty seventy eighty ninety".split()


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
        from faker import Faker

        self.random = random.Random(seed)
        self.split = split
        self.faker = Faker("en_US")
        self.faker.seed_instance(seed)

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
            return Value(value, _plain(value), role if role in ("room", "day", "genre") else "generic_enum")
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
        if role in ("brightness", "percent", "volume") and ("percent" in about or "%" in about):
            return self.random.choice([f"{text}%", f"{text} percent", f"{words} percent"])
        if role == "temperature":
            unit = "fahrenheit" if "fahrenheit" in about else "celsius"
            return self.random.choice(
                [f"{text} degrees", f"{words} degrees", text, f"{text} degrees {unit}", f"{text}°"]
            )
        if role == "duration":
            unit = next(
                (u for u in ("second", "minute", "hour", "day", "week", "night") if u in about), "minute"
            )
            return f"{words} {unit}{'' if value == 1 else 's'}"
        if role == "money":
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
            made = self._by_role(name, schema, role)
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
        about = str(schema.get("description", ""))
        form = schema.get("format", "")
        if form == "time" or (role in ("time", "start", "end") and re.search(r"HH:MM|24.?hour", about, re.I)):
            return self._time(
                seconds="ss" in about.lower()
                or (form == "time" and "pattern" not in schema and "HH:MM" not in about)
            )
        if form == "date" or (
            role in ("date", "start", "end", "day") and re.search(r"YYYY-MM-DD|ISO", about, re.I)
        ):
            return self._date()
        if form == "date-time":
            day, hour = self._date(), self._time(seconds=True)
            return Value(f"{day.json}T{hour.json}Z", f"{day.surface} at {hour.surface}", "date")
        makers: dict[str, Callable[[], str]] = {
            "email": self.faker.email, "uri": self.faker.url, "url": self.faker.url, "uuid": self.faker.uuid4,
            "ipv4": self.faker.ipv4, "ipv6": self.faker.ipv6, "hostname": self.faker.domain_name,
        }  # fmt: skip
        if form in makers:
            value = self._mine(makers[form])
            return Value(value, value, role if role != "generic" else {"uri": "url"}.get(form, form))
        return None

    def _by_role(self, name: str, schema: Mapping[str, Any], role: str) -> Value:
        given = [v for v in schema.get("examples", []) if isinstance(v, str)]
        if given and self.random.random() < 0.5:
            value = self.random.choice(given)
            return Value(value, value, role)
        makers: dict[str, Callable[[], str]] = {
            "email": self.faker.email, "url": self.faker.url, "phone": lambda: self.faker.numerify("+1 555 ### ####"),
            "address": self.faker.street_address, "person": self._person, "recipient": self._person,
            "organisation": self.faker.company, "identifier": self._identifier, "expression": self._expression,
        }  # fmt: skip
        if role in ("date", "start", "end"):
            return self._date(iso=True)
        if role == "time":
            return self._time()
        if role == "day":
            value = self.random.choice(["today", "tomorrow", "monday", "tuesday", "friday", "next week"])
            return Value(value, value, "day")
        if role == "duration":
            value = f"{self.random.randint(2, 12) * 5} minutes"
            return Value(value, value, role)
        if role in makers:
            value = self._mine(makers[role])
            return Value(value, value, role)
        value = self._mine(lambda: self._from_inventory(_POOL_OF.get(role, role)))
        if role in ("message", "phrase") and self.random.random() < 0.5:
            return Value(value, f'"{value}"', role)
        return Value(value, value, role)

    def _from_inventory(self, role: str) -> str:
        """A stock value; a third of those that take one get a prefix, so that copying is learnt, not a list."""
        inventories = phrases("inventories")
        if role not in inventories:
            return str(self.faker.word())
        value: str = self.random.choice(inventories[role])
        prefixes = inventories.get(f"prefix_{role}")
        if prefixes and self.random.random() < 0.35:
            value = f"{self.random.choice(prefixes)} {value}"
        return value

    def _person(self) -> str:
        return f"{self.faker.first_name()} {self.faker.last_name()}"

    def _identifier(self) -> str:
        shape = self.random.choice(["####", "?-####", "??###", "#####", "???-###"])
        return self.faker.bothify(shape, letters=string.ascii_uppercase)

    def _expression(self) -> str:
        a, b, c = (self.random.randint(2, 99) for _ in range(3))
        first, second = (self.random.choice("+-*/") for _ in range(2))
        forms = [
            f"{a} {first} {b}",
            f"{a} {first} {b} {second} {c}",
            f"({a} {first} {b}) {second} {c}",
            f"{a / 10} {first} {b}",
        ]
        return self.random.choice(forms)

    def _time(self, seconds: bool = False) -> Value:
        hour, minute = (
            self.random.randint(5, 23),
            self.random.choice([0, 0, 0, 15, 30, 30, 45, 5, 10, 20, 40, 50]),
        )
        value = f"{hour:02d}:{minute:02d}" + (":00" if seconds else "")
        return Value(value, self.random.choice(time_surfaces(hour, minute)), "time")

    def _date(self, iso: bool = True) -> Value:
        day = self._mine_date()
        month = day.strftime("%B")
        forms = [
            f"{month} {day.day}{_ordinal(day.day)} {day.year}", f"{day.day} {month} {day.year}",
            f"{month} {day.day}, {day.year}", day.isoformat(), f"the {day.day}{_ordinal(day.day)} of {month} {day.year}",
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
            if split_of("value", value) == self.split:
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
        "temperature": (15, 28), "brightness": (5, 100), "percent": (5, 100), "volume": (5, 100), "duration": (5, 60),
        "money": (5, 500), "count": (1, 10), "identifier": (1000, 99999),
    }.get(role, (1, 50))  # fmt: skip
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


def number_words(value: int) -> str:
    """0 to 99 in words."""
    if value < 20:
        return _ONES[value]
    tens, ones = divmod(value, 10)
    return _TENS[tens] + (f"-{_ONES[ones]}" if ones else "")


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
            f"{twelve} o'clock {part}",
            f"{_ONES[twelve]} {part}",
        ]
    if minute == 30:
        forms += [f"half past {_ONES[twelve]} {part}"]
    if minute == 15:
        forms += [f"quarter past {_ONES[twelve]} {part}"]
    if minute == 45:
        forms += [f"quarter to {_ONES[(hour + 1) % 12 or 12]} {part}"] if hour not in (11, 17, 21, 23) else []
    return forms


def _ordinal(day: int) -> str:
    return "th" if 10 <= day % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")


def join_words(parts: list[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}" if parts else ""


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value).replace("_", " ") if isinstance(value, str) else f"{value}"


def from_pattern(pattern: str, rng: random.Random) -> str:
    """A string that a regular expression matches, through Python's own parser of it.

    Raises:
        ValueError: none came up in 50 tries (look-arounds, back references).
    """
    for _ in range(50):
        made = "".join(_expand(_parse(pattern), rng))
        if re.search(pattern, made):
            return made
    raise ValueError(f"no string was found for the pattern {pattern}")


def _parse(pattern: str) -> Any:
    try:
        from re import _parser as parser  # type: ignore[attr-defined]
    except ImportError:  # Python 3.10
        import sre_parse as parser

    return parser.parse(pattern)


def _expand(tokens: Any, rng: random.Random) -> list[str]:
    out: list[str] = []
    for op, argument in tokens:
        name = str(op)
        if name == "LITERAL":
            out.append(chr(argument))
        elif name == "ANY":
            out.append(rng.choice(string.ascii_lowercase))
        elif name == "IN":
            out.append(_from_set(argument, rng))
        elif name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            low, high, inner = argument
            for _ in range(rng.randint(low, min(int(high), low + 4))):
                out += _expand(inner, rng)
        elif name == "SUBPATTERN":
            out += _expand(argument[3], rng)
        elif name == "BRANCH":
            out += _expand(rng.choice(argument[1]), rng)
        elif name == "CATEGORY":
            out.append(_of_category(str(argument), rng))
        elif name == "NOT_LITERAL":
            out.append(rng.choice([c for c in string.ascii_lowercase if ord(c) != argument]))
    return out


def _from_set(members: Any, rng: random.Random) -> str:
    chars: list[str] = []
    negated = False
    for op, argument in members:
        name = str(op)
        if name == "NEGATE":
            negated = True
        elif name == "LITERAL":
            chars.append(chr(argument))
        elif name == "RANGE":
            chars += [chr(c) for c in range(argument[0], min(argument[1], argument[0] + 500) + 1)]
        elif name == "CATEGORY":
            chars += _category_chars(str(argument))
    if negated:
        chars = [c for c in string.ascii_letters + string.digits if c not in chars]
    return rng.choice(chars or ["a"])


def _category_chars(name: str) -> list[str]:
    table = {"DIGIT": string.digits, "WORD": string.ascii_letters + string.digits, "SPACE": " "}
    return list(
        next(
            (v for k, v in table.items() if name.endswith(f"_{k}") and "NOT" not in name),
            string.ascii_letters,
        )
    )


def _of_category(name: str, rng: random.Random) -> str:
    return rng.choice(_category_chars(name))
