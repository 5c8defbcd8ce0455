"""Open vocabularies: for a role, endless values as people write them.

Short lists are in `phrases/inventories.json`; names come from Faker in several languages; titles, playlists, bands
and places are put together, so that an adapter learns to copy and not to recognise.
"""

from __future__ import annotations

import random
import re
import string
from collections.abc import Callable, Sequence

from faker import Faker

from auto_lora.dialogues.definitions.phrasebook import phrases
from auto_lora.dialogues.values.english import plural
from auto_lora.dialogues.values.said_times import DAYS, MONTHS, SaidTimes
from auto_lora.dialogues.values.tables import query

_LOCALES = (
    "en_US", "en_GB", "de_DE", "fr_FR", "es_ES", "it_IT", "pl_PL", "pt_BR", "sv_SE", "nl_NL", "en_IN", "tr_TR", "fi_FI",
)  # fmt: skip
# Not it_IT: its list of cities (Faker 40.54) comes from a set, so every process would draw other ones.
_CITY_LOCALES = ("de_DE", "fr_FR", "es_ES", "pl_PL", "sv_SE", "nl_NL", "en_IN", "hu_HU", "ru_RU")
_SYLLABLES = "ka ro mi zen ta lu vo ni bre sha del mar qui tor fen ol ys pa gri hu no sel dra ben wi xa jo ek ful tam".split()


class Pools:
    """Values for roles.

    Args:
        rng: the source of all choices.
    """

    def __init__(self, rng: random.Random) -> None:
        self.random = rng
        self._fakers: dict[str, Faker] = {}
        self.times = t = SaidTimes(rng)
        r = self.pick

        def form(kind: str) -> Callable[[], str]:
            return lambda: self.formed(kind)

        self._makers: dict[str, Callable[[], str]] = {
            "place": self.place, "origin": self.place, "destination": self.place, "region": self.region,
            "country": self.country, "poi": self.poi, "address": lambda: self.faker("en_US").street_address(),
            "person": self.person, "colleague": self.colleague, "recipient": self.person, "artist": self.artist, "song": self.title, "album": self.title,
            "movie": self.title, "book": self.title, "show": self.title, "title": self.title, "playlist": self.playlist,
            "org": self.org, "restaurant": self.restaurant, "brand": self.org, "date": t.day, "start": t.day, "end": t.day, "time": t.time, "when": t.when,
            "duration": t.duration, "year": t.year, "party": form("party"), "identifier": self.identifier,
            "email": lambda: self.faker("en_US").email(), "url": lambda: self.faker("en_US").url(),
            "phone": lambda: self.faker("en_US").numerify(r(["+1 555 ### ####", "555-####", "0#### ######"])),
            "username": lambda: self.faker("en_US").user_name(), "expression": self.expression, "formula": self.formula, "token": self.token, "postcode": lambda: self.faker(r(["en_US", "en_US", "de_DE", "en_GB", "nl_NL"])).postcode(),
            "system": lambda: f"{self.noun()}-{self.stock('service_suffix')}", "query": form("query"), "repo": form("repo"), "folder_path": form("folder_path"), "selector": form("selector"), "glob": form("glob"), "thing_name": form("thing_name"), "repo_path": form("repo_path"), "branch": form("branch"),
            "version": lambda: f"{self.random.randint(0, 9)}.{self.random.randint(0, 20)}.{self.random.randint(0, 12)}",
            "label": form("label"), "event": form("event"), "subject": form("event"), "note": self.message, "message": self.message, "text": lambda: r([self.message(), self.message(), self.stock("phrase")]),
            "file": form("file"), "command": form("command"), "sql": lambda: query(self.random, reads=False), "sql_select": lambda: query(self.random, reads=True), "chore": form("chore"), "symbol": self.symbol, "dish": form("dish"), "drink": form("drink"), "item": form("item"),
            "product": form("product"), "rating": lambda: t.small_number(0, 6), "rating_max": lambda: r(["5", "5", "6", "6", "10", "10", "4", "7", "20", "100", "five", "six", "ten"]),
            "count": lambda: t.small_number(1, 13), "age": lambda: str(self.random.randint(2, 90)), "number": lambda: str(self.random.randint(2, 500)),
            "percent": lambda: f"{self.random.randint(1, 20) * 5}{r(['%', ' percent'])}", "level": lambda: r([f"{self.random.randint(1, 10)}", f"{self.random.randint(1, 20) * 5}%"]),
            "temperature": lambda: r([f"{self.random.randint(15, 30)} degrees", f"{self.random.randint(60, 80)} degrees"]),
            "amount": lambda: r(["${n}", "{n} dollars", "{n} euros", "{n} bucks"]).format(n=self.random.randint(1, 60) * 5),
            "weight": lambda: f"{self.random.randint(1, 120)} {r(['kg', 'pounds', 'kilos'])}",
            "latitude": lambda: f"{self.random.uniform(-60, 70):.{r('124')}f}", "longitude": lambda: f"{self.random.uniform(-180, 180):.{r('124')}f}",
            "past_date": t.past_date, "weekday": lambda: r(DAYS).capitalize(), "month": lambda: r(MONTHS), "dna": lambda: "".join(self.random.choices("ACGT", k=self.random.randint(6, 14))),
            "ip": lambda: self.faker("en_US").ipv4(), "ssn": lambda: self.faker("en_US").ssn(), "isbn": lambda: self.faker("en_US").isbn13(), "vin": lambda: self.faker("en_US").vin(),
            "plate": lambda: self.faker("en_US").license_plate(), "hex_color": lambda: self.faker("en_US").hex_color(),
            "coordinates": lambda: f"{self._makers['latitude']()}, {self._makers['longitude']()}", "university": form("university"),
            "flight": lambda: str(self.faker("en_US").bothify(r(["??###", "??####", "?? ###"]), letters=string.ascii_uppercase)),
            "time_zone": lambda: self.faker("en_US").timezone(),
            "assistant": lambda: r([self.stock("assistant"), self.faker("en_US").first_name(), self.invented()]), "weather": self.weather, "condition": self.weather,
            "distance": lambda: f"{self.random.randint(1, 40)} {r(['km', 'miles', 'kilometers'])}",
            # Slots of forms.
            "noun": self.noun, "adjective": self.adjective, "verb": self.verb, "foreign": self.foreign, "invented": self.invented,
            "nouns": lambda: plural(self.noun()), "code_nouns": lambda: plural(self.stock("code_noun")), "work": self.title, "first_name": lambda: self.faker("en_US").first_name(),
            "name": lambda: self.faker(r(_LOCALES)).first_name(), "last_name": lambda: self.faker("en_US").last_name(),
            "full_name": self.full_name, "few": lambda: t.small_number(2, 60), "hour": lambda: t.small_number(1, 12), "two_digits": lambda: str(self.random.randint(2, 99)),
            "tens": lambda: str(self.random.randint(2, 10) * 10), "decade": lambda: r(["60s", "70s", "80s", "90s", "00s", "2010s", str(self.random.randint(1960, 2024))]),
        }  # fmt: skip

    def make(self, role: str) -> str:
        """A value of a role; made-up words where the role is not known."""
        if role in self._makers:
            return self._makers[role]()
        own = role in phrases("forms") and role not in phrases("inventories")
        return self.formed(role) if own else self.stock(role)

    def faker(self, locale: str) -> Faker:
        if locale not in self._fakers:
            self._fakers[locale] = Faker(locale)
            self._fakers[locale].seed_instance(self.random.randrange(2**31))
        return self._fakers[locale]

    def pick(self, items: Sequence[str]) -> str:
        return self.random.choice(items)

    def stock(self, role: str) -> str:
        """From the short lists; a third of those that take one get a prefix."""
        inventories = phrases("inventories")
        if role not in inventories:
            return self.formed("unknown")
        value = self.pick(inventories[role])
        prefixes = inventories.get(f"prefix_{role}")
        return f"{self.pick(prefixes)} {value}" if prefixes and self.random.random() < 0.35 else value

    def formed(self, kind: str) -> str:
        """One of the forms of `phrases/forms.json` with new words in each of its slots: {noun}, {nouns}, {Noun}, an inventory's."""

        def words(slot: re.Match[str]) -> str:
            name = slot[1].lower()
            made = self.stock(name) if name in phrases("inventories") else self.make(name)
            return made[0].upper() + made[1:] if slot[1][0].isupper() else made

        made = re.sub(r"\{([A-Za-z]\w*)\}", words, self.pick(phrases("forms")[kind]))
        return re.sub(r"\b([Aa]) (?=[aeioAEIO]\w)", r"\1n ", made)

    # Words.

    def noun(self) -> str:
        return str(self.faker("en_US").word(part_of_speech="noun"))

    def adjective(self) -> str:
        return str(self.faker("en_US").word(part_of_speech="adjective"))

    def verb(self) -> str:
        return str(self.faker("en_US").word(part_of_speech="verb"))

    def foreign(self) -> str:
        locale = self.pick(["fr_FR", "es_ES", "de_DE", "it_IT", "la"])
        return str(self.faker(locale).word())

    def invented(self) -> str:
        return "".join(self.pick(_SYLLABLES) for _ in range(self.random.randint(2, 3))).capitalize()

    # Names.

    def place(self) -> str:
        kind = self.random.random()
        if kind < 0.4:
            return self.stock("city")
        if kind < 0.7:
            faker = self.faker(self.pick(_CITY_LOCALES))
            found = str(faker.city_name() if hasattr(faker, "city_name") else faker.city())
            if found.isascii() or kind < 0.5:
                return found
        return str(self.faker(self.pick(["en_US", "en_GB"])).city())

    def region(self) -> str:
        if self.random.random() < 0.75:
            faker = self.faker("en_US")
            return str(faker.state_abbr() if self.random.random() < 0.3 else faker.state())
        return self.stock("region")

    def country(self) -> str:
        if self.random.random() < 0.5:
            return self.stock("country")
        found = str(self.faker("en_US").country())
        return found if "(" not in found and "," not in found else self.stock("country")

    def poi(self) -> str:
        kind = self.stock("poi_kind")
        name = self.pick(
            [self.faker("en_US").last_name(), self.place(), self.adjective().capitalize(), self.invented()]
        )
        made = f"{name} {kind.title()}"
        return self.pick([made, made, f"the {kind} of {name}", f"the {made}"])

    def person(self) -> str:
        if self.random.random() < 0.12:
            return self.stock("relation")
        if self.random.random() < 0.3:
            return str(self.faker(self.pick(_LOCALES)).first_name())
        return self.full_name()

    def colleague(self) -> str:
        """Somebody at work: a full name, or the first."""
        if self.random.random() < 0.25:
            return str(self.faker(self.pick(_LOCALES)).first_name())
        return self.full_name()

    def full_name(self) -> str:
        faker = self.faker(self.pick(_LOCALES))
        return f"{faker.first_name()} {faker.last_name()}"

    def artist(self) -> str:
        kind = self.random.random()
        if kind < 0.25:
            return self.stock("artist")
        if kind < 0.6:
            faker = self.faker(self.pick(_LOCALES))
            return f"{faker.first_name()} {faker.last_name()}"
        return self.formed("band")

    def title(self) -> str:
        """The name of a work: one to seven words, any part of speech, some in other languages."""
        made = self.formed("title")
        return made.title().replace("'S", "'s").replace("'T", "'t") if self.random.random() < 0.75 else made

    def playlist(self) -> str:
        made = self.formed("playlist")
        return made.title().replace("'S", "'s") if self.random.random() < 0.7 else made

    def restaurant(self) -> str:
        return self.stock("restaurant") if self.random.random() < 0.4 else self.formed("shop")

    def org(self) -> str:
        kind = self.random.random()
        if kind < 0.35:
            return self.stock("org")
        if kind < 0.6:
            return str(self.faker("en_US").company())
        return self.formed("shop")

    # Things.

    def weather(self) -> str:
        return self.stock(self.pick(["weather_noun", "weather_adjective", "weather_verb"]))

    def message(self) -> str:
        """What one writes to a friend: made up more often than not."""
        if self.random.random() < 0.35:
            return self.stock("message")
        return self.formed("message")

    def identifier(self) -> str:
        shape = self.pick(
            [
                "####",
                "?-####",
                "??###",
                "#####",
                "???-###",
                "?#?#?#",
                "########",
                "??-####-?",
                "??######",
                "???_####",
            ]
        )
        letters = string.ascii_lowercase if self.random.random() < 0.2 else string.ascii_uppercase
        return str(self.faker("en_US").bothify(shape, letters=letters))

    def symbol(self) -> str:
        """A stock's symbol, known or not."""
        made = str(
            self.faker("en_US").lexify(self.pick(["??", "???", "????", "????"]), string.ascii_uppercase)
        )
        return self.stock("ticker") if self.random.random() < 0.5 else made

    def expression(self) -> str:
        a, b, c = (self.random.randint(2, 99) for _ in range(3))
        first, second = (self.pick("+-*/") for _ in range(2))
        return self.pick(
            [
                f"{a} {first} {b}",
                f"{a} {first} {b} {second} {c}",
                f"({a} {first} {b}) {second} {c}",
                f"{a / 10} {first} {b}",
            ]
        )

    def token(self) -> str:
        """A code that one is given: SPRING20, X7K2P, 4471."""
        word = self.pick([self.noun(), self.adjective()]).upper()
        shape = self.pick(["?##?#", "####", "??###", "###-###", "?#?#?#"])
        code = str(self.faker("en_US").bothify(shape, letters=string.ascii_uppercase))
        return self.pick([f"{word}{self.random.randint(5, 50)}", word, code, code])

    def formula(self) -> str:
        """A function of one variable, as people type it: "3x^2 + 2x - 1", "2*x**3", "sin(x)"."""
        v, power = self.pick("xxxxtyz"), self.pick(["^", "^", "**"])
        a, b, c = (self.random.randint(2, 12) for _ in range(3))
        times, sign, other = self.pick(["", "", "*"]), self.pick("+-"), self.pick("+-")
        return self.pick([
            f"{v}{power}{self.random.randint(2, 5)}", f"{a}{times}{v}{power}2 {sign} {b}{times}{v} {other} {c}", f"{a}{times}{v}{power}3 {sign} {b}{times}{v}", f"{v}{power}2 {sign} {c}",
            f"{a}{times}{v} {sign} {c}", f"{a}{times}{v}{power}{self.random.randint(2, 4)}", f"{self.pick(['sin', 'cos', 'exp', 'log', 'sqrt'])}({v})", f"{a}{times}{v}{power}2", f"e^{v}", f"1/{v}", f"{v}{power}3 {sign} {a}{times}{v}{power}2 {other} {b}",
            f"{a}*sin({v}) {sign} {b}",
        ])  # fmt: skip
