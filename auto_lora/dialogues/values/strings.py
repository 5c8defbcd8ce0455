"""Argument values that are strings, with their words: of the form that a definition asks for, else as people type them."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from itertools import islice
from typing import Any

from faker.providers.date_time import Provider as DateTimeProvider

from auto_lora.dialogues.definitions.examples import alternatives, described_values, shows_town
from auto_lora.dialogues.definitions.phrasebook import (
    SPATIAL_FORMS,
    WEATHER_FORMS,
    in_form,
    is_closed,
    is_joined,
    phrases,
    words_of,
)
from auto_lora.dialogues.definitions.programs import is_programs
from auto_lora.dialogues.definitions.quoted import is_foreign, is_note, only_example
from auto_lora.dialogues.definitions.roles import KINDS
from auto_lora.dialogues.definitions.units import units_measuring
from auto_lora.dialogues.values.codes import Codes
from auto_lora.dialogues.values.dates import sample_date
from auto_lora.dialogues.values.patterns import from_pattern
from auto_lora.dialogues.values.pool_for import EATEN, pool_for, sight
from auto_lora.dialogues.values.surfaces import Value

# Common nouns: "the weekend" is the weekend, where "The Wall" is the title.
_WITHOUT_ARTICLE = frozenset(
    "date when daypart year condition weather warmth facility meal kind position series here".split()
)


_COMMAS = re.compile(r"\bcity(?:,| and) (?:state|country)\b", re.I)  # "in the format 'City, State'"
_CASED = re.compile(r"(\blower.?case)|\bupper.?case|\bin capitals|\bcapital letters|\ball caps", re.I)
_FOR_EXAMPLE = re.compile(r"(?:\be\.g\.?|such as|\blike|example|\bex\.)[^.]{0,40}$", re.I)
_EITHER = re.compile(r"(['\"`])[^'\"`]{1,30}\1,? or (['\"`])[^'\"`]{1,30}\2")
_AND_MORE = re.compile(r"\.\.\.|\bsuch as\b|\be\.g\.|\betc\b")
# "The court that decided: Supreme, Appellate or District" names all there are.
_LISTED = re.compile(
    r"^[^:;]+: ?[\w -]+(?:, [\w -]+)+,? or (?!(?:an?|any|the|other|another|your|custom)\b)[\w -]+\.?$"
)
_OPEN_LIST = re.compile(r"\.\.\.|\b(?:such as|e\.g\.|etc|like|includ\w+|examples?)\b", re.I)
_KIND_POOLS = ("kind_media", "kind_work", "kind_eatery", "kind_place")
_OF_MEDIA = re.compile(r"\b(?:music|media|song|movie|film|book|restaurant|business|thing)s?\b", re.I)


# "City and country code, e.g. 'London,GB'".
_PLACE_CODE = re.compile(r"\bcountry code\b.{0,30}?['\"`(][A-Z][\w ]+(, ?)[A-Z]{2}['\"`)]")
# Tools that take a text letter by letter.
_TO_THE_LETTER = re.compile(
    r"\b(?:en|de)cod|\bhash|\bdigest|\bcommit|\bregex|base64|checksum|\bencrypt", re.I
)
_NO_KIND = frozenset(
    "message label phrase sql command tag code code_noun setting category prefix_room prefix_label".split()
)


@cache
def _alike(given: tuple[str, ...]) -> str:
    """The inventory that holds what a definition names as examples, two of them at least where there are more; "" where none does."""
    named = {g.lower() for g in given}
    held = {
        k: len(named & {str(v).lower() for v in values})
        for k, values in phrases("inventories").items()
        if k not in _NO_KIND
    }
    best = max(held, key=held.__getitem__)
    return best if held[best] >= min(2, len(named)) > 0 else ""


class Strings(Codes):
    """Samples strings for one split: open vocabularies are divided between the splits by hash.

    Args:
        rng: the source of all choices.
        split: "train", "validation" or "test".

    Attributes:
        tool_words: name and description of the tool whose arguments are sampled; they say what a unit measures.
        slots: those of the sentence that the arguments are sampled for; some want a form, such as an adjective.
        warm: the tool has an argument of its own for how warm it is.
    """

    def __init__(self, rng: random.Random, split: str) -> None:
        super().__init__(rng, split)
        self.tool_words = ""
        self.slots: frozenset[str] = frozenset()
        self.warm = False

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
        if not given and is_note(name, about, self.tool_words):
            note = self.random.choice(phrases("inventories")["note_name"])
            return Value(note, note, "musical_key")
        coded = self._coded(name, schema, role, bool(given))
        if coded is not None:
            return coded
        if role in ("place", "origin", "destination") and (shown := _PLACE_CODE.search(about)):
            return self._city_and_code(shown[1], role)
        if role in ("place", "address", "origin", "destination") and (
            _COMMAS.search(about) or shows_town(about)
        ):
            value = self._mine(lambda: self._full_place(role, about))
            return Value(value, self._place_words(value), role)
        pool = pool_for(self.random, name, about, role, self.tool_words)
        role = "system" if pool == "system" else role
        if is_joined(schema):
            return self._joined(pool, about, role)
        either = _EITHER.search(about)
        coded_region = role == "region" and len(given) > 1 and re.search(r"\bcodes?\b", about, re.I)
        example = only_example(name, about) if pool == "generic" and not given else ""
        given = [example] if example else given
        only_given = (
            bool(coded_region)
            or (
                bool(example) and self.random.random() < 0.5
            )  # others, so that the value is copied, not known
            or bool(alternatives(about))
            or (bool(given) and _LISTED.search(about) is not None and not _OPEN_LIST.search(about))
            or (either is not None and not _FOR_EXAMPLE.search(about[: either.start()]))
        )
        if role == "kind_place":
            pool = "kind_eatery" if EATEN.search(f"{about} {self.tool_words}") else role
            pool = "kind_screen" if "cinema" in given else pool
        elif pool == "kind":
            named = next((w for w in ("place", "work", "media") if w in about.lower()), "")
            pool = f"kind_{named}" if named else "kind" if _OF_MEDIA.search(about) else "generic"
            alike = {p: sum(g in phrases("inventories")[p] for g in given) for p in _KIND_POOLS}
            if any(alike.values()):  # of the things that the definition names
                pool = max(alike, key=alike.__getitem__)
            elif given:
                pool, only_given = "generic", True
        elif pool in ("weather", "condition") and (forms := sorted(self.slots.intersection(WEATHER_FORMS))):
            pool = self.random.choice(forms)
            given = [v for v in given if in_form(v, pool)]
            if self.warm:  # how warm it is is another argument
                given = [v for v in given if v not in phrases("inventories")["warmth"]]
        elif role == "spatial":
            pool = self.random.choice(sorted(self.slots.intersection(SPATIAL_FORMS)) or ["spatial"])
            given = [v for v in given if in_form(v, pool)]
        closed = role in (
            "generic",
            "type",
            "kind",
            "kind_place",
            "category",
            "unit",
            "unit_from",
            "unit_to",
            "position",
            "series",
            "rating_unit",
        )  # few words do
        foreign = is_foreign(pool, about, given)
        inventory = _alike(tuple(given)) if pool == "generic" or foreign else ""
        only_given = only_given or (foreign and not inventory)
        pool = inventory or pool
        # Of flavours nobody knows others than those named; of fruit one does.
        share = 0.45 if not closed else 0.95 if pool == "generic" and len(given) > 2 else 0.85
        if role == "kind" and pool in (*_KIND_POOLS, "kind"):
            share = 0.7  # a symphony is played, too
        if role in KINDS and _AND_MORE.search(about):
            share = 0.6  # "book, novel, film..."
        if given and (only_given or self.random.random() < share):
            value = self.random.choice(given)
            return Value(value, value, role)
        if role == "unit":
            value = self.random.choice(
                units_measuring(f"{about} {self.tool_words}") or phrases("inventories")["unit"]
            )
            return Value(value, value, role)
        if role in ("unit_from", "unit_to"):  # few; another split's partner may be the only one
            told = (
                units_measuring(f"{about} {self.tool_words}")
                or self.random.choice(phrases("units")["kinds"])["units"]
            )
            value = self.random.choice(told)
            return Value(value, value, role)
        kind = sight(name, about) if pool in ("poi", "generic") else ""
        if kind:  # "the Ashford museum", never "near" it
            value = self._mine(
                lambda: (
                    f"{self.random.choice([self.pools.faker('en_US').last_name(), self.pools.place()])} {kind}"
                )
            )
            return Value(value, self.random.choice([value, value, f"the {value}"]), role)
        value = self._of_pool(pool)
        if pool == "weather_adjective" and self.warm:
            warm = phrases("inventories")["warmth"]
            value = self.random.choice([w for w in phrases("inventories")[pool] if w not in warm])
        if role == "time_zone":  # people name the city of it
            city = value.rpartition("/")[2].replace("_", " ")
            return Value(value, self.random.choice([city, city, value]), role)
        exact = role in ("message", "text") and _TO_THE_LETTER.search(self.tool_words)
        if role in ("message", "text") and self.random.random() < (0.85 if exact else 0.3):
            return Value(value, f'"{value}"', role)
        if is_programs(role):
            return Value(value, self._written(value, role), role)
        if pool == "chore" and role == "label":
            return Value(value, value, "chore")
        label = re.sub(r"^(?:the|an?) (?=.)", "", value) if role in _WITHOUT_ARTICLE else value
        return Value(label, value, role)

    def _of_pool(self, pool: str) -> str:
        """A value of a pool; an open vocabulary's is this split's. A split without "Tuesday", "takeaway" or "happy" would not know them."""
        return self.pools.make(pool) if is_closed(pool) else self._mine(lambda: self.pools.make(pool))

    def _written(self, value: str, role: str) -> str:
        """A name of a program as it is typed among words: bare, or in marks."""
        marks = ["{v}"] * 4 + ["'{v}'", "`{v}`", '"{v}"'] + ["{v}()"] * (role == "callback")
        if " " in value or role == "regex":
            marks = ["'{v}'", "`{v}`", '"{v}"', "{v}"]
        return self.random.choice(marks).format(v=value)

    def _full_place(self, role: str, about: str) -> str:
        """A place with what its description asks for: "Boston, MA", "Riga, Latvia", "12 Elm Street, Boston, MA, USA"."""
        faker, stock = self.pools.faker("en_US"), self.pools.stock
        country = "country" in about.lower()
        if role == "address" or "street" in about.lower():
            return f"{faker.street_address()}, {stock('city_and_state')}" + (", USA" if country else "")
        abroad = country and self.random.random() < 0.5
        if self.random.random() < 0.6:
            return stock("city_and_country" if abroad else "city_and_state")
        if abroad:
            return f"{self.pools.place()}, {self.pools.country()}"
        return f"{faker.city()}, {faker.state_abbr()}"  # made-up towns: "Krakow, PW" there is not

    def _city_and_code(self, comma: str, role: str) -> Value:
        """A city with its country's code, as the definition writes them: "Riga,LV" for Riga, Latvia."""
        codes = {c.name: c.alpha_2_code for c in DateTimeProvider.countries} | {"UK": "GB", "USA": "US"}
        known = [p.split(", ") for p in phrases("inventories")["city_and_country"]]
        coded = {
            f"{city}{comma}{codes[country]}": (city, country) for city, country in known if country in codes
        }
        code = self._mine(lambda: self.random.choice(list(coded)))
        city, country = coded[code]
        said = [city, city, f"{city}, {country}", f"{city} in {country}", code]
        return Value(code, self.random.choice(said), role)

    def _place_words(self, place: str) -> str:
        """A full place as people say it; of a known city often the city alone."""
        inventories = phrases("inventories")
        known = place in inventories["city_and_state"] or place in inventories["city_and_country"]
        return place.partition(",")[0] if known and self.random.random() < 0.5 else place

    def _joined(self, pool: str, about: str, role: str) -> Value:
        """Several values in one string, as the description joins them."""
        separator = next(iter(re.findall(r"joined by '([^']+)'", about)), ", ")
        pair = {"currency_from", "currency_to"} <= self.slots
        count = 2 if pair else self.random.choice([1, 2, 2])
        drawn = (self._of_pool(pool) for _ in range(20))
        values = list(islice(dict.fromkeys(drawn), count))
        between = (
            self.random.choice([" to ", " and ", " into ", " in ", " versus "])
            if len(values) == 2
            else " and "
        )
        return Value(separator.join(values), between.join(values), role, tuple(values))
