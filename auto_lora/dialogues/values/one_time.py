"""Days, hours and parts of the day that say one time: nobody asks for "noon in the evening"."""

from __future__ import annotations

import random
import re

from auto_lora.catalog import ToolDefinition
from auto_lora.dialogues.values.surfaces import Value

_AN_HOUR = re.compile(r"(?!noon|mid)[a-z]+|\d+ o'clock|(?:half|quarter) (?:past|to) \w+", re.I)
_HOURS_OF = {
    "morning": re.compile(r"(?<!:)\b(?:[5-9]|1[01]|five|six|seven|eight|nine|ten|eleven) ?a\.?m\b", re.I),
    "afternoon": re.compile(r"(?<!:)\b(?:[1-5]|one|two|three|four|five) ?p\.?m\b", re.I),
    "evening": re.compile(r"(?<!:)\b(?:[5-9]|five|six|seven|eight|nine) ?p\.?m\b", re.I),
    "night": re.compile(r"(?<!:)\b(?:[7-9]|1[01]|seven|eight|nine|ten|eleven) ?p\.?m\b", re.I),
}
_SPAN = re.compile(r"(?:the|this|next|the rest of the) (?:week|weekend|month)|the next few days", re.I)


def at_one_time(rng: random.Random, values: dict[str, Value], tool: ToolDefinition) -> dict[str, Value]:
    """Values without what says the time twice or otherwise: neither "tomorrow this morning" nor "next week at noon"."""
    day, clock, part = (
        next((n for n, v in values.items() if v.role == role), None) for role in ("date", "time", "daypart")
    )
    said: set[str | None] = set()
    if clock and values[clock].surface.endswith("from now"):
        said |= {day, part}
    elif clock and day and _SPAN.fullmatch(values[day].surface):
        said.add(clock if rng.random() < 0.7 else day)  # what is at three for the rest of the week?
    if part and day:
        this = re.match(r"this |later |tonight", values[part].surface, re.I)
        if values[day].surface.lower() == "tonight" or (this and values[day].surface.lower() != "today"):
            said.add(part)
    if part and clock and part not in said:
        hour = _AN_HOUR.fullmatch(values[clock].surface) or _of_part(values[clock], values[part])
        whole = not re.search(r"noon$|mid|dawn|dusk|sunrise", values[part].surface, re.I)
        if not (hour and whole) or rng.random() < 0.3:
            said.add(part if rng.random() < 0.7 else clock)
    return {n: v for n, v in values.items() if n not in said or n in tool.required}


def _of_part(clock: Value, part: Value) -> bool:
    """Whether a whole hour with am or pm is of that part of the day: "six am tomorrow morning"."""
    hours = (hours for word, hours in _HOURS_OF.items() if part.surface.lower().endswith(word))
    return any(h.search(clock.surface) for h in hours)
