"""Values that a parameter's description names: "such as red or blue", "'list' or 'dictionary'", "metric or imperial"."""

from __future__ import annotations

import re
from functools import cache

from auto_lora.dialogues.definitions.phrasebook import UNSAID
from auto_lora.dialogues.definitions.role_words import role_of

_MADE_OF = frozenset(
    "place region country address person date time latitude longitude phone email url title number".split()
)
# What explains a value and is none: "(max 400 chars, 50 words)", "(username or organization)".
_EXPLAINS = re.compile(
    r"\b(?:max|min|maximum|minimum|chars?|characters?|words|bytes|optional|required|default)\b|\d+ \w+s\b",
    re.I,
)
_TYPES = frozenset("username email identifier url phone".split())
_QUOTED = re.compile(r"""(?<![\w])(['"`])([^'"`]{1,40}?)\1(?!\w)""")


@cache
def described_values(description: str) -> tuple[str, ...]:
    """Example values that a description lists: "Kind of thing: song, album...", "such as red or blue", "(a, b, c)", "'list' or 'dictionary'".

    Also a description that is nothing but a list.
    """
    quoted = tuple(
        dict.fromkeys(m[2] for m in _QUOTED.finditer(description) if not _is_form(description[: m.start()]))
    )
    quoted = tuple(q for q in quoted if q not in UNSAID)
    if shows_town(description):
        return ()  # one place, not two values
    if len(quoted) >= 2 and not any("," in q for q in quoted):
        return quoted
    found = re.search(
        r"(?::|such as|e\.g\.,?|for example,?|like|\()\s*([^.:()]+(?:,|\bor\b)[^.:()]+)", description
    )
    if not found and (either := alternatives(description)):
        return either
    if not found and description.count(",") < 2:
        return ()
    if re.search(r"\b(?:can be|either)\b[^.]*$", description[: found.start()] if found else "", re.I):
        return ()
    parts = [p.strip(" .'\"") for p in re.split(r",|\bor\b|\band\b", found[1] if found else description)]
    # Not a bare list of values ("shuffle, repeat, next."): a sentence, or what a value is made of ("street, city, country").
    if not found and any(len(p.split()) > 2 or role_of(p, "", "string") in _MADE_OF for p in parts):
        return ()
    roles = [role_of(p, "", "string") for p in parts]
    whose = roles.count("org") * 2 >= len(parts)  # "restaurant, bar, diner" are kinds of place
    if whose or any(map(_EXPLAINS.search, parts)) or _TYPES.intersection(roles):
        return ()
    kept = tuple(
        p for p in parts if p and len(p.split()) <= 3 and p not in ("etc", "...") and "default" not in p
    )
    return kept if len(kept) >= 2 else ()


_LISTED = re.compile(r"(?:[\w/-]+(?: [\w/-]+)?, )*[\w/-]+(?: [\w/-]+)?,? or [\w/-]+(?: [\w/-]+)?\.?")
_BY_DEFAULT = re.compile(r"[.;,]? *\(?\bdefaults?\b.*$", re.I | re.S)
# Not values but what a value is: "Word or phrase".
_CONTENT = re.compile(
    r"\b(?:words?|phrases?|sentences?|lines?|numbers?|symbols?|objects?|values?|strings?|things?|categor(?:y|ies)|terms?|kinds?|types?|list|array|keys?)\b",
    re.I,
)


def alternatives(description: str) -> tuple[str, ...]:
    """The values of a description that is nothing but these: "one-way or round-trip", none of "City or ZIP code"."""
    description = _BY_DEFAULT.sub("", description).strip()
    if not _LISTED.fullmatch(description) or _CONTENT.search(description):
        return ()
    first, *others = (p.strip(" .") for p in re.split(r",? or |, ", description))
    parts = (first.lower() if all(map(str.islower, others)) else first, *others)
    named = [role_of(p, "", "string") != "generic" for p in parts]
    # "bullets, paragraph or tldr", but not "name, email or phone".
    return parts if not any(named) or (len(parts) > 2 and sum(named) == 1) else ()


_TOWN = re.compile(
    r"(?:e\.g\.,?|such as|like|example:?|\()\W*[A-Z][a-z.]+(?: [A-Z][a-z.]+)*, ?[A-Z]{2}(?![A-Za-z])"
)


def shows_town(description: str) -> bool:
    """Whether a description shows a town with its state: "such as 'Fremont, CA'"."""
    return _TOWN.search(description) is not None


def _is_form(before: str) -> bool:
    """Whether what is quoted next says how a value is written, not which values there are: "in the format 'City, State'"."""
    return (
        re.search(r"\b(?:format|form|formatted|written|like this)\W+(?:of|as|is)?\W*$", before, re.I)
        is not None
    )
