"""The arguments for which a frame has no place of their own, said at its end: "with a mass of 45 kg and a volume of 15 litres"."""

from __future__ import annotations

import re
from operator import itemgetter

from auto_lora.dialogues.definitions.meaning import tool_act
from auto_lora.dialogues.definitions.phrasebook import phrases, tails_of, words_of
from auto_lora.dialogues.definitions.roles import KINDS
from auto_lora.dialogues.values.ends import ENDS
from auto_lora.dialogues.values.english import plural
from auto_lora.dialogues.values.money import is_change, is_minor
from auto_lora.dialogues.values.naming import (
    ENDS_IN_PREPOSITION,
    is_number,
    listed,
    whole_name,
    without_order,
)
from auto_lora.dialogues.values.surfaces import Value, join_words
from auto_lora.dialogues.wording.limits import bound_of, is_least_length, reach_of
from auto_lora.dialogues.wording.phrased import BESIDE, Phrased
from auto_lora.dialogues.wording.planned import PlannedCall
from auto_lora.dialogues.wording.told_forms import is_repeated, is_target
from auto_lora.dialogues.wording.unnamed import unnamed

_NEVER_LISTED = frozenset("boolean object state action rating temperature date time when daypart".split())
# The first and the last day of what is rented or booked.
_STAYS = (("pickup", "dropoff"), ("pickup", "return"), ("departure", "return"), ("depart", "return"), ("checkin", "checkout"), ("arrival", "departure"))  # fmt: skip
_LETTERED = re.compile(
    r"side|point|angle|vector|length|coefficient|team|player|city|matrix|number|term|group|set|list", re.I
)
OWN_WORDS = frozenset("message note text wish".split())  # end where somebody else's words end


class Arguments(Phrased):
    """The arguments of a call for which a frame has words; those that were said are gone from `left`."""

    def _twins(self) -> list[str]:
        """Arguments that only their order tells apart, as the schema orders them: first_city and second_city."""
        alike: dict[tuple[str, str], list[str]] = {}
        for name in self.call.tool.properties:
            if name in self.left and (kind := without_order(name)):
                alike.setdefault((self.roles[name], kind), []).append(name)
        return next((names for names in alike.values() if len(names) > 1 and _in_a_row(names)), [])

    def _together(self) -> str:
        """Such arguments in one phrase: "between Rome and Oslo"; "" where there are none, or they are to be named each."""
        twins = self._twins()
        if not twins or self.random.random() < 0.2:
            return ""
        kind = without_order(twins[0])
        words = [self.left.pop(n).surface for n in twins]
        if all(re.match(r"[\d.,]+\b", w) for w in words):  # "with sides 3, 4 and 5"
            words = [re.sub(r",(?=\d{3})", "", w) for w in words]
        forms = ["of {v}", "for {v}", "with {v}", "with {n} {v}", "with {n} of {v}"]
        if "between" in self.call.tool.description:
            forms = ["between {v}", "between {v}"] + ["from {a} to {b}"] * (len(words) == 2)
        return self.random.choice(forms).format(v=join_words(words), a=words[0], b=words[-1], n=plural(kind))

    def _ends(self) -> str:
        """The two ends of a span or of a way in one phrase: "from monday to friday", "between 5 and 20"; "" where there are none."""
        for low, high in (("start", "end"), ("origin", "destination"), *_STAYS, *ENDS):
            one, other = self._end_of(low), self._end_of(high)
            if not one or not other or one == other:
                continue
            roles = self.roles[one], self.roles[other]
            stay = (low, high) in _STAYS and roles == ("date", "date")
            way = stay or roles in (("start", "end"), ("origin", "destination"))
            rest, others = ([w for w in words_of(n) if w != end] for n, end in ((one, low), (other, high)))
            named_alike = rest == others or not {"time", "date"} & {*rest, *others}
            if not (named_alike if way else rest == others and is_number(self.left[one].json)):
                continue  # "from the third page to tomorrow"
            if not way and sum(low in (*words_of(n)[:1], *words_of(n)[-1:]) for n in self.left) > 1:
                continue  # "between 3 and 5": bedrooms or dollars?
            forms = ["from {a} to {b}"] + ["between {a} and {b}"] * (low != "origin")
            forms += ["from {a} until {b}"] * (low == "start")
            words = self.left.pop(one).surface, self.left.pop(other).surface
            return self.random.choice(forms).format(a=words[0], b=words[1])
        return ""

    def _end_of(self, end: str) -> str:
        """The argument that is one end, by its role, or by the first or last word of its name."""
        return next(
            (n for n in self.left if self.roles[n] == end or end in (*words_of(n)[:1], *words_of(n)[-1:])), ""
        )

    def _tail(self) -> str:
        """What the frame has no place for, in any order, with prepositions."""
        parts = [together] if (together := self._together()) else []
        if self.random.random() < 0.5 and (ends := self._ends()):
            parts.append(ends)
        if whole := whole_name(self.random, self.left, self.roles):
            parts.append(whole)
        if self.call.hidden:
            sent = tool_act(self.call.tool)[0] == "send"  # "a message for them" is another's to send
            kind = ("receiver" if sent else "person") if _is_person(self.call) else "thing"
            parts.append(self.random.choice(phrases("around")["links"][kind]))
        names = list(self.left)
        self.random.shuffle(names)
        # Heads first, so that they take their neighbours.
        names.sort(key=lambda n: (self.roles[n] not in BESIDE, self.roles[n] in KINDS))
        alike = [n for n in names if self._only_named(n, self.left[n])]
        order = list(self.call.tool.properties)
        several = [listed(self.random, {n: self.left.pop(n) for n in alike}, order)] if alike else []
        flags = {n for n in names if self.roles[n] == "boolean"}
        own = {
            n
            for n in names
            if self.roles[n] in OWN_WORDS and n in self.left and self.left[n].surface[:1] != '"'
        }
        phrased = [
            (2 * (n in own) + (n in flags), self._phrase(n, self.left.pop(n)))
            for n in names
            if n in self.left
        ]
        phrased += [(0, s) for s in several]
        self.random.shuffle(phrased)
        phrased.sort(key=itemgetter(0))  # "at noon and notify them"; somebody's own words last
        return " ".join(parts + [words for _, words in phrased])

    def _only_named(self, name: str, value: Value) -> bool:
        """Whether nothing but its name tells an argument apart; a number with a longer name half of the time."""
        role, words = self.roles[name], words_of(name) or ["it"]
        if unnamed(name, value, self.call.tool.properties.get(name)):
            return False  # "the last 50 lines"
        if words[-2:] == ["account", "type"]:
            return False  # "from my savings account"
        if is_target(self.call.tool, name, role):
            return False  # "to 20 replicas"
        if bound_of(self.call, self.roles, name) and self.random.random() < 0.8:
            return False  # "under $50"
        if (
            name == "to"
            or reach_of(self.call, name, value)
            or (words[-1] == "value" and tool_act(self.call.tool)[0] in ("set", "act", "switch"))
        ):
            return False  # "set the lamp to 65"
        if role == "duration" and is_repeated(name, self.call.tool.properties.get(name)):
            return False  # "every 7 days"
        if is_change(name, self.call.tool.properties.get(name), value) and self.random.random() < 0.7:
            return False  # "removing 3"
        if is_least_length(self.call, name) or (role == "duration" and words[:2] == ["number", "of"]):
            return False  # "at least 30 minutes", "for 8 days"
        if self._is_word(name, value) and self.random.random() < 0.5:
            return False  # "three vip tickets", "townhouses"
        if role in _NEVER_LISTED or words[-1] in ("before", "after") or words[0] == "within":
            return False
        number = is_number(value.json)
        minor = is_minor(name, self.call.tool.properties.get(name), role)
        if minor and any(self.roles[n].startswith("currency") for n in self.left):
            return self.random.random() < 0.3  # "for 530 usd"
        if role in ("year", "month") or self._is_counted(name, value):
            return False  # "in 1955", "with 6 beds"
        if value.role in ("generic", "number") or (number and not re.search(r"[^\d.]", value.surface)):
            return True
        if number and len(words) > 1 and role not in ("percent", "level") and self.random.random() < 0.5:
            return True
        twice = sum(r == role for r in self.roles.values()) > 1 and words[-1] not in ENDS_IN_PREPOSITION
        return twice and tails_of(role) == tails_of("generic")


def _in_a_row(names: list[str]) -> bool:
    """Whether names that letters tell apart are of one kind: side_a and side_b, not the vitamins A and C."""
    letters = [words_of(n)[-1] for n in names]
    if not all(letter in ("a", "b", "c") for letter in letters):
        return True
    return _LETTERED.search(names[0]) is not None


def _is_person(call: PlannedCall) -> bool:
    hidden = " ".join(words_of(" ".join(call.hidden)))
    return any(
        w in hidden
        for w in ("contact", "user", "person", "customer", "employee", "recipient", "patient", "member")
    )
