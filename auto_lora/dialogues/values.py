"""Arguments first: values sampled from a parameter's schema and meaning, each with its surface.

A surface is how a person would write the value: "half past seven in the evening" for "19:30",
"twenty" for 20. Labels are right by construction because the value comes before the words.
"""

from __future__ import annotations

import random
import re
import string
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

from faker.providers.date_time import Provider as DateTimeProvider

from auto_lora.dialogues.dates import PAST, in_order, sample_date
from auto_lora.dialogues.meaning import UNSAID, described_values, is_action, units_measuring
from auto_lora.dialogues.patterns import from_pattern
from auto_lora.dialogues.phrasebook import (
    WEATHER_FORMS,
    in_form,
    is_joined,
    is_state,
    phrases,
    role_in,
    split_of,
    values_of,
    words_of,
)
from auto_lora.dialogues.pools import Pools
from auto_lora.dialogues.quantities import sample_number
from auto_lora.dialogues.surfaces import Value, join_words, plain
from auto_lora.dialogues.switches import Switch, switch_words

# Common nouns: "the weekend" is the weekend, where "The Wall" is the title.
_WITHOUT_ARTICLE = frozenset(
    "date when daypart year condition weather warmth facility meal kind position series".split()
)


_COMMAS = re.compile(r"\bcity(?:,| and) (?:state|country)\b", re.I)  # "in the format 'City, State'"
_CASED = re.compile(r"(\blower.?case)|\bupper.?case|\bin capitals|\bcapital letters|\ball caps", re.I)
# An example of a thing by its name: "e.g. 'kitchen speaker'".
_LIKE = re.compile(r"e\.g\.?,?\s*['\"`]?[a-z]+ ([a-z]+)(?=['\"`).;]|$)")
# An example of how a code is made: "e.g. ORD-12345", "like INV/2024/001".
_SHAPED = re.compile(
    r"(?:e\.g\.?,?|such as|like|for example,?|examples?:?|ex\.)\s*['\"`(]*((?=[\w./#-]*\d)(?=[\w./#:-]*[A-Za-z.#/:-])[\w#][\w./#:-]{2,23})"
)
_CODED_ROLES = frozenset("generic identifier token version flight product".split())
_CODES = re.compile(r"\b(?:ISO|codes?|alpha.?[23]|USD|EUR)\b|\[A-Z\]\{[23]\}", re.I)
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
    "task": "chore",
    "todo": "chore",
    "ticket": "issue",
    "incident": "issue",
    "issue": "issue",
    "bug": "issue",
}
# What is written down is something to do where the definition speaks of that: "buy milk", not "I'll be late".
_NOTED = frozenset("message note text label item".split())
_TO_DO = re.compile(r"\b(?:to-?dos?|to do lists?|tasks?|chores?|reminders?|remind(?:ed)?)(?![a-z])", re.I)
_ENTERTAINING = re.compile(
    r"\b(?:music|song|stream|video|play|watch|movie|listen|subscri|chat|app|message|deliver|ride)", re.I
)
_EATEN = re.compile(r"(?<![a-z])(?:food|eats?|meals?|menu|dish|restaurants?)(?![a-z])", re.I)
_KIND_POOLS = ("kind_media", "kind_work", "kind_eatery", "kind_place")
_OF_MEDIA = re.compile(r"\b(?:music|media|song|movie|film|book|restaurant|business|thing)s?\b", re.I)


class Sampler:
    """Samples values for one split: open vocabularies are divided between the splits by hash.

    Args:
        seed: all choices follow from it.
        split: "train", "validation" or "test".

    Attributes:
        tool_words: name and description of the tool whose arguments are sampled; they say what a unit measures.
        switches: its boolean that says on or off, with the words for it.
        roles: of its parameters, those that only the tool tells (`roles_by_tool`).
        slots: those of the sentence that the arguments are sampled for; some want a form, such as an adjective.
    """

    def __init__(self, seed: int, split: str) -> None:
        self.random = random.Random(seed)
        self.split = split
        self.pools = Pools(self.random)
        self.tool_words = ""
        self.switches: Mapping[str, Switch] = {}
        self.roles: Mapping[str, str] = {}
        self.slots: frozenset[str] = frozenset()

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
        kind = _type_of(schema)
        role = role or self.roles.get(name) or role_in(name, schema, kind)
        if "const" in schema:
            return Value(schema["const"], plain(schema["const"]), role)
        if schema.get("enum"):
            value = self.random.choice([v for v in schema["enum"] if v not in UNSAID] or schema["enum"])
            if is_action(name, schema):
                return Value(value, self._action_words(value, schema["enum"]), "action")
            return Value(value, self._enum_words(value, role), "state" if is_state(schema) else role)
        if kind == "boolean":
            value = self.random.random() < 0.5
            if name in self.switches:
                role, yes, no = self.switches[name]
                return Value(value, yes if value else no, role)
            return Value(value, self.random.choice(switch_words(name, value)), "boolean")
        if kind in ("integer", "number"):
            return sample_number(self.random, schema, kind, role, name, self.tool_words)
        if kind == "array":
            return self._array(name, schema, root or {}, role)
        if kind == "object":
            return self._object(schema, root or {}, role)
        if kind == "null":
            return Value(None, "none", role)
        return self._string(name, schema, role)

    def _enum_words(self, value: Any, role: str) -> str:
        """What people call an enum's value: its own words, or another name for it."""
        own = plain(value)
        others: list[str] = phrases("enums").get(str(value).lower(), [])
        if len(own) <= 2 and not role.startswith(("unit", "currency", "language", "country")):
            others = []  # M is a size as well as a metre
        if not isinstance(value, str) or not others or self.random.random() < 0.45:
            return own if self.random.random() < 0.3 else own.lower()
        return self.random.choice(others)

    def _action_words(self, value: str, values: list[str]) -> str:
        """A verb for one of several things to do, never one that is another of them: "remove" for delete."""
        said: list[str] = phrases("acts")["act"]["said_as"].get(
            value.lower(), [value.lower().replace("_", " ")]
        )
        others = {v.lower() for v in values if v != value}
        return self.random.choice([s for s in said if s not in others] or [value.lower().replace("_", " ")])

    # Strings.

    def _string(self, name: str, schema: Mapping[str, Any], role: str) -> Value:
        timed = role in ("start", "end") and "time" in words_of(name)
        made = self._formatted(name, schema, "when" if timed else role)
        if made is None:
            made = self._worded(name, schema, role)
        if cased := _CASED.search(str(schema.get("description", ""))):
            written = made.json.lower() if cased[1] else made.json.upper()
            made = replace(made, json=written)
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

    def _formatted(self, name: str, schema: Mapping[str, Any], role: str) -> Value | None:
        """A value of the form that format or description ask for, worded otherwise; None where they ask for none."""
        dated = sample_date(self.random, self.split, schema, role, name)
        if dated is not None:
            return dated
        form = schema.get("format", "")
        faker = self.pools.faker("en_US")
        makers: dict[str, Callable[[], str]] = {
            "email": faker.email, "uri": faker.url, "url": faker.url, "uuid": faker.uuid4,
            "ipv4": faker.ipv4, "ipv6": faker.ipv6, "hostname": faker.domain_name,
        }  # fmt: skip
        if form in makers:
            value = self._mine(makers[form])
            return Value(value, value, role if role != "generic" else {"uri": "url"}.get(form, form))
        return None

    def _worded(self, name: str, schema: Mapping[str, Any], role: str) -> Value:
        """A value in the words that the user would type, taken over as they are."""
        about = str(schema.get("description", ""))
        given = [v for v in schema.get("examples", []) if isinstance(v, str)] or list(described_values(about))
        pool = values_of(role)
        shaped = _SHAPED.search(about)
        examples = [
            v
            for v in schema.get("examples", [])
            if isinstance(v, str) and re.search(r"\d", v) and " " not in v
        ]
        if role in _CODED_ROLES and (shaped or examples):
            value = self._mine(
                lambda: self._of_shape(shaped[1].rstrip(".") if shaped else self.random.choice(examples))
            )
            return Value(value, value, role)
        like = _LIKE.search(about)
        if like and not given and role in ("generic", "thing_name", "device", "title"):
            pools = self.pools
            value = self._mine(
                lambda: (
                    f"{self.random.choice([pools.stock('room'), pools.adjective(), pools.noun()])} {like[1]}"
                )
            )
            return Value(value, value, role)
        if _CODES.search(f"{name} {about} {schema.get('pattern', '')}".replace("_", " ")):
            coded = self._code(role, about)
            if coded:
                return coded
        if role == "sql" and re.search(r"\bselect\b|read.only", f"{about} {self.tool_words}", re.I):
            pool = "sql_select"
        if pool == "org" and "restaurant" in about.lower():
            pool = "restaurant"
        if pool == "item" and _EATEN.search(f"{about} {self.tool_words}"):
            pool = "dish"
        if pool == "query":
            pool = next(
                (p for word, p in _SOUGHT.items() if word in f"{about} {self.tool_words}".lower()), pool
            )
        if pool in ("title", "subject"):
            pool = next(
                (p for word, p in _TITLED.items() if word in f"{about} {self.tool_words}".lower()), pool
            )
        if pool == "repo" and "/" in about:
            pool = "repo_path"
        if role in _NOTED and _TO_DO.search(f"{about} {self.tool_words}"):
            pool = "chore"
        if pool == "service" and not _ENTERTAINING.search(f"{about} {self.tool_words}"):
            pool = role = "system"
        if role in ("place", "address", "origin", "destination") and _COMMAS.search(about):
            value = self._mine(lambda: self._full_place(role, about))
            return Value(value, self._place_words(value), role)
        if role in ("start", "end") and "time" in words_of(name):
            pool = "time"
        if pool == "date" and PAST.search(f"{name} {about}"):
            pool = "past_date"
        if is_joined(schema):
            return self._joined(pool, about, role)
        only_given = False
        if role == "kind_place":
            pool = "kind_eatery" if _EATEN.search(f"{about} {self.tool_words}") else role
        elif pool == "kind":
            named = next((w for w in ("place", "work", "media") if w in about.lower()), "")
            pool = f"kind_{named}" if named else "kind" if _OF_MEDIA.search(about) else "generic"
            alike = {p: sum(g in phrases("inventories")[p] for g in given) for p in _KIND_POOLS}
            if any(alike.values()):  # of the things that the definition names
                pool = max(alike, key=alike.__getitem__)
            elif given:
                pool, only_given = "generic", True
        elif pool in ("weather", "condition") and (forms := sorted(self.slots & WEATHER_FORMS)):
            pool = self.random.choice(forms)
            given = [v for v in given if in_form(v, pool)]
        closed = role in (
            "generic",
            "kind",
            "kind_place",
            "category",
            "unit",
            "position",
            "series",
            "rating_unit",
        )  # few words do
        if given and (only_given or self.random.random() < (0.85 if closed else 0.45)):
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

    def _of_shape(self, example: str) -> str:
        """A code like an example: its letters in front are kept, other letters and digits are drawn."""
        head = re.match(r"[A-Za-z]+(?=[^A-Za-z])|", example)
        kept = head[0] if head else ""
        pools = {"A": string.ascii_uppercase, "a": string.ascii_lowercase, "0": string.digits}
        made = [
            c
            if not c.isascii() or not c.isalnum()
            else self.random.choice(pools["0" if c.isdigit() else "A" if c.isupper() else "a"])
            for c in example[len(kept) :]
        ]
        return kept + "".join(made)

    def _full_place(self, role: str, about: str) -> str:
        """A place with what its description asks for: "Boston, MA", "Riga, Latvia", "12 Elm Street, Boston, MA, USA"."""
        faker, stock = self.pools.faker("en_US"), self.pools.stock
        country = "country" in about.lower()
        if role == "address" or "street" in about.lower():
            return f"{faker.street_address()}, {stock('city_and_state')}" + (", USA" if country else "")
        abroad = country and self.random.random() < 0.5
        if self.random.random() < 0.6:
            return stock("city_and_country" if abroad else "city_and_state")
        return f"{self.pools.place()}, {self.pools.country() if abroad else faker.state_abbr()}"

    def _place_words(self, place: str) -> str:
        """A full place as people say it; of a known city often the city alone."""
        inventories = phrases("inventories")
        known = place in inventories["city_and_state"] or place in inventories["city_and_country"]
        return place.partition(",")[0] if known and self.random.random() < 0.5 else place

    def _code(self, role: str, about: str) -> Value | None:
        """The code of a currency, language or country, mostly by its name; None of anything else."""
        if re.search(r"\bIATA\b|airport code|3.letter", about, re.I) and role in (
            "airport",
            "origin",
            "destination",
        ):
            code, names = self.random.choice(list(phrases("airports").items()))
            return Value(code, self.random.choice([*names, code]), role)
        if role == "country" and not re.search(r"dial|phone|calling", about, re.I):
            country = self.random.choice(DateTimeProvider.countries)
            three = re.search(r"alpha.?3|\b(?:three|3)\b|\bUSA\b", about, re.I)
            code, names = (country.alpha_3_code if three else country.alpha_2_code), [country.name]
        elif role.startswith("currency") or role in ("language", "source_language"):
            code = self.random.choice(
                phrases("inventories")["currency" if "currency" in role else "language_code"]
            )
            names = phrases("enums").get(code.lower(), [])
        else:
            return None
        said = [] if names and "language" in role else [code]  # nobody says "what's the tr for that"
        return Value(code, self.random.choice([*names, *names, *said]), role)

    def _joined(self, pool: str, about: str, role: str) -> Value:
        """Several values in one string, as the description joins them."""
        separator = next(iter(re.findall(r"joined by '([^']+)'", about)), ", ")
        pair = {"currency_from", "currency_to"} <= self.slots
        count = 2 if pair else self.random.choice([1, 2, 2])
        drawn = (self._mine(lambda: self.pools.make(pool)) for _ in range(20))
        values = list(islice(dict.fromkeys(drawn), count))
        between = (
            self.random.choice([" to ", " and ", " into ", " in ", " versus "])
            if len(values) == 2
            else " and "
        )
        return Value(separator.join(values), between.join(values), role, tuple(values))

    def _mine(self, make: Callable[[], str]) -> str:
        """A value that belongs to this split, if one comes up in 30 tries."""
        for _ in range(30):
            value = str(make())
            if split_of("value", value.casefold()) == self.split:
                break
        return value

    # Compounds.

    def _array(self, name: str, schema: Mapping[str, Any], root: Mapping[str, Any], role: str) -> Value:
        items_of = schema.get("items")
        item: Mapping[str, Any] = items_of if isinstance(items_of, Mapping) else {"type": "string"}
        numeric = item.get("type") in ("integer", "number")
        most = int(schema.get("maxItems", 10**9))
        low = int(
            schema.get("minItems", min(3, most) if numeric else 1)
        )  # nobody wants the mean of one number
        high = min(most, max(low, 6 if numeric else 3))
        singular = name.removesuffix("s")
        if "description" not in item and schema.get("description"):
            item = {**item, "description": schema["description"]}
        items: list[Value] = []
        for _ in range(8 * high):
            if len(items) >= self.random.randint(max(low, 1), max(high, 1)):
                break
            made = self.sample(singular, item, root, role if role == "tag" else "")
            two = (
                isinstance(made.json, str) and " and " in made.json
            )  # "rice and beans, soup" would be read as three
            if made.json not in [v.json for v in items] and not two:
                items.append(made)
        while len(items) < low:
            items.append(self.sample(singular, item, root))
        surface = join_words([v.surface for v in items])
        numbers = [v.json for v in items if isinstance(v.json, (int, float))]
        if len(numbers) == len(items) > 1 and self.random.random() < 0.35:
            surface = f"[{', '.join(map(str, numbers))}]"
        return Value([v.json for v in items], surface, items[0].role if items else role)

    def _object(self, schema: Mapping[str, Any], root: Mapping[str, Any], role: str) -> Value:
        value: dict[str, Any] = {}
        words: list[str] = []
        switches: list[str] = []
        drawn: dict[str, Value] = {}
        required = schema.get("required", ())
        properties = schema.get("properties", {})
        for key in sorted(properties, key=lambda k: k not in required):
            if key in required or self.random.random() < 0.4:
                drawn[key] = self.sample(key, properties[key], root, self._role_inside(key, role))
        ordered = in_order(self.random, self.split, drawn, properties)
        thing = next((k for k in ("name", "item", "product", "title") if k in drawn), "")
        many = next((k for k in ("quantity", "qty", "count", "amount") if k in drawn), "")
        if thing and many and isinstance(drawn[many].json, int):  # "4 lamb wraps"
            number = str(drawn[many].json) if self.random.random() < 0.6 else drawn[many].surface
            words.append(f"{number} {re.sub('^an? ', '', drawn[thing].surface)}")
        for key, made in ordered.items():
            value[key] = made.json
            if not (thing and many and key in (thing, many)):
                (switches if made.role == "boolean" else words).append(self._part(key, made))
        if properties and not value:  # nobody sets nothing
            key = self.random.choice(list(properties))
            made = self.sample(key, properties[key], root, self._role_inside(key, role))
            value[key] = made.json
            words.append(self._part(key, made))
        return Value(value, join_words(words + switches) or "nothing in particular", "object")

    def _role_inside(self, key: str, role: str) -> str:
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
        return role if named else ""

    def _part(self, key: str, value: Value) -> str:
        """What is said for one property of an object: "high wind strength", "target temperature of 22 degrees"."""
        name = " ".join(words_of(key))
        if value.role in ("boolean", "duration"):  # "20 minutes and 30 seconds"
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
