"""What a parameter stands for, by the words of its name and description: a place, a person, a time, money."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from auto_lora.dialogues.definitions.moments import asked_for, date_form, told
from auto_lora.dialogues.definitions.phrasebook import phrases, words_of

_NUMERIC = frozenset(
    "temperature level percent duration amount count age weight distance rating rating_max number year identifier capacity timeout latitude longitude".split()
)
# "Name of the sales representative", not "Name of the printer".
_NAMES_A_PERSON = re.compile(
    r"(?:full )?names? of (?:the |an? )?(?:\w+ )?(?:people|person|recipient|candidate|representative|manager|customer|client|employee|"
    r"interviewer|attendee|guest|user|colleague|contact|patient|student|teacher|doctor|author|owner|assignee|member|participant|passenger|driver)s?\b"
)
# Names that end so are codes of something, whatever it is: "team_id", "thread_ts", "start_cursor".
_STAMPS = frozenset(("ts", "timestamp"))
_NAMELESS = frozenset("id uuid key ts timestamp ref cursor hash sha".split())
_COUNTING = re.compile(r"\b(?:num|number|count|qty|quantity|how many)\b")
_OF_MONEY = re.compile(r"\b(?:loan|money|mortgage|dollars?|usd|euros?|deposit|investment|funds|payment)\b")
_MUSICAL = re.compile(r"\bmusic|\bscale\b|\bchord|\bsong|\b[A-G][#b]|(?:such as|e\.g\.,?|like) ['\"]?[A-G]\b")
# What stands where an argument is not given: of a drop-off, "Defaults to the pick-up location."
_ASIDE = re.compile(
    r"(?:^|[.;,(])\s*(?:if omitted|if not (?:given|provided|specified|set)|omit|(?:it |this |which )?defaults? to)\b[^.;)]*",
    re.I,
)
# Names that say what an argument is, whatever its description speaks of beside.
_PLAIN_NAMES = frozenset(("sku", "isbn", "movie", "film", "course title", "category"))
_PETS_NAME = re.compile(
    r"\b(?:pet|dog|cat|animal) s name\b|\bnames? of (?:the |your |an? )?(?:pet|dog|cat)\b|^pet name\b"
)
_TURNED = re.compile(r"\b(?:angle|heading|bearing|azimuth|rotation|tilt|phase)\b")
_SIZED = frozenset("area distance length width height volume mass weight".split())
_TIMELY = frozenset("date time when start end daypart".split())
_FREE = frozenset("message note text query".split())


@cache
def role_of(name: str, description: str, kind: str) -> str:
    """A parameter's role; "generic" when nothing fits.

    The longest cue wins; one in the name counts twice a word, one in the description less, unless it begins it. A description
    that says how dates or times are written is about one.
    """
    description = _ASIDE.sub("", description) or description
    spoken, about = " ".join(words_of(name)), re.sub(r"^(?:the|an?) ", "", " ".join(words_of(description)))
    about = "" if spoken in _PLAIN_NAMES else re.sub(r"\bper \w+", "", about)  # "one per year" is no year
    words = words_of(name)
    if kind == "string" and words:
        if words[-1] == "key" and _MUSICAL.search(description):
            return "musical_key"
        if words[-1] in _NAMELESS and not (words[-1] in _STAMPS and date_form(description)):
            return "identifier"
        if words[-1] in ("query", "sql", "statement") and re.search(r"\bSQL\b", description):
            return "sql"
    if re.match(r"\W*\w+/\w+\b", description):  # "owner/name" is about no owner
        about = ""
    begins = re.sub(
        r"^(?:(?:code|id|number) or |\w+ )?names?(?: or (?:code|id|number))? of (?:the |an? )?(?=\w)",
        "",
        about,
    )  # "name of the sport" is no person's
    if kind in ("string", "array") and _NAMES_A_PERSON.match(about):
        return "person"
    return _settled(_by_cues(spoken, begins, about, kind), words, description, about, kind)


def _by_cues(spoken: str, begins: str, about: str, kind: str) -> str:
    """The role of the longest cue.

    Args:
        spoken: the words of the name; `about`: those of the description, `begins`: without what only says that it is a name.
    """
    best, found = 0.0, "generic"
    for role, entry in phrases("roles").items():
        for cue in entry["name"]:
            score = 0.0
            if _has(cue, spoken) and (cue != "to" or spoken == cue):  # "to_version" is no recipient
                score = 2.0 * len(cue.split())
            elif _cue(cue).match(begins):
                score = 1.9 * len(cue.split())
            if score > best and _fits(role, kind):
                best, found = score, role
        for cue in entry["about"]:
            plain = " ".join(words_of(cue))
            if _has(plain, about):
                score = 1.5 * len(plain.split()) + (1.0 if about.startswith(plain) else 0.0)
                if score > best and _fits(role, kind):
                    best, found = score, role
    return found


def _settled(found: str, words: list[str], description: str, about: str, kind: str) -> str:
    """The role where other words than its cue tell that another is meant."""
    spoken = " ".join(words)
    if found in _TIMELY and re.search(
        r"\b(?:position|offset)\b", about
    ):  # "position like 00:12:30" is no time of day
        return "generic"
    if found == "temperature" and (
        _TURNED.search(spoken) or re.search(r"\bangle\b", about)
    ):  # an angle in degrees
        return "generic"
    if found == "amount" and kind in ("integer", "number") and re.search(r"\b(?:in|as a) percent", about):
        return "percent"  # "Amount in percent" is no money
    if found == "amount" and _SIZED.intersection(words[-1:]):
        return "generic"  # "Total area of the panels"
    if found == "percent" and re.search(r"\bin (?:us )?(?:dollars|euros?|usd|eur|gbp)\b", about):
        return "amount"  # "Tip in dollars"
    if (
        found in ("year", "month")
        and kind in ("integer", "number")
        and words[-1:] in (["years"], ["months"])
        and not re.search(r"\bcalendar\b", about)
    ):
        return "duration"  # "Years into the future"
    if found == "duration" and "timeout" in words:  # "timeout_seconds"
        return "timeout"
    if found == "duration" and "per" in words:  # hours per day
        return "generic"
    if (found == "note" and _MUSICAL.search(description)) or (
        found == "season" and re.search(r"\d", description)
    ):
        return "generic"  # the root note of a chord; "2021-22"
    if found == "room" and "parking" in about:
        return "identifier"
    if found == "animal" and words[-1:] != ["animal"] and _PETS_NAME.search(about):
        return "pet_name"
    if (
        found == "identifier"
        and words[-1:] == ["reference"]
        and re.match(r"(?:text|message|note|purpose|free)\b", about)
    ):
        return "payment_reference"
    if found == "weather" and kind == "array":
        return "generic"  # the conditions of a query
    if (
        kind == "string"
        and words[-1:] in (["date"], ["time"])
        and found in ("origin", "destination", "place", "poi")
    ):
        return words[-1]  # "pickup_date" is no place
    if (
        found == "count"
        and _OF_MONEY.search(f"{spoken} {about}")
        and not _COUNTING.search(f"{spoken} {about}")
    ):
        return "amount"  # "amount of the loan"
    if (
        kind == "string"
        and found in ("text", "message")
        and words[-1:] in (["query"], ["keyword"], ["keywords"], ["q"])
    ):
        return "query"  # "Text to look for"
    if found == "postcode" and re.search(
        r"\b(?:city|town|place)(?: name)?,? or\b|\bor (?:the |a )?(?:city|town|place)\b", about
    ):
        return "place"
    if found == "phone" and re.search(r"\bnames?\b.{0,12}\bor\b|\bor (?:the |a )?(?:contact )?name\b", about):
        return "recipient" if {"to", "recipient"} & set(words) else "person"
    if kind == "array" and found == "label":
        return "tag"
    if kind == "string" and found not in _TIMELY | _FREE:
        return asked_for(description) or found
    return found


def role_in(name: str, schema: Mapping[str, Any], kind: str) -> str:
    """A parameter's role, its `format` read as well; `kind`: its type."""
    return role_of(name, told(schema), kind)


def _has(cue: str, text: str) -> bool:
    return _cue(cue).search(text) is not None


@cache
def _cue(cue: str) -> re.Pattern[str]:
    """Compiled once: `re` keeps 512 patterns, and there are more cues."""
    return re.compile(rf"\b{re.escape(cue)}s?\b")


def _fits(role: str, kind: str) -> bool:
    if kind == "array":  # "participants" are people, not how many
        return role not in (_NUMERIC | {"list"}) - {"identifier", "number"}
    return kind not in ("integer", "number") or role in _NUMERIC
