"""What a conversation must pass before it is kept; what fails is counted with its reason."""

from __future__ import annotations

import hashlib
import json
import math
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
from jsonschema import Draft202012Validator

from auto_lora._conversation import Conversation
from auto_lora._toolcall import normal_text
from auto_lora.catalog import ToolDefinition
from auto_lora.dialogues.definitions.enum_deeds import managed_by
from auto_lora.dialogues.definitions.phrasebook import phrases, pool_of, words_of
from auto_lora.dialogues.definitions.role_words import role_of
from auto_lora.dialogues.definitions.schemas import resolve
from auto_lora.dialogues.values.english import number_words, plural
from auto_lora.dialogues.values.surfaces import Value
from auto_lora.dialogues.wording.planned import PlannedCall


def fault_of(text: str, calls: Sequence[PlannedCall], *, told: bool = True) -> str:
    """Why a prompt does not fit its calls; "" when it does.

    Every argument must fit its schema; its words or its value must stand in the prompt, except for what an
    earlier result gives.

    Args:
        told: what is to be done must stand there by its verb; else the whole sentence may say it, where an enum names it.
    """
    spoken = normal_text(text)
    for call in calls:
        if not Draft202012Validator(call.tool.parameters).is_valid(call.arguments()):
            return "arguments do not fit the schema"
        for value in call.shown().values():
            if value.role == "action" and not told and managed_by(call.tool):
                continue
            said = stands(value.surface, spoken) or _is_said(list(value.parts) or value.json, spoken)
            several = (
                not said and value.surface.isalpha() and stands(plural(value.surface), spoken)
            )  # "two lattes"
            if not (said or several):
                return "an argument is not in the prompt"
    return ""


def names_value_of(schema: Any, text: str) -> bool:
    """Whether a text has one of an enum's values, or several of it: "houses" for house."""
    values = schema.get("enum") if isinstance(schema, Mapping) else None
    spoken = normal_text(text)
    said = [way for v in values or () if isinstance(v, str) and len(v) > 2 for way in _ways(v)]
    return any(stands(way, spoken) or stands(f"{way}s", spoken) for way in said)


def stands(words: str, text: str) -> bool:
    """Whether a normal text has these words, not as part of longer ones: 5 is not in 15.

    Not by `_whole`: compiling a pattern for every value took a tenth of the writer's time.
    """
    sought = normal_text(words)
    at = text.find(sought) if sought else -1
    while at >= 0:
        end = at + len(sought)
        if not (at and _in_word(text[at - 1])) and not (end < len(text) and _in_word(text[end])):
            return True
        at = text.find(sought, at + 1)
    return False


def _in_word(character: str) -> bool:
    return character.isalnum() or character == "_"


_POLITE = frozenset("please thanks thank you hey hi hello ok so um cheers alright right listen there".split())


def _words(prompt: str) -> list[str]:
    return [w for w in re.findall(r"\w+", normal_text(prompt)) if w not in _POLITE]


def _whole(words: str) -> str:
    """A pattern of these words, not as part of longer ones: 5 is not in 15."""
    return rf"(?<!\w){re.escape(normal_text(words))}(?!\w)"


def _is_said(value: Any, spoken: str) -> bool:
    """Whether a value itself can be read in a text; of a list or an object, every part."""
    if isinstance(value, (list, dict)):
        parts = list(value.values()) if isinstance(value, dict) else value
        return bool(parts) and all(_is_said(part, spoken) for part in parts)
    return any(stands(way, spoken) for way in _ways(value))


def _ways(value: Any) -> list[str]:
    """How a single value may be written: as it is, a number in words or grouped, an enum's other names."""
    if isinstance(value, bool) or value is None or value == "":
        return []
    if isinstance(value, (int, float)):
        whole = isinstance(value, int)
        return [str(value), f"{value:,}"] + ([number_words(int(value))] if whole and 0 <= value < 100 else [])
    plain = str(value)
    return [plain, plain.replace("_", " "), *phrases("enums").get(plain.lower(), [])]


# What only a language model's text must pass: it may say anything.

_NUMBER_WORDS = "|".join([*(number_words(n) for n in (*range(2, 20), *range(20, 100, 10))), "hundred", "thousand", "dozen"])  # fmt: skip
_COUNTED = re.compile(
    rf"\d|\b(?:{_NUMBER_WORDS}|half past|quarter (?:past|to)|half an hour|an hour|at one)\b", re.I
)
_DATED = re.compile(
    r"\b(?:today|tonight|tomorrow|yesterday|noon|midnight|weekends?|weekdays?|(?:mon|tues|wednes|thurs|fri|satur|sun)days?|january|"
    r"february|april|june|july|august|september|october|november|december|daily|weekly|monthly|"
    r"lunchtime|bedtime|(?:after|before) (?:work|school|lunch|dinner)|later (?:on|today)|"
    r"(?:this|next|last|every|in the) (?:morning|afternoon|evening|night|day|week|month|year))\b",
    re.I,
)
_NOT_A_PERSON = re.compile(  # a model that speaks of its task, or answers instead of asking
    r"^(?:sure|certainly|of course|here(?:'s| is| are))\b[^.?!]*:|\bas an ai\b|\bi(?:'m| am) sorry\b|\bi (?:cannot|can't) (?:help|assist)|"
    r"\b(?:i'd|i would) be happy to\b|\bhow (?:can|may) i (?:help|assist)\b|\bi(?:'ve| have) (?:set|sent|added|found|turned)\b",
    re.I,
)
_CAPITALS = frozenset("i i'm i'd i've i'll ok tv asap ps hi hello hey thanks assistant".split())
_WORDS_TOO = frozenset("nice bath reading turkey mobile".split())  # places that are common words
_SMALL = frozenset("on off in at all any none no yes first second one open it this that my the".split())
_HOLE = "\u00a7"  # stands where a planned value stood


def overlap_of(text: str, calls: Sequence[PlannedCall]) -> str:
    """Whether one value is only read in the words of another, as five people in "at 5 pm"; "" when each has words of its own."""
    rest = normal_text(text)
    values = [value for call in calls for value in call.shown().values() if value.surface]
    for value in sorted(values, key=lambda v: len(v.surface), reverse=True):
        ways = [value.surface, plural(value.surface), *_all_ways(value)]
        said = next((way for way in ways if stands(way, rest)), "")
        if not said and not _is_said(list(value.parts) or value.json, rest):
            return "two arguments in the same words"
        rest = re.sub(_whole(said), f" {_HOLE} ", rest, count=1) if said else rest
    return ""


def leak_of(text: str, calls: Sequence[PlannedCall]) -> str:
    """What a text says beyond its plan, as a reason; "" when nothing.

    Numbers, dates, times and names must come from planned values; no value or name of an argument that was left
    out, no second value of an enum, no identifier of a definition may be in it.
    """
    if _NOT_A_PERSON.search(text) or re.search(r"^\s*(?:[-*]|\d+[.)])\s", text, re.M) or len(text) > 600:
        return "not one person's message"
    rest = _without_values(text, calls)
    defined = {n for c in calls for n in (c.tool.name, *c.tool.properties) if words_of(n) != [n.lower()]}
    if re.search(r"\w_\w|[{}<>]", rest) or any(re.search(_exactly(n), rest) for n in defined):
        return "names a tool or parameter"
    if _COUNTED.search(rest):
        return "a number that was not planned"
    if _DATED.search(rest):
        return "a date or time that was not planned"
    if _names(rest, calls):
        return "a name that was not planned"
    spoken = normal_text(rest)
    hinted = any(stands(hint, spoken) for call in calls for hint in _hints(call))
    if hinted or any(_says(option, spoken) for call in calls for option in _options(call)):
        return "hints at an argument that was left out"
    return ""


def _exactly(name: str) -> str:
    return rf"(?<!\w){re.escape(name)}(?!\w)"


def _without_values(text: str, calls: Sequence[PlannedCall]) -> str:
    rest = " ".join(unicodedata.normalize("NFKC", text).split())
    said = {way for call in calls for value in call.shown().values() for way in _all_ways(value)}
    for words in sorted(said, key=len, reverse=True):
        rest = re.sub(_whole(words), f" {_HOLE} ", rest, flags=re.I)
    return rest


def _all_ways(value: Value) -> Iterator[str]:
    if value.surface:
        yield value.surface
    stack = [value.json]
    while stack:
        part = stack.pop()
        if isinstance(part, (list, dict)):
            stack += part.values() if isinstance(part, dict) else part
        else:
            yield from _ways(part)


def _names(rest: str, calls: Sequence[PlannedCall]) -> bool:
    """Whether a capital inside a sentence, or a known place in any case, says a name."""
    known = _CAPITALS.union(*(words_of(f"{c.tool.name} {c.tool.description}") for c in calls))
    if not rest.isupper():
        for found in re.finditer(r"[^\W\d_][\w'’-]*", rest):
            word, before = found[0], rest[: found.start()].rstrip()
            inside = before != "" and before[-1] not in '.!?:;"“(—…'
            if inside and word[0].isupper() and word.replace("’", "'").lower() not in known:
                return True
    return _places().search(rest) is not None


@cache
def _places() -> re.Pattern[str]:
    stock = phrases("inventories")
    names = [n for key in ("city", "country") for n in stock[key] if n.lower() not in _WORDS_TOO]
    return re.compile(rf"\b(?:{'|'.join(map(re.escape, names))})\b", re.I)


def _hints(call: PlannedCall) -> Iterator[str]:
    """Words that would speak of an argument that is not in the call, or of another value of one that is."""
    own = set(words_of(f"{call.tool.name} {call.tool.description}"))
    for name, schema in call.tool.properties.items():
        if name not in call.values:
            schema = resolve(schema, call.tool.parameters)
            for hint in [" ".join(words_of(name)), *_stock(name, schema)]:
                if hint.lower() not in _SMALL and not set(words_of(hint)) <= own:
                    yield hint


def _options(call: PlannedCall) -> Iterator[str]:
    """How the values of enums are said, of arguments that are given and of those that are not."""
    for schema in call.tool.properties.values():
        schema = resolve(schema, call.tool.parameters)
        inner = schema.get("items")
        for option in schema.get("enum") or (inner.get("enum") if isinstance(inner, Mapping) else None) or []:
            yield from _ways(option)


def _says(option: str, spoken: str) -> bool:
    """Whether a normal text says an enum's value. A word that is small, too, counts where it is no preposition or article: "turn it on"."""
    if option.lower() not in _SMALL:
        return stands(option, spoken)
    word = re.escape(option.lower())
    if option.lower() in ("on", "in", "at", "it", "this", "that", "my", "the"):
        return (
            re.search(rf"\b(?:turn|switch|power)\w* {word}\b|\b{word}(?= ?(?:[.,!?;]|please\b|$))", spoken)
            is not None
        )
    return stands(option, spoken)


def _stock(name: str, schema: Mapping[str, Any]) -> list[str]:
    """What people would say for a parameter: the short list of its role, and for people their kin."""
    pool = pool_of(role_of(name, str(schema.get("description", "")), str(schema.get("type", "string"))))
    stock = phrases("inventories")
    return list(stock["relation" if pool in ("person", "recipient") else pool]) if pool in stock or pool in ("person", "recipient") else []  # fmt: skip


class Duplicates:
    """Exact and near duplicates of prompts, by hashes alone.

    A prompt is a duplicate when its words are those of an earlier one after casing, punctuation and politeness are taken off:
    8 bytes a prompt. With `near`, it may also be asked whether a prompt shares most of its word trigrams with an earlier one
    (MinHash, Broder 1997: the share of equal minima estimates the Jaccard index): 256 bytes a prompt more.
    """

    _NEAR = 0.5  # of the trigrams; a sentence of 12 words with one of them changed has 0.54

    def __init__(self, prompts: Sequence[str] = (), *, near: bool = False) -> None:
        self._recent: set[int] = set()
        self._sorted = np.empty(0, np.uint64)
        rng = np.random.default_rng(0)
        self._mix = rng.integers(1, 2**63, (64, 1), np.uint64) | np.uint64(1) if near else None
        self._signatures = np.empty((64, 64), np.uint32)
        self._count = 0
        for prompt in prompts:
            self.is_new(prompt)

    def is_new(self, prompt: str, *, near: bool = False) -> bool:
        """Whether the prompt is new, with `near` also no near copy; a new one is remembered."""
        words = _words(prompt)
        key = _hash(" ".join(words))
        if key in self._recent or self._holds(key):
            return False
        if self._mix is not None and not self._far(words, near):
            return False
        self._recent.add(key)
        if len(self._recent) == 1 << 12:
            self._sorted = np.union1d(self._sorted, np.fromiter(self._recent, np.uint64))
            self._recent.clear()
        return True

    def _holds(self, key: int) -> bool:
        at = int(np.searchsorted(self._sorted, np.uint64(key)))
        return at < len(self._sorted) and int(self._sorted[at]) == key

    def _far(self, words: list[str], asked: bool) -> bool:
        """Whether no earlier prompt is near, or nobody asks; remembers the signature then."""
        assert self._mix is not None
        grams = {" ".join(words[i : i + 3]) for i in range(max(1, len(words) - 2))}
        hashes = np.array([_hash(g) for g in sorted(grams)], np.uint64)
        signature = ((hashes * self._mix) >> np.uint64(32)).min(axis=1).astype(np.uint32)
        if asked and self._count:
            equal = (self._signatures[: self._count] == signature).mean(axis=1).max()
            if equal >= self._NEAR:
                return False
        if self._count == len(self._signatures):
            self._signatures = np.concatenate([self._signatures, np.empty_like(self._signatures)])
        self._signatures[self._count] = signature
        self._count += 1
        return True


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


class NearPrompts:
    """Finds the prompts that share most words with one of a list.

    Args:
        prompts: the list; politeness, casing and punctuation do not count.
        share: of the words of both prompts together, how many must be in both. At three quarters
            "weather in Paris" is not near "weather in Rome": another place is another case.
    """

    def __init__(self, prompts: Iterable[str], share: float = 0.75) -> None:
        self.share = share
        self._sets = [frozenset(_words(p) or normal_text(p).split()) for p in prompts]
        self._holding: dict[str, list[int]] = {}
        for i, words in enumerate(self._sets):
            for word in words:
                self._holding.setdefault(word, []).append(i)

    def __contains__(self, prompt: str) -> bool:
        words = frozenset(_words(prompt) or normal_text(prompt).split())
        # One that shares enough shares at least one of the rarest, whatever it leaves out.
        rarest = sorted(words, key=lambda w: (len(self._holding.get(w, ())), w))
        needed = len(words) - math.ceil(self.share * len(words)) + 1
        near = {i for word in rarest[:needed] for i in self._holding.get(word, ())}
        return any(len(words & self._sets[i]) >= self.share * len(words | self._sets[i]) for i in near)


def values_key(calls: Sequence[PlannedCall]) -> str:
    """A digest of the value combination of a conversation's calls."""
    combined: list[Any] = [[c.tool.name, c.arguments()] for c in calls]
    text = json.dumps(combined, sort_keys=True, ensure_ascii=False).casefold()
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def check_conversation(conversation: Conversation, tools: Mapping[str, ToolDefinition]) -> str:
    """Why a finished conversation is not right; "" when it is: calls and responses fit their schemas."""
    for turn in conversation.turns():
        for call in turn.expected:
            if call.name not in tools:
                return "a call to an unknown tool"
            if not Draft202012Validator(tools[call.name].parameters).is_valid(dict(call.arguments)):
                return "arguments do not fit the schema"
    for message in conversation.messages:
        if message["role"] == "tool":
            returns = tools[message["name"]].returns
            if returns is not None and not Draft202012Validator(returns).is_valid(
                json.loads(message["content"])
            ):
                return "a response does not fit returns"
    return ""
