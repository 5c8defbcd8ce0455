"""One planned call put into one frame of the phrasebook: arguments in its slots, the rest at its end."""

from __future__ import annotations

import random
import re
from dataclasses import replace

from auto_lora.dialogues.definitions.acted_on import objects_of
from auto_lora.dialogues.definitions.frames import Frame, Slot, fill
from auto_lora.dialogues.definitions.phrasebook import (
    fills,
    in_form,
    main_roles,
    phrases,
    words_of,
)
from auto_lora.dialogues.definitions.topics import nouns_for, topic_of
from auto_lora.dialogues.values.described import SLOT
from auto_lora.dialogues.values.naming import (
    is_number,
    spoken_name,
)
from auto_lora.dialogues.values.surfaces import Value, join_words
from auto_lora.dialogues.wording.arguments import OWN_WORDS
from auto_lora.dialogues.wording.asides import aside, has_aside
from auto_lora.dialogues.wording.corrections import family, taken_back
from auto_lora.dialogues.wording.kinds import adjective, is_kind
from auto_lora.dialogues.wording.limits import bound_of, is_least_length
from auto_lora.dialogues.wording.phrased import BESIDE
from auto_lora.dialogues.wording.planned import PlannedCall
from auto_lora.dialogues.wording.unnamed import unnamed
from auto_lora.dialogues.wording.wanted import MOST_OF_ALL, Wanted

OWN_SLOTS = frozenset(("object", "verb", "main", "given", "tail"))  # those of acts, which stand for no role
_ENDS_OF_A_WAY = ("origin", "destination")  # nobody looks for them: "find flights from Osaka"
_SEVERAL = re.compile(r"(?!(?:news|series|species|lens|physics|maths)$)[a-z]+[a-z](?<![suia])s")
_APART = 0.2


class Clause(Wanted):
    """One call put into one frame.

    Args:
        alone: nothing else is asked in the prompt, so that some arguments may have sentences of their own.
    """

    def __init__(self, rng: random.Random, call: PlannedCall, frame: Frame, *, alone: bool = False) -> None:
        super().__init__(rng, call, frame)
        self.alone, self.many = alone, ""
        if "action" not in frame.named:  # the whole sentence says it
            self.left = {n: v for n, v in self.left.items() if n not in frame.means}
        name, words, self.correction = taken_back(rng, call, alone=alone)
        if name is not None and name in self.left:
            self.left[name] = replace(self.left[name], surface=words)
        self._part_pair()

    def _part_pair(self) -> None:
        """Two currencies in one argument for a frame that has a place for each: in the order in which it names them."""
        pair = next(
            (n for n, v in self.left.items() if self.roles[n] == "currency_pair" and len(v.parts) == 2), None
        )
        slots = re.findall(r"\{\+?(currency_(?:from|to))\}", self.frame.text)
        if pair is None or len(slots) != 2:
            return
        value = self.left.pop(pair)
        for slot, part in zip(slots, value.parts, strict=True):
            self.left[slot], self.roles[slot] = Value(part, part, slot), slot

    def text(self) -> str | None:
        """The clause; None when the frame has a slot that no argument fills."""
        if SLOT not in self.frame.named and any(v.role == SLOT for v in self.left.values()):
            return None  # "run a command: list the files"
        apart = self.alone and not self.correction and self.random.random() < _APART
        before, after = self._apart() if apart else ("", self.correction)
        made = fill(self._typed(), self._has, self._words, self.random)
        if made is None:
            return None
        if "tail" not in self.frame.named:
            made = f"{made} {self._tail()}"
        if before or after:
            made = self._joined(before, made.strip(), after)
        if self.many:  # "what are tickets", "how are customers"
            one = rf"\b(what|how)(?: is|'s) (?={re.escape(self.many)}\b)"
            made = re.sub(one, r"\1 are ", made, flags=re.I)
        text = re.sub(r"\s+([,.;?])", r"\1", " ".join(made.split()).lstrip(" ,"))
        text = re.sub(
            r"\bfor (?=in \w+ (?:minutes|hours|days|weeks|months)\b)", "", text
        )  # "for in six weeks"
        text = re.sub(r"\b(?:a|an|the|this|my) (the \w)", r"\1", text)  # "the the song Waterloo"
        text = MOST_OF_ALL.sub("the ", text)  # "a best bar"
        if self.act not in ("get", "find", "compute"):  # "lock the doors of a car"
            text = re.sub(r"\bof a (?=(?:car|vehicle|phone)\b)", "of my ", text)
        text = re.sub(
            r"\ba (?=(?:songs|tunes)\b|music\b(?! (?!by|from|of|with|for|in|on|to)[a-z]))", "", text
        )
        text = re.sub(r"\b(guests?|persons?|people|adults?|diners?|seats?|visitors?) people\b", r"\1", text)
        text = re.sub(r"\b(one|1) people\b", r"\1 person", text)
        text = re.sub(r'""([^"]*)""', r'"\1"', text)  # a sentence's quotes around those of a value
        return re.sub(
            r"\ba (?!(?:and|or|is|as|of|in|if|on|at|it|eight\w*|eleven)\b)(?=[aeio]\w)", "an ", text
        )

    def _apart(self) -> tuple[str, str]:
        """Up to three arguments in sentences before or after the request, where the frame can do without them."""
        if any(r in OWN_WORDS for r in self.roles.values()) or "given" in self.frame.needed:
            return "", ""
        before = self.random.random() < 0.4
        names = {n: " ".join(spoken_name(n, number=is_number(v.json))) for n, v in self.left.items()}
        able = [
            n
            for n, v in self.left.items()
            if has_aside(self.roles[n], names[n], v, before=before)
            and (
                not bound_of(self.call, self.roles, n)
                or not {"max", "min", "maximum", "minimum"}.isdisjoint(words_of(n))
            )
            and (
                self.roles[n] not in phrases("asides") or self._tells_itself(n)
            )  # "that's for the 5th" of two dates
            and not any(fills(self.roles[n], slot) for slot in self.frame.needed)
            and not ("main" in self.frame.needed and n == self._main())
            and not is_least_length(self.call, n)
            and not unnamed(n, v, self.call.tool.properties.get(n))
            and (
                self.roles[n] not in BESIDE or self.roles[n] in ("place", "region", "date")
            )  # others have neighbours
        ]
        self.random.shuffle(able)
        count = 1 if self.random.random() < 0.6 else 3
        said = [
            aside(self.random, self.roles[n], names[n], self.left.pop(n), before=before) for n in able[:count]
        ]
        apart = len(said) > 1 and self.random.random() < 0.5
        text = ". ".join(map(_capital, said)) if apart else join_words(said)
        return (text, "") if before else ("", text)

    def _joined(self, before: str, request: str, after: str) -> str:
        """What is said apart, and the request: sentences of their own, or one that is no second request for all its "and"."""
        book = phrases("around")
        if before:
            whole = bool(re.search(r"\. |:", before))
            joined = ". " if whole else self.random.choice(book["before_asides"])
            request = before + joined + (_capital(request) if joined == ". " else request)
        if after:
            whole = bool(self.correction or re.search(r"\. |:", after))
            joined = ". " if whole else self.random.choice(book["after_requests"])
            if joined == ". ":
                ends = "" if request[-1:] in ".?!" else "?" if is_question(request) else "."
                request = f"{request}{ends} {_capital(after)}"
            else:
                request = request.rstrip(".?!") + joined + after
        return request

    def _tells_itself(self, name: str) -> bool:
        """Whether no other argument of the call could be taken for this one: of two dates each could."""
        mine = family(self.roles[name], self.call.values[name])
        return sum(family(self.roles[n], v) == mine for n, v in self.call.shown().items()) == 1

    def _typed(self) -> Frame:
        """The frame, now and then with two letters of one word swapped; never inside a slot."""
        parts = list(self.frame.parts)
        plain = [(i, p) for i, p in enumerate(parts) if isinstance(p, str) and re.search(r"[a-z]{5}", p)]
        if not plain or self.random.random() > 0.04:
            return self.frame
        i, text = self.random.choice(plain)
        word = self.random.choice(re.findall(r"[a-z]{5,}", text))
        at = self.random.randrange(1, len(word) - 2)
        parts[i] = text.replace(word, word[:at] + word[at + 1] + word[at] + word[at + 2 :], 1)
        return replace(self.frame, parts=tuple(parts))

    def _find(self, slot: str) -> str | None:
        """The argument for a slot: one of that very role before a kindred one."""
        exact = [
            n
            for n, v in self.left.items()
            if self.roles[n] == slot and in_form(v.surface, slot) and self._stands(n, slot)
        ]
        if slot == "identifier" and len(exact) > 1:  # from which account to which?
            return None
        kin = [n for n, v in self.left.items() if fills(self.roles[n], slot) and in_form(v.surface, slot)]
        return next((n for n in exact or kin if self._stands(n, slot)), None)

    def _listed(self, words: str) -> str:
        """A list by its name: "my grocery list", not "grocery"."""
        if re.search(r"list|to-?do|cart", words, re.I):
            return words
        whose = re.search(r"\b(?:my|the) \{list\}|^\{list\}|\{owner\}", self.frame.text)
        return f"{words} list" if whose or re.match(r"(?:my|our|the) ", words) else f"my {words} list"

    def _main(self) -> str | None:
        for role in main_roles(self.act):
            found = [
                n
                for n, v in self.left.items()
                if fills(self.roles[n], role)
                and isinstance(v.json, (str, int, float))
                and self.roles[n] not in _ENDS_OF_A_WAY
                and not bound_of(self.call, self.roles, n)
            ]
            if role == "generic":
                found = [n for n in found if [n] == self.call.tool.required]
            if found:
                return found[0]
        return None

    def _has(self, slot: str) -> bool:
        if slot in OWN_SLOTS:
            return bool(self.left) if slot == "given" else slot != "main" or self._main() is not None
        return self._find(slot) is not None

    def _words(self, slot: Slot) -> str | None:
        if slot.role == "object":
            topic = topic_of(self.call.tool)
            named = (
                [f"the {n}" for n in nouns_for(topic, self.call.tool)]
                if topic and not self.call.crowded and self.verb != "refund"  # "refund the return"
                else []
            )
            if "delivery" in self.roles.values():  # "order the takeaway" would be one of its arguments
                named = [n for n in named if n.removeprefix("the ") not in phrases("inventories")["delivery"]]
            own = objects_of(self.call.tool.name, self.call.tool.description)
            said = (*self.kinds, self.verb, f"{self.verb}ing")  # "book the booking"
            nouns = [n for n in (*named, *own) if n.split()[-1] not in said]
            wanted = self._wanted(self.random.choice(nouns or [*named, *own]))
            head = re.split(r" (?:of|for|about|in|from|to|on|at|with)\b", wanted)[0].split()[-1:]
            self.many = wanted if head and _SEVERAL.fullmatch(head[0]) else ""
            return wanted
        if slot.role == "verb":
            return self.verb
        if slot.role in ("tail", "given"):
            return self._tail()
        name = self._main() if slot.role == "main" else self._find(slot.role)
        if name is None:
            return None
        value = self.left.pop(name)
        if slot.phrase:
            return self._phrase(name, value)
        if re.search(rf"\{{{slot.role}\}} \]?[a-z(]", self.frame.text) and is_kind(name, self.roles[name], self.call.tool.properties.get(name), ""):  # fmt: skip
            value = replace(value, surface=adjective(value) or value.surface)  # "a something funny film"
        words = self._determined(slot.role, self._with_neighbours(name, value))
        return self._listed(words) if slot.role == "list" else words


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def is_question(text: str) -> bool:
    """Whether a request is worded as a question, by the first word of its last sentence."""
    last = re.split(r"(?<=[.?!]) ", text)[-1]
    first = (last.split() or [""])[0]
    return first.lower().rstrip(",") in _ASKING


_ASKING = frozenset("what what's can could would do does how where which who is any when why are".split())
