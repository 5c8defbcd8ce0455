"""Which values an argument has, by what its definition speaks of: a ticket's title is an issue, a library's genre one of books."""

from __future__ import annotations

import random
import re
from functools import cache

from auto_lora.dialogues.definitions.phrasebook import phrases, values_of, words_of
from auto_lora.dialogues.values.dates import PAST

_VARIABLE = re.compile(
    r"\b(?:in|of) x\b|\bvariable|derivative|integra|differentiat|polynomial|\bf\(x\)|\bcurve", re.I
)
# What one searches for, by a word of the description of a query.
_SOUGHT = {
    "song": "song",
    "track": "song",
    "movie": "movie",
    "film": "movie",
    "book": "book",
    "product": "product",
    "recipe": "dish",
    "restaurant": "restaurant",
}
_JUDGED = re.compile(r"\b(?:comment|review|feedback|opinion)", re.I)
_RATED = re.compile(r"\b(?:rat(?:e|ing)|review|score|stars?)\b", re.I)
_HEARD = re.compile(r"\b(?:play|listen to|stream)\b.*\bmusic\b", re.I | re.S)
# What a title is of, by a word of the tool's definition; any other is a work's.
_TITLED = {
    "event": "event",
    "meeting": "event",
    "calendar": "event",
    "appointment": "event",
    "task": "chore",
    "todo": "chore",
    "ticket": "issue",
    "incident": "issue",
    "issue": "issue",
    "bug": "issue",
}
# Such a ticket is none of a fault.
ADMITTED = re.compile(
    r"\b(?:movie|film|cinema|concert|theat(?:er|re)|festival|show|match|flight|train|bus|parking|lottery)",
    re.I,
)
# What is written down is something to do where the definition speaks of that: "buy milk", not "I'll be late".
_NOTED = frozenset("message note text label item".split())
_TO_DO = re.compile(r"\b(?:to-?dos?|to do lists?|tasks?|chores?|reminders?|remind(?:ed)?)(?![a-z])", re.I)
_ENTERTAINING = re.compile(
    r"\b(?:music|song|stream|video|play|watch|movie|listen|subscri|chat|app|message|deliver|ride)", re.I
)
_PICTURE = re.compile(r"\b(?:images?|photos?|pictures?|bitmap|thumbnail)\b", re.I)
_SOURCE = re.compile(
    r"\b(?:source code|source files?|symbols?|lint\w*|compil\w+|unit tests?|code files?|formats? code)\b",
    re.I,
)

_DRAWN = re.compile(r"\b(?:images?|pictures?|drawings?|paint\w*|art(?:work)?|illustrations?)\b", re.I)
_USERNAME = re.compile(r"^(?!.*\bor\b)(?=.*\b(?:username|user name|login|handle)s?\b)", re.I)
# Of whom nobody says "mom", and tools in which nobody does.
_COLLEAGUES = frozenset("assignee assignees agent customer employee employees client".split())
_AT_WORK = re.compile(
    r"\b(?:CRM|invoices?|repositor(?:y|ies)|pull requests?|sales pipeline|payroll|timesheets?|employees?|(?:support |help ?desk )tickets?)\b"
    r"|\b(?:create|assign|update|search|close)_tickets?\b",
    re.I,
)

_INVITED = frozenset("attendee attendees participant participants invitee invitees guest guests".split())
_BY_MAIL = re.compile(
    r"\be-?mail (?:address(?:es)?|ids?)\b|\be-?mails? of\b|'s e-?mails?\b|\bor e-?mails?\b|^\W*(?:list of )?e-?mails?\b(?! \w)", re.I
)  # fmt: skip
_AMERICAN = re.compile(
    r"\bUSA?\b|\bU\.S\.|\b[Uu]nited [Ss]tates\b|\bof residence\b|(?i:\btax|_tax\b|\bzip\b)"
)
_ABROAD = re.compile(r"\b(?:provinces?|regions?|countr(?:y|ies)|territor(?:y|ies))\b", re.I)

_DRUNK = re.compile(r"\b(?:drink|beverage|cocktail|coffee)s?\b", re.I)

EATEN = re.compile(r"(?<![a-z])(?:food|eats?|meals?|menu|dish|restaurants?)(?![a-z])", re.I)


@cache
def _domains() -> tuple[tuple[tuple[str, ...], re.Pattern[str], str], ...]:
    """(pools, words of a definition, the pool that it means by one of those pools)."""
    entries = phrases("domains")["pools"]
    return tuple((tuple(e["of"]), re.compile(rf"\b(?:{e['words']})\b"), e["pool"]) for e in entries)


@cache
def _names() -> tuple[tuple[re.Pattern[str], str], ...]:
    """(kinds of places, the pool of their names)."""
    return tuple((re.compile(rf"(?:{e['words']})$", re.I), e["pool"]) for e in phrases("domains")["names"])


_SIGHT = re.compile(
    r"(?:museum|park|stadium|cinema|theat(?:er|re)|gallery|zoo|library|arena|beach|station|castle|market|mall|lake|bridge|cathedral|opera house)$",
    re.I,
)
# "Name of the national park", "The hospital's name", "Hotel name".
_NAME_OF = re.compile(
    r"\bnames? of (?:the|an?|your|their)? ?(?:[\w-]+ )??([\w-]+(?: theat(?:er|re)| house)?)(?=[.,;:(]|$| (?:to|where|in|for|at)\b)|^(?:the )?([\w-]+)(?:'s)? name\b",
    re.I,
)


def _kind_named(name: str, about: str) -> list[str]:
    """What a parameter names, by its own words: `hotel_name`, "Name of the hotel"."""
    words = [w for w in words_of(name) if w != "name"]
    told = [k for m in _NAME_OF.finditer(about) for k in m.groups() if k]
    return [" ".join(words[-2:]), *words[-1:], *told]


def sight(name: str, about: str) -> str:
    """The word at the end of such a place's name: "Park", where a parameter names a park; "" of other places."""
    return next((m[0].title() for k in _kind_named(name, about) if (m := _SIGHT.search(k))), "")


def pool_for(rng: random.Random, name: str, about: str, role: str, tool_words: str) -> str:
    """The pool that a role's values come from, as far as the definition tells.

    Args:
        name, about: of the parameter; `about` is its description.
        tool_words: name and description of its tool.
    """
    pool, told = values_of(role), f"{about} {tool_words}"
    if pool == "file" and _PICTURE.search(f"{' '.join(words_of(name))} {about}"):
        pool = "image_file"
    elif pool == "file" and _SOURCE.search(told):
        pool = "source_file"
    if role in ("message", "text", "title") and re.search(r"\bcommits?\b|pull request", told, re.I):
        pool = "commit_message"
    if role == "sql" and re.search(r"\bselect\b|read.only", told, re.I):
        pool = "sql_select"
    if pool == "org" and "restaurant" in about.lower():
        pool = "restaurant"
    if pool in ("org", "poi", "thing_name"):
        kinds = _kind_named(name, about)
        pool = next((own for words, own in _names() if any(words.match(k) for k in kinds)), pool)
    if (
        pool == "place"
        and re.search(r"\bor\b.*\b(?:zip|postal|postcode)|\b(?:zip|postal|postcode)\b.*\bor\b", about, re.I)
        and rng.random() < 0.3
    ):
        pool = "postcode"  # "City or ZIP code"
    if (
        pool in ("person", "recipient")
        and re.search(r"\b(?:phone|telephone|mobile) number", about, re.I)
        and rng.random() < 0.3
    ):
        pool = "phone"
    if pool in ("identifier", "generic") and re.search(
        r"\bssn\b|\bsocial security number", f"{' '.join(words_of(name))} {about}", re.I
    ):
        pool = "ssn"
    if pool in ("person", "author", "full_name") and _USERNAME.search(about):
        pool = "username"
    if (
        role in ("identifier", "generic", "time", "when")
        and words_of(name)[-1:] in (["ts"], ["timestamp"])
        and re.search(r"\bslack\b", told.replace("_", " "), re.I)
        and re.search(r"\bmessages?\b|\bthread\b", about, re.I)
    ):
        pool = "slack_stamp"  # what Slack calls a message by
    if pool == "person" and (_COLLEAGUES & set(words_of(name)) or _AT_WORK.search(told)):
        pool = "colleague"
    if pool == "colleague" and re.search(r"\be-?mail\b", about, re.I) and rng.random() < 0.4:
        pool = "email"  # "Name or email of the agent"
    if (
        pool in ("person", "recipient", "colleague")
        and _INVITED & set(words_of(name))
        and _BY_MAIL.search(about)
        and (not re.search(r"\bnames?\b", about, re.I) or (" or " in about and rng.random() < 0.4))
    ):
        pool = "email"  # "Email addresses of the attendees", "Names or emails"
    if pool == "specialty" and not re.search(
        r"doctor|medic|patient|clinic|hospital|physician|health", told, re.I
    ):
        pool = (
            "law_area" if re.search(r"\b(?:lawyers?|attorneys?|areas? of law|legal)\b", told, re.I) else "job"
        )
    if (
        pool == "region"
        and words_of(name)[-1:] == ["state"]
        and _AMERICAN.search(told)
        and not _ABROAD.search(about)
    ):
        pool = "us_state_code" if re.search(r"['\"`][A-Z]{2}['\"`]", about) else "us_state"
    if pool == "item" and EATEN.search(told):
        pool = "dish"
    if pool == "dish" and _DRUNK.search(f"{' '.join(words_of(name))} {about}"):
        pool = "drink"
    own = f"{' '.join(words_of(name))} {about}"
    if (
        role == "wish"
        and EATEN.search(told)
        and not re.search(r"\b(?:table|book\w*|reserv\w+)\b", told, re.I)
    ):
        pool = "dish_wish"
    if pool == "person" and re.search(r"\b(?:doctor|dentist|physician|therapist)\b", own, re.I):
        pool = "doctor"
    if role in ("note", "message") and re.search(r"\b(?:pay|payment|transfer|money|wire)\b", told, re.I):
        pool = "payment_reference"
    if (
        role in ("label", "text", "message", "query")
        and _DRAWN.search(told)
        and re.search(r"\bprompt\b|\bdraw|\bdepict", own, re.I)
    ):
        pool = "picture"
    if role in ("text", "message") and re.search(r"\bsummar", told, re.I):
        pool = "passage"
    if pool == "query":
        # A tracker has issues, and no tracks.
        pool = next((p for w, p in _SOUGHT.items() if re.search(rf"{w}(?!er|ing)", told, re.I)), pool)
        if pool == "query" and _HEARD.search(told):
            pool = rng.choice(["song", "artist", "album"])
    if pool in ("title", "subject") and not ADMITTED.search(told):
        pool = next((p for word, p in _TITLED.items() if word in told.lower()), pool)
    about_tool = " ".join(words_of(told))
    pool = next((own for of, words, own in _domains() if pool in of and words.search(about_tool)), pool)
    if pool == "product" and re.search(r"chemi|reacti", told, re.I):
        pool = "chemical_formula"
    if role == "type" and words_of(name)[:1] == ["body"]:
        pool = "car_body"
    if pool == "person" and "salon" in about.lower():
        pool = rng.choice(["salon_name", "colleague"])
    if pool == "generic" and words_of(name)[-1:] == ["word"]:
        pool = rng.choice(["noun", "adjective", "verb"])
    if pool == "expression" and _VARIABLE.search(told):
        pool = "formula"
    if (
        pool in ("label", "event", "text", "message", "note", "generic")
        and "description" in words_of(name)
        and re.search(r"ticket|incident|issue|bug|support|fault", told, re.I)
    ):
        pool = "issue"
    if pool in ("label", "event", "text", "note") and re.search(r"\b(?:invoice|bill|billing)\b", told, re.I):
        pool = "billed"
    if pool == "generic" and (own := _of_work(words_of(name), about, told)):
        pool = own
    if pool == "genre" and re.search(r"\b(?:films?|movies?|cinema)\b", told, re.I):
        pool = "genre_film"
    elif pool == "genre" and re.search(r"\b(?:books?|novels?|librar\w+|reading|literature)\b", told, re.I):
        pool = "genre_book"
    if pool in ("event", "label") and re.search(r"histor", told, re.I):
        pool = "historical_event"
    if pool == "folder" and re.search(r"path|dir\b|workspace|cwd", " ".join(words_of(name))):
        pool = "folder_path"
    if pool == "repo" and "/" in about:
        pool = "repo_path"
    if pool.startswith("comment_"):
        return pool
    if role in _NOTED and _JUDGED.search(f"{' '.join(words_of(name))} {about}") and _RATED.search(told):
        pool = "opinion"
    if role in _NOTED and _TO_DO.search(told):
        pool = "chore"
    if pool == "device" and re.search(r"\b(?:music|songs?|playlists?|podcasts?|videos?)\b", told, re.I):
        pool = "device_media"
    if pool == "service" and re.search(r"\b(?:music|songs?|playlists?)\b", told, re.I):
        pool = "service_music"
    elif pool == "service" and not _ENTERTAINING.search(told):
        pool = "system"
    if role in ("start", "end") and "time" in words_of(name):
        pool = "time"
    if pool == "date" and PAST.search(f"{name} {about}"):
        pool = "past_date"
    return pool


_CHATS = re.compile(r"\b(?:slack|discord|chat|workspace|teams channel|messages?)\b", re.I)
_SUBSCRIBED = re.compile(r"\bsubscri(?:ption|be)\w*|\bbilling\b|\bSaaS\b|\bpricing\b", re.I)


def _of_work(words: list[str], about: str, told: str) -> str:
    """The pool of a name that only tools at work have: a channel, a plan, a warehouse; "" of any other."""
    last = words[-1] if words else ""
    if last == "channel" and _CHATS.search(told) and not re.search(r"\b(?:sms|push|e-?mail)\b", about, re.I):
        return "channel_marked" if "#" in about else "channel_name"
    if last == "plan" and _SUBSCRIBED.search(told):
        return "plan_name"
    if last in ("warehouse", "store", "depot") and re.search(r"\bcode\b", about, re.I):
        return "site_code"
    return ""
