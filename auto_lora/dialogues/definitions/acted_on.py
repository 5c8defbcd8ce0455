"""What a tool acts on or measures, in the words of its definition: "the capital of a country", "attractions"."""

from __future__ import annotations

import re
from functools import cache
from itertools import pairwise

from auto_lora.catalog import ToolDefinition
from auto_lora.catalog.definition import per_tool
from auto_lora.dialogues.definitions.meaning import DETERMINERS, STATED, act_of, deed_told, own_name, verb_act
from auto_lora.dialogues.definitions.phrasebook import phrases, stem, words_of

_QUALIFIERS = re.compile(
    r"\b(an?|the|one or more) (?:(?:specified|given|provided|specific|certain|particular|suitable|desired|requested|existing|identical) )+(?=(\w+))"
)
_CUT = r"(?<!-)\b(?:given|based|using|by|via|that|after|before|which|from|with|whose|per|if|when|where|for|in|at|on|to(?!-do\b)|near|between|as|going|heading|matching|departing)\b|\bsuch as\b|[,.;:(?]|(?:^|\s)(?![A-Za-z]+\d{0,2}\b(?!\S))\S*[\^=+*<>\d]"
_INTO = frozenset("to into from".split())
_MACHINES = frozenset("calculator calc finder helper".split())
_FIRST_DROPPED = frozenset("to for of in on by from with and off up".split())
_TELLING = frozenset("get find track compute".split())


_TO = frozenset("switch reply respond subscribe navigate listen connect skip apply react go".split())
_STEPS = frozenset("next previous prev start stop now".split())
_HALTS = frozenset("restart stop kill terminate pause end".split())  # what runs, whether it is said or not
_WHOM = frozenset(("me", "us", "you", "it", "them", "the user", "users"))  # "notify me", "wake the user up"


@cache
def objects_of(name: str, description: str) -> tuple[str, ...]:
    """Noun phrases for what a tool acts on: from its description, and from its name where that is of the same words."""
    verb, rest = deed_told(description)
    act, own_verb = act_of(name, description)
    if verb and own_verb != verb and (deeper := re.search(rf"\bto {re.escape(own_verb)} (.+)", rest)):
        verb, rest = own_verb, deeper[1]  # "Analyzes an audio file to detect beats" detects beats
    found = []
    lead = re.match(r"to ", rest) if verb in _TO else None  # "reply to a message", "navigate to a page"
    phrase = re.split(_CUT, _unqualified(rest[lead.end() if lead else 0 :]), maxsplit=1)[0].strip()
    phrase = _first_deed(_whole(phrase, rest) if verb_act(verb) == "set" else phrase)
    phrase = f"to {phrase}" if lead and phrase else phrase
    if particle := own_verb.partition(" ")[2]:
        phrase = phrase.removesuffix(f" {particle}")  # "Turn the lights off" of turn_off_lights
    if act in _TELLING:  # "a list of cars", "events of a category"
        phrase = re.sub(
            r"^(?:an?|the) (?:\w+ )?list of (?:the |all |available )?(?=(?:\w+ )*\w+s\b)", "", phrase
        )
        phrase = re.sub(r"(?<=\w) of (?:an?|the|some) (?:\w+ )?(?:category|type|kind|genre)\b", "", phrase)
    lettered = re.search(r"\b[b-hj-z]\b", phrase) is not None
    if lettered:  # "exactly k successes"
        phrase = re.sub(r" (?:of|for|in|from|with)\b.*$", "", phrase)
    phrase = re.sub(r"\b(?:the|an?) user's\b", "my", phrase)
    shortened = len(phrase.split()) > 7
    while (
        len(phrase.split()) > 7
        and (shorter := re.sub(r" (?:of|and|or|between) (?!.* (?:of|and|or|between) ).*$", "", phrase))
        != phrase
    ):
        phrase = shorter
    phrase = re.sub(r" \w+ly (?:or|and) \w+ly$", "", phrase)  # "an order fully or partially"
    if own_verb in _HALTS:
        phrase = re.sub(
            r"\b(an?|the) (?:currently )?running (?=(\w+))",
            lambda m: f"{m[1] if m[1] == 'the' else _article(m[2])} ",
            phrase,
        )
    while phrase != (shorter := re.sub(r"\s*\b(?:of|and|or|the|an?)$", "", phrase)):
        phrase = shorter
    phrase = re.sub(r"\ba (?=[aeio])", "an ", phrase)
    clause: re.Match[str] | None = re.match(r"(?:whether|if|how|what|who|when|where|or|tell)\b", phrase, re.I)
    # "Give a book a rating" is to rate the book, if the name says rate.
    if clause is None and verb != own_verb:
        clause = re.match(r"(?:an?|the) (?:\w+ )?\w+ (?:an?|the|another) ", phrase)
    named_too = stem(phrase.lower()) in map(stem, words_of(name))
    begins = (
        " " not in phrase and description.startswith(phrase) and not named_too and not lettered
    )  # "Store at which hours ...": a verb
    if phrase and not clause and phrase.lower() not in _WHOM and not begins and len(phrase.split()) <= 7:
        stated = (
            "the "
            if not verb and STATED.match(description) and phrase.split()[0].lower() not in DETERMINERS
            else ""
        )
        found.append(stated + (phrase[0].lower() + phrase[1:] if phrase[1:2].islower() else phrase))
    spoken = {verb, *own_verb.split()}
    own = words_of(own_name(name))  # "physics.free_fall_time": the free fall time
    named = (
        [w for w in own if w not in spoken]
        or [w for w in words_of(name) if w not in spoken]
        or [w for w in own[1:] if w not in own_verb.split()]  # "Call a contact" of make_call
    )
    if found and named and re.fullmatch(rf"{re.escape(named[-1])}s (?:and|or) [a-z]+s", found[0]):
        found = []  # "Move files and directories" of move_file moves a file
    mine = bool(named) and named[0] not in _INTO and words_of(name)[0] == own_verb
    if mine and verb != own_verb and act not in _TELLING:
        # Verb and object of one side: "Register an item" of start_return starts a return, "Runs the irrigation" of
        # water_garden waters the garden.
        found = [f for f in found if not {stem(w.lower()) for w in f.split()}.isdisjoint(map(stem, named))]
    if found and named[:1] and named[0] in _INTO and words_of(name)[:1] != named[:1]:
        named = []  # "add_to_shopping_list" adds no list
    while named and named[0] in _FIRST_DROPPED:
        named = named[1:]
    if len(named) > 1 and named[0] == words_of(name)[0] and verb_act(named[0]) and act not in _TELLING:
        named = named[1:]  # "Place an order" of order_pizza: the pizza
    if len(named) > 1 and named[-1] in _MACHINES:
        named = named[:-1]
    while len(named) > 1 and named[-1] in _STEPS:  # "media_next"
        named = named[:-1]
    described = set(map(stem, words_of(description)))
    of_namespace = "." in name and own == named[:1]  # "carbon_footprint.flight" is no flight
    turned = " ".join(reversed(named)) in " ".join(
        words_of(description)
    )  # "vocabulary practice" is no practice vocabulary
    told = (
        described.issuperset(map(stem, named))
        and not of_namespace
        and _side_by_side(named, description)
        and not (len(named) > 1 and turned)
    )
    # "Renew a library book" renews no library; who asks for the weather forecast asks for the weather.
    part = found and len(named) == 1 and re.search(rf"\b{re.escape(named[0])} [a-z]", found[0])
    modifier = bool(part) and act not in _TELLING
    if named and not modifier and (not found or told or shortened):
        found.append("the " + " ".join(named))
    # "Integrate the area under a curve" rather than "integrate integrate".
    rest = phrase if phrase and not named else " ".join(words_of(name))
    return tuple(dict.fromkeys(found)) or (rest,)


def _side_by_side(words: list[str], description: str) -> bool:
    """Whether each two words in a row stand near each other in a description: "area of a triangle", but not Heron's formula for it."""
    said = [stem(w) for w in words_of(description)]
    places = [[i for i, w in enumerate(said) if w == stem(word)] for word in words]
    return all(any(abs(i - j) < 5 for i in one for j in other) for one, other in pairwise(places))


_PARTS_OF = re.compile(
    r"(?:the )?[\w ]+(?:, [\w ]+)*,? (?:and|or|and/or) (?:the )?[\w ]+? of ((?:an?|the|one) [\w ]+)", re.I
)


def _unqualified(text: str) -> str:
    """A text without words that only say that something is meant: "an existing ticket" is a ticket."""
    return _QUALIFIERS.sub(lambda m: f"{_article(m[2]) if m[1] in ('a', 'an') else m[1]} ", text)


def _article(noun: str) -> str:
    return "an" if re.match(r"[aeioAEIO]|hour|honest|honou?r|heir|[FHLMNRSX][A-Z]", noun) else "a"


def _whole(phrase: str, rest: str) -> str:
    """What several parts are of: a ticket, where "status, assignee or priority of a ticket" are updated."""
    parts = _PARTS_OF.match(_unqualified(rest))
    if parts and re.search(r"\b(?:users?|customer|passenger|person)\b", parts[1]):
        return phrase
    return re.split(_CUT, parts[1])[0].strip() if parts and "," in rest[: parts.end()] else phrase


def _first_deed(phrase: str) -> str:
    """A phrase up to a second deed: "the web and return the top results" is the web."""
    for found in re.finditer(r" (?:and|or) (?=(\w+) (?:an?|the|its|their|it|them)\b)", phrase):
        if verb_act(found[1]):
            return phrase[: found.start()]
    return phrase


_TAKES_TIME = re.compile(
    r"\b(?:travel|travell?ing|driving|waiting|wait|cooking|fall|flight|delivery|processing|run|running|half|reaction)\s+time$"
    r"|^(?:the )?time (?:it|needed|required|taken|to)\b"
)


@per_tool
def measured_by(tool: ToolDefinition) -> str:
    """What a tool measures, as `phrases/measures.json` has it: "distance", "number of days"; "" for anything else."""
    for words in objects_of(tool.name, tool.description):
        counted = re.match(r"(?:the )?(?:total )?number of ([a-z ]+)$", words)
        if counted:
            return f"number of {counted[1]}"
        head = re.split(r" (?:of|between|for|in)\b", words)[0].split()[-1]
        clock = head == "time" and not _TAKES_TIME.search(words)  # "the sunset time"
        loud = head == "volume" and re.search(
            r"speaker|sound|audio|trading|music|media|device", f"{tool.name} {tool.description}", re.I
        )
        if head in phrases("measures") and not clock and not loud:
            return head
    return ""
