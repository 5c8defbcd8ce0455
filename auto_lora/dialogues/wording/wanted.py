"""What is acted on, with the arguments that say which it is: "the fan", "ticket 12", "two large lattes", "the capital of Sweden"."""

from __future__ import annotations

import random
import re

from auto_lora.dialogues.definitions.frames import Frame
from auto_lora.dialogues.definitions.meaning import tool_act
from auto_lora.dialogues.definitions.phrasebook import phrases, words_of
from auto_lora.dialogues.definitions.topics import topic_of
from auto_lora.dialogues.values.described import SLOT
from auto_lora.dialogues.values.english import plural, singular
from auto_lora.dialogues.values.naming import BARE_NAMES, is_number, without_order
from auto_lora.dialogues.values.surfaces import Value, join_words
from auto_lora.dialogues.wording.arguments import Arguments
from auto_lora.dialogues.wording.kinds import before_noun
from auto_lora.dialogues.wording.limits import bound_of
from auto_lora.dialogues.wording.numbered import number_of, with_number
from auto_lora.dialogues.wording.planned import PlannedCall
from auto_lora.dialogues.wording.together import lesser_kinds

_STOOD_FOR = frozenset(
    "generic number identifier symbol org product person person_name player team title song movie book cryptocurrency".split()
)
_KNOWN_BY_NAME = frozenset(
    "symbol place country region planet species chemical animal plant historical_event university gene drug language team league".split()
)
_HOW_MANY = frozenset("quantity qty count".split())
# Arguments that may stand for the thing itself, and names of those that say what of it is wanted.
_SORTED = frozenset("generic type dish item product event hobby".split())
_ASPECTS = frozenset(
    "info information details stat stats statistic statistics metric indicator aspect attribute fact".split()
)
_SPOTS = frozenset(
    "place places business businesses venue venues spot spots shop shops store stores establishment establishments location locations".split()
)
_OF_A_THING = re.compile(r"\b(?:about|of|called|for|forget|remember|keep|hold me to) \{label\}")
MOST_OF_ALL = re.compile(
    r"\ban? (?=(?:most|best|worst|cheapest|nearest|closest|newest|latest|highest|fanciest|oldest|greatest)\b)"
)
_ANYTHING = frozenset(
    "number value compound substance function expression sequence list array string word".split()
)
_ANYBODY = frozenset("person patient individual user object body particle".split())
_COUNTED = {"two": 2, "three": 3}
_MOST = "under|below|up to|at most|less than|no more than|max|maximum|budget|within|cheaper than"
_LEAST = "over|above|at least|more than|min|minimum"


class Wanted(Arguments):
    """The arguments of a call, and what is acted on with them."""

    def __init__(self, rng: random.Random, call: PlannedCall, frame: Frame) -> None:
        super().__init__(rng, call, frame)
        self.act, self.verb = tool_act(call.tool)
        self._lesser = lesser_kinds(call.tool, self.roles, topic_of(call.tool))

    def _stands(self, name: str, slot: str) -> bool:
        """Whether an argument may stand bare in a slot; a limit only where the sentence says which: "under {amount}"."""
        if (slot == SLOT) != (self.left[name].role == SLOT):
            return False  # "run list the files"
        if slot == "sort" and self.left[name].surface.lower() not in phrases("inventories")["sort"]:
            return False  # "a rating hotel"
        if slot == "kind" and name in self._lesser:
            return False  # "what novel are playing"
        if slot == "kind" and self.roles[name] == "kind_place" and "kind" in self.roles.values():
            return False  # "what cinemas are playing"
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

    def _one_of(self, words: str) -> str:
        """ "Antonyms of a word" for "synonyms or antonyms of a word", where an argument says which."""
        for two in re.finditer(r"\b(\w+) (?:or|and) (\w+)\b", words):
            for name in list(self.left):
                schema = self.call.tool.properties.get(name)
                values = schema.get("enum") or () if isinstance(schema, dict) else ()
                if {two[1].lower(), two[2].lower()} <= {str(v).lower() for v in values}:
                    return words.replace(two[0], str(self.left.pop(name).json).lower())
        return words

    def _wanted(self, words: str) -> str:
        """An object with the arguments that are what is wanted: "the capital of Sweden" for information about a country, "an espresso" for a drink."""
        words = self._one_of(words)
        kind = next(
            (n for n, v in self.left.items() if self.roles[n] == "kind_place" and isinstance(v.json, str)), ""
        )
        if kind and self.act in ("find", "get") and words.split()[-1] in _SPOTS:  # "find a pharmacy"
            sought = self._with_neighbours(kind, self.left.pop(kind))
            several = plural(sought) if re.search(r"[a-z]$", sought) else f"a {sought}"
            return self.random.choice([f"a {sought}", several])
        if self.act in ("find", "get", "book", "create", "do") and (
            of_kind := before_noun(
                self.random, words, self.left, self.roles, self.call.tool, single=self._single()
            )
        ):
            return self._sorted(of_kind)
        many = re.fullmatch(r"(?:the |some |any )?([a-z]+s)", words)
        if many and self.act in ("find", "get"):  # "romance novels", "the newest thrillers"
            sort = self._told_before("sort")
            words = f"{sort} {many[1]}" if sort else words
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
            if self.roles[named] == "service":  # "open Hulu"
                return self.random.choice(
                    [
                        value.surface,
                        value.surface,
                        f"the {value.surface} {head[2]}" if head else value.surface,
                    ]
                )
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
        if head and itself and (eaten or self.act == "book" or self.random.random() < 0.95):
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

    def _single(self) -> bool:
        """Whether one of what is sought may be asked for: "find a car", but "what are the cars"."""
        return self.act != "get" and not re.match(r"what|how|which|are there", self.frame.text)

    def _sorted(self, words: str) -> str:
        """ "The newest" before several of a kind."""
        sort = "" if words.startswith(("a ", "the ")) else self._told_before("sort")
        return f"{sort} {words}" if sort else words

    def _told_before(self, role: str) -> str:
        """The words of a quality or a genre that stand before what is sought; "" where none is given, or it is said otherwise."""
        name = next((n for n in self.left if self.roles[n] == role and self._stands(n, role)), "")
        if not name or self.random.random() < 0.3:
            return ""
        words = self.left.pop(name).surface
        return f"the {words}" if MOST_OF_ALL.match(f"a {words}") else words

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
        kept = value.role in _SORTED and isinstance(value.json, str) and len(str(value.json).split()) <= most
        return kept and words_of(name) == [singular(noun)] and not noun.endswith("ss")

    def _names_the(self, name: str, value: Value, noun: str) -> bool:
        """Whether an argument is the name of what is acted on: the device that is switched, the pet that is fed."""
        own = words_of(name) in ([singular(noun)], [singular(noun), "name"])
        return (
            own
            and self.roles[name] in ("device", "lamp", "pet_name", "service")
            and isinstance(value.json, str)
        )

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
            meant = [n for n in self.left if self._names(n, noun) and self.roles[n] in _STOOD_FOR]
        if not meant or len(meant) != many:
            return self._of_anything(found[1], words, found[3])
        kept = f" {found[3]}" if self.roles[meant[0]] == "identifier" else ""
        return f"{found[1]} of{kept} {join_words([self.left.pop(n).surface for n in meant])}"

    def _names(self, name: str, noun: str) -> bool:
        """Whether an argument is the thing of a noun, by its name or as "Name of the player"."""
        schema = self.call.tool.properties.get(name)
        about = str(schema.get("description", "")) if isinstance(schema, dict) else ""
        return (
            noun in words_of(name)
            or self.roles[name] == noun == "cryptocurrency"
            or bool(re.search(rf"(?i)\bnames? of (?:the |an? )?{noun}\b", about))
        )

    def _of_anything(self, head: str, words: str, of: str) -> str:
        """An object of anybody or anything: with the tool's only argument, "the mean of 3 and 5"; else bare, "the body mass index"."""
        needed = [n for n in self.call.tool.required if self.roles[n] != "boolean"]
        several = re.match(r"(?:list|set|array|series|collection) of ", of)
        if len(needed) == 1 and needed[0] in self.left and (several or of.split()[-1] in _ANYTHING):
            return f"{head} of {self.left.pop(needed[0]).surface}"
        noun = of.split()[-1].removesuffix("s")
        told = any(noun in words_of(n) for n in self.left)
        return head if told or of.split()[-1] in _ANYBODY else words
