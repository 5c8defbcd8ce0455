"""The words of the built-in writer: what is in `phrases/`, mapped to any list of tools.

Tools are mapped to acts (get, set, send, ...) by the words of their name and description, parameters
to roles (place, person, time, ...) by name, description and type. Every frame belongs to one split
for good, so no sentence shape of the training data comes back in validation or test.
"""

from __future__ import annotations

import hashlib
import json
import re
from functools import cache
from importlib.resources import files
from typing import Any

from auto_lora.catalog import ToolDefinition

SPLITS = ("train", "validation", "test")

# A role is the first whose words occur in the parameter's name, then in its description.
ROLE_WORDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("email", ("email", "e-mail", "mail address")),
    ("url", ("url", "uri", "link", "website", "webhook")),
    ("phone", ("phone", "telephone", "mobile")),
    ("sql", ("sql", "select statement")),
    ("expression", ("expression", "formula", "equation")),
    ("source_language", ("source lang", "from lang", "source_lang", "from_lang")),
    ("language", ("language", "lang", "locale")),
    ("unit_from", ("from unit", "from_unit", "source unit", "from currency", "base currency", "source currency")),
    ("unit_to", ("to unit", "to_unit", "target unit", "to currency", "target currency", "unit")),
    ("currency", ("currency",)),
    ("address", ("address", "street")),
    ("origin", ("origin", "departure city", "from city", "source city", "pickup", "start location", "departure airport", "from location")),
    ("destination", ("destination", "arrival city", "to city", "dropoff", "end location", "to location")),
    ("room", ("room",)),
    ("artist", ("artist", "band", "singer", "musician", "composer")),
    ("genre", ("genre",)),
    ("cuisine", ("cuisine",)),
    ("food", ("dish", "food", "ingredient", "meal", "recipe")),
    ("country", ("country", "nation")),
    ("city", ("city", "town", "location", "place", "destination", "area", "region")),
    ("identifier", ("id", "identifier", "number code", "sku", "uuid", "reference", "tracking", "order number", "account number", "code")),
    ("ticker", ("ticker", "symbol", "stock")),
    ("organisation", ("company", "organisation", "organization", "employer", "vendor", "brand")),
    ("recipient", ("recipient", "receiver", "to", "addressee")),
    ("person", ("person", "full name", "customer name", "contact", "first name", "last name", "user", "attendee", "guest name", "author", "assignee", "employee", "patient", "owner", "name of the person")),
    ("temperature", ("temperature", "celsius", "fahrenheit", "degrees")),
    ("brightness", ("brightness",)),
    ("volume", ("volume", "loudness")),
    ("percent", ("percent", "percentage", "ratio", "level")),
    ("duration", ("duration", "minutes", "seconds", "hours", "length in", "timer")),
    ("start", ("start date", "start time", "start_date", "start_time", "check-in", "checkin", "begin")),
    ("end", ("end date", "end time", "end_date", "end_time", "check-out", "checkout", "until", "deadline")),
    ("date", ("date", "birthday", "due")),
    ("time", ("time",)),
    ("day", ("day", "when", "period", "timeframe")),
    ("money", ("price", "amount", "cost", "budget", "salary", "fee", "payment", "total")),
    ("count", ("count", "quantity", "number", "limit", "max", "min", "passengers", "guests", "people", "adults", "copies", "top")),
    ("message", ("message", "body", "content", "text of", "comment", "note")),
    ("phrase", ("text", "sentence", "phrase", "paragraph")),
    ("label", ("label", "tag", "purpose", "reason", "what the alarm is for")),
    ("title", ("title", "subject", "event name", "heading", "summary", "song", "track", "album", "movie")),
    ("product", ("product", "item", "article")),
    ("topic", ("topic", "query", "keyword", "search term", "question", "search")),
    ("category", ("category", "kind", "type", "department", "section")),
    ("color", ("color", "colour")),
    ("person", ("name",)),
)  # fmt: skip

# Roles that stand right after the verb: "play {artist}", "translate {text}".
MAIN_ROLES = {
    "play": ("artist", "title", "genre", "topic", "product", "person", "generic"),
    "find": ("topic", "person", "product", "title", "food", "cuisine", "organisation", "city", "generic"),
    "compute": ("expression", "generic"),
    "convert": ("money", "count", "generic"),
    "translate": ("phrase", "message"),
    "run": ("sql", "expression", "phrase", "message", "topic", "generic"),
}

# Nouns among the verbs: what one says instead.
_SPOKEN_VERBS = {
    "calculator": "calculate",
    "math": "calculate",
    "status": "check",
    "checkout": "pay",
    "query": "run",
}
STATES = {
    "on",
    "off",
    "open",
    "closed",
    "close",
    "locked",
    "unlocked",
    "lock",
    "unlock",
    "enabled",
    "disabled",
}
_STOP = r"\b(?:of|for|by|on|to|in|with|from|at|as|up|and|or|using|about|into|given|based|between|via|that|which|per)\b|[,.;:(]"


@cache
def phrases(name: str) -> dict[str, Any]:
    """One file of `phrases/`."""
    text = files("auto_lora.dialogues").joinpath(f"phrases/{name}.json").read_text(encoding="utf-8")
    value: dict[str, Any] = json.loads(text)
    return value


def bucket(*parts: object, of: int = 100) -> int:
    """A stable number below `of` for any values: what decides which split something is in."""
    digest = hashlib.blake2b("\x1f".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % of


def split_of(*parts: object) -> str:
    """The split a value belongs to: 70 % train, 10 % validation, 20 % test."""
    number = bucket(*parts)
    return "train" if number < 70 else "validation" if number < 80 else "test"


@cache
def frames_of(act: str, split: str) -> tuple[tuple[str, str], ...]:
    """(id, frame) pairs of an act in a split; of every seven, one is validation's, two are test's."""
    order = sorted(phrases("acts")[act]["frames"], key=lambda frame: bucket(act, frame, of=2**31))
    owners = ("train", "train", "validation", "train", "test", "train", "test")
    chosen = [
        (f"{act}/{bucket(frame, of=10**6)}", frame) for i, frame in enumerate(order) if owners[i % 7] == split
    ]
    return tuple(chosen)


def share_out(items: list[Any], split: str) -> list[Any]:
    """The part of a list that belongs to a split, by position; at least one for each of three."""
    owners = ("train", "train", "test", "train", "validation", "train", "test", "train", "train", "train")
    return [item for i, item in enumerate(items) if owners[i % 10] == split]


def words_of(name: str) -> list[str]:
    """`getUserName`, `get_user_name` and `get-user.name` as ["get", "user", "name"]."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return [w for w in re.split(r"[^A-Za-z0-9]+", spaced.lower()) if w]


@cache
def role_of(name: str, description: str, kind: str) -> str:
    """A parameter's role; "generic" when nothing fits."""
    spoken = " ".join(words_of(name))
    for text in (spoken, description.lower()):
        for role, cues in ROLE_WORDS:
            if any(re.search(rf"\b{re.escape(cue)}s?\b", text) for cue in cues) and _fits(role, kind):
                return _refined(role, description.lower())
    return "generic"


def _refined(role: str, description: str) -> str:
    """A text that is a message, a query that is SQL: the description decides between kin."""
    if role == "phrase" and "message" in description:
        return "message"
    return "sql" if role == "topic" and re.search(r"\bsql\b", description) else role


def _fits(role: str, kind: str) -> bool:
    numeric = {"temperature", "brightness", "volume", "percent", "duration", "money", "count"}
    texts_too = {"duration", "count", "identifier", "time", "date"}
    if kind in ("integer", "number"):
        return role in numeric or role in ("identifier",)
    return role not in numeric - texts_too


@cache
def act_of(name: str, description: str) -> tuple[str, str]:
    """(act, verb) of a tool: by the first verb of its name, then of its description."""
    verbs = {verb: act for act, entry in reversed(phrases("acts").items()) for verb in entry["verbs"]}
    named = words_of(name)
    if any(word in ("alarm", "reminder", "timer", "remind") for word in named):
        return "remind", "set"
    for words in (named, words_of(description)[:4]):
        for word in words:
            stem = word if word in verbs else word.removesuffix("s")
            if stem in verbs:
                return verbs[stem], _SPOKEN_VERBS.get(stem, stem)
    return "any", "do"


@cache
def objects_of(name: str, description: str) -> tuple[str, ...]:
    """Noun phrases for what a tool acts on: from its description and from its name."""
    _, verb = act_of(name, description)
    found = []
    first = re.split(_STOP, description.strip(), maxsplit=1)[0].split(maxsplit=1)
    if len(first) == 2 and len(first[1].split()) <= 4:
        found.append(
            first[1].strip().lower() if not any(c.isupper() for c in first[1][1:]) else first[1].strip()
        )
    named = [w for w in words_of(name) if w != verb]
    if named:
        found.append("the " + " ".join(named))
    return tuple(found) or (" ".join(words_of(name)),)


def tool_act(tool: ToolDefinition) -> tuple[str, str]:
    return act_of(tool.name, tool.description)


def is_state(schema: dict[str, Any]) -> bool:
    """An enum of states: on and off, open and closed."""
    values = schema.get("enum") or []
    return 2 <= len(values) <= 3 and all(isinstance(v, str) and v.lower() in STATES for v in values)
