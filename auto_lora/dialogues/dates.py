"""Dates and times of day in the form that a definition asks for, said as people say them: "half past seven", "March 8th 2026"."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from auto_lora.dialogues.moments import ISO, as_written, date_form, moment_form, read, time_form, told
from auto_lora.dialogues.phrasebook import split_of
from auto_lora.dialogues.pools import ordinal
from auto_lora.dialogues.surfaces import Value, time_surfaces

PAST = re.compile(r"birth|\bborn\b|\b(?:dob|released?|founded|histor\w+|death|purchased?)(?![a-z])", re.I)
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
    if role in ("time", "when") and not both and not clock and ISO.search(about):
        both = "%Y-%m-%dT%H:%M:%S"
    first = 1940 if PAST.search(f"{name} {about}") else 2025
    if both or form == "date-time":
        return _moment(rng, _day(rng, split, first), both or "%Y-%m-%dT%H:%M:%SZ")
    if form == "time" or (clock and role != "date"):
        moment = _time_of_day(rng)
        written = as_written(moment, clock or ("%H:%M" if "pattern" in schema else "%H:%M:%S"))
        return Value(written, _spoken_time(rng, moment), "time")
    if form == "date" or (day and role not in ("time", "daypart")):
        moment, day = _day(rng, split, first), day or "%Y-%m-%d"
        return Value(as_written(moment, day), _spoken_date(rng, moment, day), "date")
    return None


def in_order(
    rng: random.Random, split: str, values: Mapping[str, Value], schemas: Mapping[str, Any]
) -> dict[str, Value]:
    """Values of which two are dates, the earlier first and the other within three weeks: nobody is away from March to January.

    Args:
        split: whose days may be drawn.
        values: in the order of their schema.
    """
    about = {n: told(schemas[n]) for n, v in values.items() if v.role in _ROLES and isinstance(v.json, str) and isinstance(schemas.get(n), Mapping)}  # fmt: skip
    moments = {
        n: moment for n in about if (moment := read(str(values[n].json), about[n])) and moment.year > 1900
    }
    if len(moments) != 2 or any(PAST.search(f"{n} {about[n]}") for n in moments):
        return dict(values)
    (one, first), (other, last) = moments.items()
    found = dict(values)
    if first > last:
        first, last = last, first
        found[one], found[other] = (
            replace(values[other], role=values[one].role),
            replace(values[one], role=values[other].role),
        )
        if (moment_form(about[one]) or date_form(about[one])) != (
            moment_form(about[other]) or date_form(about[other])
        ):
            return dict(values)
    if (last - first).days <= 21 and last > first:
        return found
    form = moment_form(about[other]) or date_form(about[other])
    timed = bool(moment_form(about[other]) and moment_form(about[one]))
    if not form:
        return found
    days = [first + timedelta(days=n) for n in rng.sample(range(1, 22), 21)]
    if timed and rng.random() < 0.6:
        last = first + timedelta(minutes=rng.choice([15, 30, 45, 60, 90, 120, 180, 240]))
    else:
        last = next((day for day in days if split_of("value", day.date().isoformat()) == split), days[0])
    words = _spoken_date(rng, last, "%Y-%m-%d" if timed else form)
    if timed or moment_form(about[other]):
        words = f"{words} at {_spoken_time(rng, last)}"
    found[other] = replace(found[other], json=as_written(last, form), surface=words)
    return found


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
