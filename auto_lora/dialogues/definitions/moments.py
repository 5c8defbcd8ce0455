"""How a definition wants dates and times written: "in the format MM/DD/YYYY", "%Y-%m-%d", "ISO 8601", "such as 7:30 PM".

Forms are those of `strftime`, with %-d, %-m and %-I for numbers without a zero before them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cache
from typing import Any

_PARTS = {"yyyy": "%Y", "yy": "%y", "mm": "%m", "dd": "%d", "d": "%-d", "m": "%-m"}
_TOKEN = r"(yyyy|mm|dd|yy|m|d)"
_TOKENS = re.compile(rf"(?<![A-Za-z:%]){_TOKEN}([-/.]?){_TOKEN}(?:\2{_TOKEN})?(?!(?!T'?hh)[A-Za-z]|:)", re.I)
_DIRECTIVES = re.compile(r"%[YymdbB](?:[-/. ,]*%[YymdbB])+")
ISO = re.compile(r"\bISO[- ]?8|\bISO (?:date|time|format|string)", re.I)
_ISO_EXAMPLE = re.compile(r"\b\d{4}-\d\d-\d\d(?!\d)")
_SLASHED = re.compile(r"\b(\d\d?)([/.-])(\d\d?)\2\d{4}\b")
_CLOCK = re.compile(
    r"(?<![A-SU-Za-su-z])hh?:mm(:ss)?(?![A-Yb-y])|(?<![\d:])\d\d?:\d\d(:\d\d)?(?![\d:])|%[HI]:%M(:%S)?", re.I
)
_HALVES = re.compile(r"(?<![a-z])(?:am|pm|a\.m\.|p\.m\.)(?![a-z])|mm a\b|12.?hour|%I", re.I)
_STAMPED = re.compile(r"\btime ?stamp|\bdate.?time\b|\bdate and time\b", re.I)


def _date_forms(about: str) -> Iterator[tuple[str, int]]:
    """Forms of dates that a text names, and where each ends."""
    for found in _DIRECTIVES.finditer(about):
        yield found[0], found.end()
    for found in _TOKENS.finditer(about):
        tokens = [t.lower() for t in (found[1], found[3], found[4]) if t]
        named = {t[0] for t in tokens}
        if len(named) == len(tokens) and {"m", "y"} <= named:
            yield found[2].join(_PARTS[t] for t in tokens), found.end()
    for found in _ISO_EXAMPLE.finditer(about):
        yield "%Y-%m-%d", found.end()
    for found in _SLASHED.finditer(about):  # 10/11/2024 tells the day from the month in no way
        if int(found[1]) > 12 or int(found[3]) > 12:
            order = ("%d", "%m", "%Y") if int(found[1]) > 12 else ("%m", "%d", "%Y")
            yield found[2].join(order), found.end()
    for found in ISO.finditer(about):
        yield "%Y-%m-%d", found.end()


@cache
def date_form(about: str) -> str:
    """The form that a text asks dates to be written in, also months of a year (MM/YY); "" where it names none."""
    return next(_date_forms(about), ("", 0))[0]


@cache
def time_form(about: str) -> str:
    """The form that a text asks times of day to be written in, such as "%H:%M"; "" where it names none."""
    found = _CLOCK.search(about)
    if not found:
        return "%H:%M" if re.search(r"24.?hour", about, re.I) else ""
    seconds = ":%S" if any(found.groups()) else ""
    if not _HALVES.search(about):
        return f"%H:%M{seconds}"
    hour = "%-I" if re.match(r"[h\d]:", found[0], re.I) else "%I"
    spaced = re.match(r" (?:[ap]|%p)", about[found.end() :], re.I)
    return f"{hour}:%M{seconds}{' ' if spaced else ''}%p"


@cache
def moment_form(about: str) -> str:
    """The form of a date with a time, where a text asks for both in one value; "" where it does not."""
    clock = _CLOCK.search(about)
    for day, end in _date_forms(about):
        between = about[end : clock.start()].strip("'\"") if clock and clock.start() >= end else None
        if clock and between in ("T", " ", ", "):
            return f"{day}{between}{time_form(about)}" + "Z" * (about[clock.end() : clock.end() + 1] == "Z")
    stamped = ISO.search(about) and _STAMPED.search(about)
    return "%Y-%m-%dT%H:%M:%S" if stamped else ""


def told(schema: Mapping[str, Any]) -> str:
    """A schema's description with the form that its `format` stands for."""
    form = {"date": "YYYY-MM-DD", "date-time": "YYYY-MM-DDTHH:MM:SSZ", "time": "HH:MM:SS"}
    return f"{schema.get('description', '')} {form.get(str(schema.get('format')), '')}".strip()


def read(text: str, about: str) -> datetime | None:
    """The moment that a text says in the form that `about` asks for; None where it does not."""
    for form in filter(None, (moment_form(about), date_form(about), time_form(about), "%Y-%m-%dT%H:%M:%S")):
        try:
            return datetime.strptime(text, form.replace("%-", "%"))
        except ValueError:
            continue
    return None


def asked_for(about: str) -> str:
    """ "date", "time" or "when" (both), where a text gives a form with letters or directives, not by example; "" otherwise."""
    lettered = re.sub(r"(?<!ISO.)\d", "#", about)
    if moment_form(lettered):
        return "when"
    return "date" if date_form(lettered) else "time" if _CLOCK.search(lettered) else ""


def as_written(moment: datetime, form: str) -> str:
    """A moment written in a form."""
    for directive, number in (("%-d", moment.day), ("%-m", moment.month), ("%-I", moment.hour % 12 or 12)):
        form = form.replace(directive, str(number))
    return moment.strftime(form)
