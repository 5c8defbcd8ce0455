"""Dates and times of day in the form that a definition asks for, said as people say them: "half past seven", "March 8th 2026"."""

from __future__ import annotations

import random
import re
from collections.abc import Container, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from jsonschema import Draft202012Validator

from auto_lora.catalog import ToolDefinition
from auto_lora.catalog.definition import per_tool
from auto_lora.dialogues.definitions.moments import (
    ISO,
    as_written,
    date_form,
    moment_form,
    read,
    time_form,
    told,
)
from auto_lora.dialogues.definitions.phrasebook import split_of
from auto_lora.dialogues.definitions.role_words import role_in
from auto_lora.dialogues.values.english import ordinal
from auto_lora.dialogues.values.surfaces import Value, time_surfaces

PAST = re.compile(
    r"birth|\bborn\b|\b(?:dob|released?|founded|histor\w+|death|purchased?|incidents?|loss|accidents?)(?![a-z])",
    re.I,
)
# What ends on the day it begins, and what does not.
_MET = re.compile(
    r"(?<![a-z])(?:events?|meetings?|appointments?|interviews?|calendar|meeting rooms?)(?![a-z])", re.I
)
_AWAY = re.compile(
    r"(?<![a-z])(?:rent\w*|rides?|trips?|travel\w*|leave|vacation|hotels?|cars?|conference|festival|history|metrics|logs?|search\w*|find|list\w*|get|fetch\w*)(?![a-z])",
    re.I,
)
_ROLES = frozenset("date time when start end daypart".split())
_FORMATS = frozenset("date time date-time".split())


def sample_date(
    rng: random.Random, split: str, schema: Mapping[str, Any], role: str, name: str = ""
) -> Value | None:
    """A date, a time of day or both in one, of the form that a schema asks for; None where it asks for none.

    Args:
        split: whose days may be drawn.
        name: the parameter's; a birthday lies in the past.
        role: the parameter's; where format or description do not say it, it says whether a day or a time is meant.
    """
    about = f"{schema.get('description', '')} {schema.get('pattern', '')} {schema.get('examples', '')}"
    form = schema.get("format", "")
    if role not in _ROLES and form not in _FORMATS:
        return None
    both, day, clock = moment_form(about), date_form(about), time_form(about)
    timed = role in ("time", "when") or (
        role in ("start", "end") and re.search(r"time", f"{name} {about}", re.I)
    )
    if timed and not both and not clock and ISO.search(about):
        both = "%Y-%m-%dT%H:%M:%S"
    first = 1940 if PAST.search(f"{name} {about}") else 2025
    if both or form == "date-time":
        zoned = form == "date-time" and both in ("", "%Y-%m-%dT%H:%M:%S")  # RFC 3339 wants an offset
        return _moment(rng, _day(rng, split, first), "%Y-%m-%dT%H:%M:%SZ" if zoned else both)
    if form == "time" or (clock and role != "date"):
        moment = _time_of_day(rng)
        written = as_written(moment, clock or ("%H:%M" if "pattern" in schema else "%H:%M:%S"))
        return Value(written, _spoken_time(rng, moment), "time")
    if form == "date" or (day and role not in ("time", "daypart")):
        moment, day = _day(rng, split, first), day or "%Y-%m-%d"
        return Value(as_written(moment, day), _spoken_date(rng, moment, day), "date")
    return None


@per_tool
def dated_alike(tool: ToolDefinition) -> dict[str, Any]:
    """A tool's parameters, dates without a form in that of another: a return is written as the departure is."""
    found = dict(tool.properties)
    dates = [
        n
        for n, s in found.items()
        if isinstance(s, Mapping) and s.get("type") == "string" and role_in(n, s, "string") in ("date", "start", "end")
        and not {"enum", "const", "pattern"} & s.keys()
    ]  # fmt: skip
    form = next(
        (f for n in dates if (f := date_form(told(found[n]))) and not moment_form(told(found[n]))), ""
    )
    timed = any(moment_form(told(found[n])) or time_form(told(found[n])) for n in dates)
    if form and not timed:
        for n in dates:
            if not date_form(told(found[n])) and not ISO.search(told(found[n])):
                found[n] = {**found[n], "description": f"{found[n].get('description', '')} ({form})"}
    return found


def in_order(
    rng: random.Random,
    split: str,
    values: Mapping[str, Value],
    schemas: Mapping[str, Any],
    fixed: Container[str] = (),
    tool_words: str = "",
) -> dict[str, Value]:
    """Values of which two are dates, the earlier first and the other within three weeks: nobody is away from March to January.

    Args:
        split: whose days may be drawn.
        values: in the order of their schema.
        fixed: names of values that stay as they are.
        tool_words: name and description of the tool; a meeting ends on the day it begins.
    """
    about = {n: told(schemas[n]) for n, v in values.items() if v.role in _ROLES and isinstance(v.json, str) and isinstance(schemas.get(n), Mapping)}  # fmt: skip
    moments = {
        n: moment for n in about if (moment := read(str(values[n].json), about[n])) and moment.year > 1900
    }
    closed = any(n in fixed or {"const", "enum"} & schemas[n].keys() for n in moments)
    if len(moments) != 2 or closed or any(PAST.search(f"{n} {about[n]}") for n in moments):
        return dict(values)
    (one, first), (other, last) = moments.items()
    found = dict(values)
    form = moment_form(about[other]) or date_form(about[other])
    if first > last:
        if form != (moment_form(about[one]) or date_form(about[one])):
            return found
        first, last = last, first
        found[one] = replace(values[other], role=values[one].role)
        found[other] = replace(values[one], role=values[other].role)
    timed = bool(moment_form(about[other]) and moment_form(about[one]))
    met = timed and _MET.search(tool_words) is not None and not _AWAY.search(tool_words)
    if (met or not (first < last <= first + timedelta(days=21))) and form:
        ends = _same_day(rng, first) if met and rng.random() < 0.95 else None
        last = ends or _soon_after(rng, split, first, timed)
        words = _spoken_date(rng, last, "%Y-%m-%d" if timed else form)
        span = [role_in(n, schemas[n], "string") for n in (one, other)] == ["start", "end"]
        if ends and span and rng.random() < 0.7:
            words = _spoken_time(rng, last)  # the day is said once
        elif moment_form(about[other]):
            words = f"{words} at {_spoken_time(rng, last)}"
        found[other] = replace(found[other], json=as_written(last, form), surface=words)
    fits = all(Draft202012Validator(schemas[n]).is_valid(found[n].json) for n in moments)
    return found if fits else dict(values)


def _same_day(rng: random.Random, first: datetime) -> datetime | None:
    """A quarter of an hour to four hours later; None where that would be another day."""
    ends = [first + timedelta(minutes=m) for m in (15, 30, 30, 45, 60, 60, 60, 90, 120, 180, 240)]
    able = [end for end in ends if end.date() == first.date()]
    return rng.choice(able) if able else None


def _soon_after(rng: random.Random, split: str, first: datetime, timed: bool) -> datetime:
    """Up to three weeks later, on a day of this split; with a time of day mostly some minutes or hours later."""
    if timed and rng.random() < 0.6:
        return first + timedelta(minutes=rng.choice([15, 30, 45, 60, 90, 120, 180, 240]))
    days = [first + timedelta(days=n) for n in rng.sample(range(1, 22), 21)]
    return next((day for day in days if split_of("value", day.date().isoformat()) == split), days[0])


def _moment(rng: random.Random, day: datetime, form: str) -> Value:
    clock = _time_of_day(rng)
    words = f"{_spoken_date(rng, day, '%Y-%m-%d')} at {_spoken_time(rng, clock)}"
    return Value(as_written(datetime.combine(day, clock.time()), form), words, "date")


def _time_of_day(rng: random.Random) -> datetime:
    minute = rng.choice([0, 0, 0, 15, 30, 30, 45, 5, 10, 20, 40, 50])
    return datetime(2025, 1, 1, rng.randint(5, 23), minute)


def _spoken_time(rng: random.Random, moment: datetime) -> str:
    return rng.choice(time_surfaces(moment.hour, moment.minute))


def _spoken_date(rng: random.Random, day: datetime, form: str) -> str:
    """A date in words, with its year; of a form without a day its month and year."""
    month, year, written = day.strftime("%B"), day.year, as_written(day, form)
    if "d" not in form:
        return rng.choice([f"{month} {year}", written])
    the = ordinal(day.day)
    named = [f"{month} {the} {year}", f"{day.day} {month} {year}", f"{month} {day.day}, {year}"]
    return rng.choice([*named, written, f"the {the} of {month} {year}"])


def _day(rng: random.Random, split: str, first: int) -> datetime:
    """A day of this split, if one comes up in 50 tries, from the first of that year up to the middle of 2027."""
    days = (datetime(2027, 6, 20) - datetime(first, 1, 1)).days
    for _ in range(50):
        day = datetime(first, 1, 1) + timedelta(days=rng.randrange(days))
        if split_of("value", day.date().isoformat()) == split:
            break
    return day
