"""One planned call put into one frame of the phrasebook: arguments in its slots, the rest at its end."""

from __future__ import annotations

import random
import re
from dataclasses import replace

from auto_lora.dialogues.arguments import BESIDE, OWN_WORDS, Arguments
from auto_lora.dialogues.asides import aside, has_aside
from auto_lora.dialogues.corrections import family, taken_back
from auto_lora.dialogues.frames import Frame, Slot, fill
from auto_lora.dialogues.limits import bound_of, is_least_length
from auto_lora.dialogues.meaning import objects_of, tool_act
from auto_lora.dialogues.naming import (
    BARE_NAMES,
    is_number,
    spoken_name,
    without_order,
)
from auto_lora.dialogues.numbered import number_of, with_number
from auto_lora.dialogues.phrasebook import (
    fills,
    in_form,
    main_roles,
    phrases,
    words_of,
)
from auto_lora.dialogues.planned import PlannedCall
from auto_lora.dialogues.pools import plural, singular
from auto_lora.dialogues.surfaces import Value, join_words
from auto_lora.dialogues.topics import nouns_for, topic_of
from auto_lora.dialogues.unnamed import unnamed

OWN_SLOTS = frozenset(("object", "verb", "main", "given", "tail"))  # those of acts, which stand for no role
_STOOD_FOR = frozenset(
    "generic number identifier symbol org product person person_name title song movie book".split()
)
_KNOWN_BY_NAME = frozenset(
    "symbol place country region planet species chemical animal plant historical_event university gene drug language team league".split()
)
_ENDS_OF_A_WAY = ("origin", "destination")  # nobody looks for them: "find flights from Osaka"
_MOST = "under|below|up to|at most|less than|no more than|max|maximum|budget|within|cheaper than"
_LEAST = "over|above|at least|more than|min|minimum"
_HOW_MANY = frozenset("quantity qty count".split())
# Arguments that may stand for the thing itself, and names of those that say what of it is wanted.
_SORTED = frozenset("generic type dish item product event hobby".split())
_ASPECTS = frozenset(
    "info information details stat stats statistic statistics metric indicator aspect attribute fact".split()
)
_SPOTS = frozenset(
    "place places business businesses venue venues spot spots shop shops store stores establishment establishments location locations".split()
)
_SEVERAL = re.compile(r"(?!(?:news|series|species|lens|physics|maths)$)[a-z]+[a-z](?<![suia])s")
_OF_A_THING = re.compile(r"\b(?:about|of|called|for|forget|remember|keep|hold me to) \{label\}")
_MOST_OF_ALL = re.compile(
    r"\ban? (?=(?:most|best|worst|cheapest|nearest|closest|newest|latest|highest|fanciest|oldest|greatest)\b)"
)
_ANYTHING = frozenset(
    "number value compound substance function expression sequence list array string word".split()
)
_ANYBODY = frozenset("person patient individual user object body particle".split())
_COUNTED = {"two": 2, "three": 3}
_APART = 0.2


class Clause(Arguments):
    """One call put into one frame.

    Args:
        alone: nothing else is asked in the prompt, so that some arguments may have sentences of their own.
    """

    def __init__(self, rng: random.Random, call: PlannedCall, frame: Frame, *, alone: bool = False) -> None:
        super().__init__(rng, call, frame)
        self.alone, self.many = alone, ""
        name, words, self.correction = taken_back(rng, call, alone=alone)
        if name is not None and name in self.left:
            self.left[name] = replace(self.left[name], surface=words)
        self._part_pair()
        self.act, self.verb = tool_act(call.tool)

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
        apart = self.alone and not self.correction and self.random.random() < _APART
        before, after = self._apart() if apart else ("", self.correction)
        made = fill(self._typed(), self._has, self._words, self.random)
        if made is None:
            return None
        if "tail" not in self.frame.named:
            made = f"{made} {self._tail()}"
        if before or after:
            made = _in_sentences(before, made.strip(), after)
        if self.many:  # "what are tickets", "how are customers"
            one = rf"\b(what|how)(?: is|'s) (?={re.escape(self.many)}\b)"
            made = re.sub(one, r"\1 are ", made, flags=re.I)
        text = re.sub(r"\s+([,.;?])", r"\1", " ".join(made.split()).lstrip(" ,"))
        text = re.sub(
            r"\bfor (?=in \w+ (?:minutes|hours|days|weeks|months)\b)", "", text
        )  # "for in six weeks"
        text = re.sub(r"\b(?:a|an|the|this|my) (the \w)", r"\1", text)  # "the the song Waterloo"
        text = _MOST_OF_ALL.sub("the ", text)  # "a best bar"
        text = re.sub(r"\ba (?=(?:songs|tunes|music)\b)", "", text)
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
        text = join_words(said) if self.random.random() < 0.5 else ". ".join(map(_capital, said))
        return (text, "") if before else ("", text)

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

    def _stands(self, name: str, slot: str) -> bool:
        """Whether an argument may stand bare in a slot; a limit only where the sentence says which: "under {amount}"."""
        if slot == "sort" and self.left[name].surface.lower() not in phrases("inventories")["sort"]:
            return False  # "a rating hotel"
        if slot == "status" and self.left[name].surface.lower() in ("all", "any"):
            return False  # "which customers are all"
        if slot == "file" and self.roles[name] == "glob" and {"exclude", "ignore"} & set(words_of(name)):
            return False  # what is left out is not sought
        if self.left[name].role == "chore" and _OF_A_THING.search(self.frame.text):
            return False  # "remind me of water the plants"
        first = (words_of(name) or [""])[0]
        for end, other in (
            ("from", "to|in|into"),
            ("to", "from|out of"),
        ):  # "to account 17" is not from_account
            wrong = rf"\b(?:{other})(?: \w+)? \{{{slot}\}}"
            if first == end and slot == "identifier" and re.search(wrong, self.frame.text):
                return False
        bound = bound_of(self.call, self.roles, name)
        if not bound or f"{{+{slot}}}" in self.frame.text:
            return True
        negated = re.search(rf"(?:n't|\bnot|\bno)\b[a-z ]*\bmore than\b[a-z ]*\{{{slot}\}}", self.frame.text)
        if negated is not None:  # "won't cost more than {amount}"
            return "up to" in bound
        words = _MOST if "up to" in bound else _LEAST
        return re.search(rf"\b(?:{words})\b[a-z ]*\{{{slot}\}}", self.frame.text) is not None

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
        return self._determined(slot.role, self._with_neighbours(name, value))

    def _wanted(self, words: str) -> str:
        """An object with the arguments that are what is wanted: "the capital of Sweden" for information about a country, "an espresso" for a drink."""
        kind = next(
            (n for n, v in self.left.items() if self.roles[n] == "kind_place" and isinstance(v.json, str)), ""
        )
        if kind and self.act in ("find", "get") and words.split()[-1] in _SPOTS:  # "find a pharmacy"
            sought = self._with_neighbours(kind, self.left.pop(kind))
            several = plural(sought) if re.search(r"[a-z]$", sought) else f"a {sought}"
            return self.random.choice([f"a {sought}", several])
        many = re.fullmatch(r"(?:the |some |any )?([a-z]+s)", words)
        if many and self.act in ("find", "get"):  # "romance novels", "the newest thrillers"
            told = [self._told_before("sort"), self._told_before("genre")]
            words = " ".join([*(w for w in told if w), many[1]]) if any(told) else words
        head = re.match(r"(?:(an?|the|my|some) )?(?:[\w-]+ )*?([\w-]+)$", words)
        part = re.search(
            r"\b(?:of|for|about|in|from|to|on)\b", words
        )  # the reviews of a product are not the product
        itself = next(
            (n for n, v in self.left.items() if head and not part and self._is_the(n, v, head[2])), None
        )
        named = next(
            (n for n, v in self.left.items() if head and not part and self._names_the(n, v, head[2])), None
        )
        if named:  # "turn off the fan", "feed Kelly"
            value = self.left.pop(named)
            bare = self.roles[named] == "pet_name" or re.match(
                r"(?:the|my|our|all|every|both)\b", value.surface
            )
            return value.surface if bare else f"the {value.surface}"
        schema = self.call.tool.properties.get(itself) if itself else None
        listed = isinstance(schema, dict) and "enum" in schema
        moved = self.act == "set" or (self.act == "do" and listed)
        if itself and moved and self.left[itself].role in ("generic", "type"):
            itself = None  # the proposal stage is what a deal is moved to
        eaten = itself is not None and self.roles[itself] == "dish"  # never "a drink with an espresso"
        if head and itself and (eaten or self.random.random() < 0.95):
            value = self.left.pop(itself)
            if self.act != "book" and value.role in ("generic", "type"):
                return f"the {value.surface} {head[2]}"  # cancel the enterprise plan
            if measured := self._counted_and_sized(
                value.surface, listed=listed, bought=value.role == "product"
            ):
                return measured
            single = value.role != "event" and head[1] and self.random.random() < 0.6  # "log sleep"
            return f"{head[1].replace('an', 'a')} {value.surface}" if single else value.surface
        aspect = next((n for n, v in self.left.items() if self._is_aspect(n, v)), "")
        if aspect and self.random.random() < 0.8:
            of = re.search(r" (?:of|about|for|on)( (?:an?|the) [\w ]+)$", words)
            said = f"the {self.left.pop(aspect).surface}"
            return self._with_what_it_is_of(f"{said} of{of[1]}") if of else said
        return self._numbered(words) or self._with_what_it_is_of(words)

    def _numbered(self, words: str) -> str:
        """A thing with the argument that says which it is, in six of ten cases: "ticket TCK-1559"; "" where it is said apart."""
        name = "" if self.act in ("create", "book") else number_of(words, self.left, self.roles)
        if not name or self.random.random() > 0.6:
            return ""
        return with_number(self.random, words, name, self.left.pop(name).surface)

    def _told_before(self, role: str) -> str:
        """The words of a quality or a genre that stand before what is sought; "" where none is given, or it is said otherwise."""
        name = next((n for n in self.left if self.roles[n] == role and self._stands(n, role)), "")
        if not name or self.random.random() < 0.3:
            return ""
        words = self.left.pop(name).surface
        return f"the {words}" if _MOST_OF_ALL.match(f"a {words}") else words

    def _counted_and_sized(self, thing: str, *, listed: bool, bought: bool) -> str:
        """A thing with how many and of what size before it, as one orders: "two large lattes"; "" where neither is given, or not said so.

        Args:
            listed: the definition lists such things, so that "lattes" can only be one of them; bought: a product of a shop.
        """
        size = next((n for n in self.left if self.roles[n] == "size"), "")
        many = next(
            (n for n, v in self.left.items() if " ".join(words_of(n)) in _HOW_MANY and is_number(v.json)),
            "",
        )
        if not (size or many) or self.random.random() < 0.3:
            return ""
        several = bool(many) and self.left[many].json != 1
        if several and (listed or bought) and re.search(r"[a-z]$", thing) and self.random.random() < 0.7:
            thing = plural(thing)
        words = [self.left.pop(n).surface for n in (many, size) if n]
        return " ".join([*([] if many else ["a"]), *words, thing])

    def _is_the(self, name: str, value: Value, noun: str) -> bool:
        """Whether an argument says which of what is acted on: the drink that is ordered."""
        most = 6 if value.role == "dish" else 3
        kept = value.role in _SORTED and isinstance(value.json, str) and len(value.surface.split()) <= most
        return kept and words_of(name) == [singular(noun)] and not noun.endswith("ss")

    def _names_the(self, name: str, value: Value, noun: str) -> bool:
        """Whether an argument is the name of what is acted on: the device that is switched, the pet that is fed."""
        own = words_of(name) in ([singular(noun)], [singular(noun), "name"])
        return own and self.roles[name] in ("device", "lamp", "pet_name") and isinstance(value.json, str)

    def _is_aspect(self, name: str, value: Value) -> bool:
        """Whether an argument is a noun for what is wanted of the rest: info, stat_type, details."""
        schema = self.call.tool.properties.get(name)
        listed = isinstance(schema, dict) and "enum" in schema and isinstance(value.json, str)
        words = [w for w in words_of(name) if w not in ("type", "name")]
        named = words[-1:] and words[-1] in _ASPECTS and not {"sort", "order", "group", "by"} & set(words)
        told = bool(named) and self.roles[name] not in ("sort", "level", "unit")
        return listed and told and self.act in ("get", "find", "compute") and value.surface.islower()

    def _with_what_it_is_of(self, words: str) -> str:
        """An object with the arguments that its nouns stand for: "the factorial of a number" is "the factorial of 5"."""
        twins = self._twins()
        found = re.match(r"(|.+ )(?:two|the|both|several|multiple) (?:[a-z]+ )?([a-z]+)$", words)
        if twins and found and singular(found[2]) == without_order(twins[0]).split()[-1]:
            return found[1] + join_words([self.left.pop(n).surface for n in twins])  # "compare MIT and Yale"
        found = re.match(r"(.*)\b(?:an?|the) ([a-z]+)('s .+)", words)
        owner = next((n for n in self.left if found and found[2] in words_of(n)), None)
        if found and owner:
            return f"{found[1]}{self.left.pop(owner).surface}{found[3]}"  # "a service's log"
        about = re.match(
            r"(.+) (about|of|for|in) (?:an?|the) ([a-z ]+?)(?: or (?:an? |the )?[a-z ]+)?$", words
        )
        if about:  # "facts about a planet or moon" are those about Mars
            noun = about[3].split()[-1]
            nouns = {noun, words.split()[-1]}  # "an animal or plant species"
            named = [
                n
                for n in self.left
                if nouns & set(words_of(n))
                or self.roles[n] == noun
                or (noun, self.roles[n]) == ("stock", "symbol")
            ]
            if len(named) == 1 and (about[2] == "about" or self.roles[named[0]] in _KNOWN_BY_NAME):
                return f"{about[1]} {about[2]} {self.left.pop(named[0]).surface}"
        found = re.match(r"(.+) of (an?|the|two|three) ([a-z ]+)$", words)
        if not found:
            return words
        many, noun = _COUNTED.get(found[2], 1), found[3].split()[-1].removesuffix("s")
        if any(noun in words_of(n) and r not in _STOOD_FOR for n, r in self.roles.items()):
            return found[1]  # "the lights", not "the lights of a room in the kitchen"
        if self.random.random() < 0.2:
            return self._of_anything(found[1], words, found[3])
        numbers = [
            n
            for n, v in self.left.items()
            if is_number(v.json) and BARE_NAMES.fullmatch(" ".join(words_of(n)))
        ]
        if noun in ("number", "integer", "value") and len(numbers) == many:
            meant = numbers
        else:
            meant = [n for n in self.left if noun in words_of(n) and self.roles[n] in _STOOD_FOR]
        if not meant or len(meant) != many:
            return self._of_anything(found[1], words, found[3])
        kept = f" {found[3]}" if self.roles[meant[0]] == "identifier" else ""
        return f"{found[1]} of{kept} {join_words([self.left.pop(n).surface for n in meant])}"

    def _of_anything(self, head: str, words: str, of: str) -> str:
        """An object of anybody or anything: with the tool's only argument, "the mean of 3 and 5"; else bare, "the body mass index"."""
        needed = [n for n in self.call.tool.required if self.roles[n] != "boolean"]
        several = re.match(r"(?:list|set|array|series|collection) of ", of)
        if len(needed) == 1 and needed[0] in self.left and (several or of.split()[-1] in _ANYTHING):
            return f"{head} of {self.left.pop(needed[0]).surface}"
        return head if of.split()[-1] in _ANYBODY else words


def _in_sentences(before: str, request: str, after: str) -> str:
    """What is said apart, and the request: each a sentence."""
    ends = "?" if is_question(request) else "."
    first = f"{before}. {_capital(request)}" if before else request
    return f"{first}{'' if first[-1:] in '.?!' else ends} {_capital(after)}" if after else first


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def is_question(text: str) -> bool:
    """Whether a request is worded as a question, by the first word of its last sentence."""
    last = re.split(r"(?<=[.?!]) ", text)[-1]
    first = (last.split() or [""])[0]
    return first.lower().rstrip(",") in _ASKING


_ASKING = frozenset("what what's can could would do does how where which who is any when why are".split())
