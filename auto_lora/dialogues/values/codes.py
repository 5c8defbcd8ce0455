"""Codes as a definition wants them: made like its example ("ORD-12345"), or standing for something with a name (USD, DE, OSL)."""

from __future__ import annotations

import random
import re
import string
from collections.abc import Callable, Mapping
from typing import Any

from faker.providers.address.en_US import Provider as Address
from faker.providers.date_time import Provider as DateTimeProvider

from auto_lora.dialogues.definitions.phrasebook import phrases, split_of, words_of
from auto_lora.dialogues.values.pools import Pools
from auto_lora.dialogues.values.surfaces import Value

# An example of a thing by its name: "e.g. 'kitchen speaker'".
_LIKE = re.compile(r"e\.g\.?,?\s*['\"`](?!last|next|this|very|the|my)[a-z]+ ([a-z]+)['\"`]")
# An example of how a code is made: "e.g. ORD-12345", "like INV/2024/001".
_SHAPED = re.compile(
    r"(?:e\.g\.?,?|such as|like|for example,?|examples?:?|ex\.)\s*['\"`(]*((?=[\w./#-]*\d)(?=[\w./#:-]*[A-Za-z.#/:-])[\w#][\w./#:-]{1,23})"
)
_CODED_ROLES = frozenset("generic identifier token version flight product number category".split())
# An example with a digit or a capital within, quoted: "e.g. 'Aa'", "such as '2021-2022'".
_SPELLED = re.compile(
    r"(?:e\.g\.?,?|such as|like|for example,?|examples?:?|ex\.)\s*\(?['\"`]((?=[^'\"`]*(?:\d|[a-z][A-Z]|[A-Z][a-z]?[A-Z]|[A-Z]{2}|[A-Z][a-z]['\"`]))[\w/.#+-]{2,24})['\"`]"
)
_OWN_FORM = frozenset(
    "date time when start end daypart year duration email url phone file formula expression hex_color chemical_formula dna musical_key".split()
)
# "e.g. 5m", "such as 512Mi".
_SHORT = re.compile(
    r"(?:e\.g\.?,?|such as|like|for example,?)\s*['\"`(]*(\d+)(ms|[smhdw]|[KMGT]i?B?)\b(?![-/.\d])"
)
_UNITS_IN_SHORT = {"ms": "millisecond", "s": "second", "m": "minute", "h": "hour", "d": "day", "w": "week"}
_TIMED = re.compile(
    r"\b(?:time|interval|duration|period|since|timeout|ago|every|ttl|step|resolution|window|range|span)\b",
    re.I,
)
_E164 = re.compile(r"\bE\.?164|international format|with (?:the )?country code", re.I)
_DIALS = ("1", "44", "49", "33", "34", "39", "61", "81")
_NAMED_CODES = frozenset(
    "country language source_language currency currency_from currency_to airport origin destination postcode hex_color".split()
)
_PLACEHOLDER = re.compile(r"\b([A-Z]{2,5}[-/])([X#]{3,10})(?![A-Za-z])")
_SEASON = re.compile(r"((?:19|20)\d\d)([-/])((?:19|20)?\d\d)")
_TERM = re.compile(r"['\"`(]((?:spring|summer|autumn|fall|winter)) ((?:19|20)\d\d)['\"`)]", re.I)
_STATE = re.compile(r"\b(?:two|2)[- ]letter\b|\bstate (?:code|abbreviation)|\bpostal abbreviation", re.I)
_STATES = list(
    zip([a for a in Address.states_abbr if a != "DC"], Address.states, strict=True)
)  # in one order
_GENETIC = re.compile(r"\b(?:genotype|allele)s?\b", re.I)
_DIGITS = re.compile(r"\b([1-9]\d?)[- ]digits?\b", re.I)
_FOUR = re.compile(r"\bYYYY\b|\b(?:four|4)[- ]digit", re.I)
_CODES = re.compile(r"\b(?:ISO|codes?|alpha.?[23]|USD|EUR)\b|\[A-Z\]\{[23]\}", re.I)


class Codes:
    """Samples codes for one split: open vocabularies are divided between the splits by hash.

    Args:
        rng: the source of all choices.
        split: "train", "validation" or "test".
    """

    def __init__(self, rng: random.Random, split: str) -> None:
        self.random, self.split, self.pools = rng, split, Pools(rng)

    def _mine(self, make: Callable[[], str]) -> str:
        """A value that belongs to this split, if one comes up in 30 tries."""
        for _ in range(30):
            value = str(make())
            if split_of("value", value.casefold()) == self.split:
                break
        return value

    def _coded(self, name: str, schema: Mapping[str, Any], role: str, listed: bool) -> Value | None:
        """A value made like the example that a definition gives, or a code of something that has a name; None of any other.

        Args:
            listed: the definition lists values.
        """
        about = str(schema.get("description", ""))
        if (short := _SHORT.search(about)) and role in (*_CODED_ROLES, "duration", "timeout", "frequency"):
            return self._short(
                short[1],
                short[2],
                role,
                timed=role in ("duration", "timeout")
                or bool(_TIMED.search(f"{' '.join(words_of(name))} {about}")),
            )
        if term := _TERM.search(about):  # "in the form 'Fall 2023'"
            named = ["Spring", "Summer", "Autumn" if term[1].lower() == "autumn" else "Fall", "Winter"]
            value = self._mine(lambda: f"{self.random.choice(named)} {self.random.randint(2018, 2027)}")
            return Value(value, value, role)
        shaped = _SHAPED.search(about)
        examples = [
            v
            for v in schema.get("examples", [])
            if isinstance(v, str) and re.search(r"\d", v) and " " not in v
        ]
        if role == "phone" and _E164.search(about):
            value = self._mine(
                lambda: f"+{self.random.choice(_DIALS)}{self.random.randint(10**9, 10**10 - 1)}"
            )
            return Value(value, value, role)
        if (
            words_of(name)[-1:] == ["code"]
            and shaped
            and re.search("[A-Z]", shaped[1])
            and role not in _NAMED_CODES
        ):
            value = self._mine(lambda: self._of_shape(shaped[1].rstrip(".")))
            return Value(value, value, "identifier")
        if role in _CODED_ROLES and (shaped or examples):
            value = self._mine(
                lambda: self._of_shape(shaped[1].rstrip(".") if shaped else self.random.choice(examples))
            )
            return Value(value, value, role)
        coded = _CODES.search(f"{name} {about} {schema.get('pattern', '')}".replace("_", " ")) is not None
        if coded and (code := self._code(role, about)):
            return code
        spelled = _SPELLED.search(about)
        if spelled and not listed and role not in _OWN_FORM:
            example = spelled[1]
            # A word in capitals ("e.g. 'JSON'") is a word; a code is called one.
            code_like = not example.isalpha() or re.search(r"\bcode|\babbrev", about, re.I)
            if _SEASON.fullmatch(example) or _GENETIC.search(about) or (role in _CODED_ROLES and code_like):
                value = self._mine(lambda: self._of_shape(example))
                return Value(value, value, role)
        if role in _CODED_ROLES and (made := _PLACEHOLDER.search(about)):
            value = self._mine(lambda: made[1] + self._of_shape("0" * len(made[2])))
            return Value(value, value, role)
        if role in (*_CODED_ROLES, "postcode") and (digits := _DIGITS.search(about)):
            value = self._mine(lambda: self._of_shape("0" * int(digits[1])))
            return Value(value, value, role)
        if role == "year" and _FOUR.search(about):
            value = str(self.random.randint(1960, 2026))
            return Value(value, value, role)
        like = _LIKE.search(about)
        if like and not listed and role in ("generic", "thing_name", "device", "title"):
            pools = self.pools
            value = self._mine(
                lambda: (
                    f"{self.random.choice([pools.stock('room'), pools.adjective(), pools.noun()])} {like[1]}"
                )
            )
            return Value(value, value, role)
        return None

    def _short(self, count: str, unit: str, role: str, *, timed: bool) -> Value:
        """A length of time or a size as short as the example's: "30s", "512Mi"; said in words as well where it is a time."""
        words = _UNITS_IN_SHORT.get(unit) if timed else None
        numbers = (
            [1, 2, 3, 5, 10, 12, 15, 20, 30, 45] if words else [int(count) * n for n in (1, 2, 3, 4, 6, 8)]
        )
        value = self._mine(lambda: f"{self.random.choice(numbers)}{unit}")
        number = value.removesuffix(unit)
        spoken = [f"{number} {words}{'' if number == '1' else 's'}"] if words else []
        return Value(value, self.random.choice([value, *spoken]), role)

    def _of_shape(self, example: str) -> str:
        """A code like an example: its letters in front are kept, other letters and digits are drawn."""
        years = _SEASON.fullmatch(example)
        if years:  # a season: 2021-2022
            first = self.random.randint(1990, 2025)
            return f"{first}{years[2]}{str(first + 1)[-len(years[3]) :]}"
        if example.isalpha():  # the same letter where the example has the same: a genotype
            drawn: dict[str, str] = {}
            for letter in example.lower():
                drawn.setdefault(letter, self.random.choice(string.ascii_lowercase))
            return "".join(drawn[c.lower()].upper() if c.isupper() else drawn[c] for c in example)
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

    def _code(self, role: str, about: str) -> Value | None:
        """The code of a currency, language or country, mostly by its name; None of anything else."""
        if re.search(r"\bIATA\b|airport code|3.letter", about, re.I) and role in (
            "airport",
            "origin",
            "destination",
        ):
            if re.search(r"\bcity\b.{0,12}\bor\b|\bor (?:the )?city\b", about, re.I):
                return None  # taken as it is typed
            code, names = self.random.choice(list(phrases("airports").items()))
            return Value(code, self.random.choice([*names, code]), role)
        of_country = role == "country" or (
            role == "region" and re.search(r"\bcountry code|ISO 3166-1", about, re.I)
        )
        if of_country and not re.search(r"dial|phone|calling", about, re.I):
            country = self.random.choice(DateTimeProvider.countries)
            three = re.search(r"alpha.?3|\b(?:three|3)\b|\bUSA\b", about, re.I)
            code, names = (country.alpha_3_code if three else country.alpha_2_code), [country.name]
        elif role == "region" and _STATE.search(about) and not re.search(r"\bcountr|\bISO\b", about, re.I):
            code, *names = self.random.choice(_STATES)
        elif role.startswith("currency") or role in ("language", "source_language"):
            code = self.random.choice(
                phrases("inventories")["currency" if "currency" in role else "language_code"]
            )
            names = phrases("enums").get(code.lower(), [])
        else:
            return None
        said = [] if names and "language" in role else [code]  # nobody says "what's the tr for that"
        return Value(code, self.random.choice([*names, *names, *said]), role)
