"""Times, places of one's own and deliveries as they stand in a sentence: "at noon", "on friday", "in may", "here"."""

from __future__ import annotations

import random
import re

BARE_TIMES = re.compile(
    r"(?:today|tomorrow|yesterday|tonight|next|this|every|in|at|on|after|before|around|by|between|now|right now|later|soon|the day|a week|"
    r"half an hour|during|early|late|each|for|from|until|since|weekly|daily|[\w-]+ (?:days?|weeks?|hours?|minutes?|months?|years?) from)\b",
    re.I,
)
_AT = re.compile(r"(?:noon|midday|midnight|dawn|dusk|sunrise|night)$", re.I)
_SEASON = re.compile(
    r"(?:january|february|march|april|may|june|july|august|september|october|november|december|winter|spring|summer|autumn|fall)$",
    re.I,
)
_HOUR = re.compile(
    r"^(?:breakfast|lunch|dinner|brunch)$|:\d\d|\d ?[ap]\.?m|o'clock|(?:half|quarter) (?:past|to) |^(?:\w+ )?\w+ [ap]\.?m|^\w+ (?:thirty|fifteen|forty five)|^(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)\b",
    re.I,
)
_CLOCK = re.compile(r"\d|[ap]\.?m\b|o'clock|(?:half|quarter) (?:past|to) ")
_PART = re.compile(r"(?:the )?(?:early |late )?(?:morning|afternoon|evening)$", re.I)
_WEEKDAY = re.compile(r"(?:mon|tues|wednes|thurs|fri|satur|sun)day$", re.I)


def timely(rng: random.Random, role: str, text: str) -> str | None:
    """A time, a place of one's own or a delivery with its preposition, where its words tell it; else None."""
    if role == "here" and (at := re.match(r"(my|our|this|the)\b.*?(area|town)?$", text, re.I)):
        return f"in {text}" if at[2] else f"at {text}"
    if role in ("date", "time", "when", "daypart", "frequency", "here") and (
        BARE_TIMES.match(text) or role in ("frequency", "here")
    ):
        return text
    part = _PART.match(text) is not None
    if role == "daypart" or (role in ("time", "when") and _AT.match(text)) or (role == "when" and part):
        said = part_of_day(text)
        return said if said != text else f"in the {text}"
    if role == "date" and _WEEKDAY.match(text) and rng.random() < 0.3:
        return text  # "wake me at six tuesday"
    if role == "date" and re.match(r"the (?:rest|next|week)", text):
        return f"for {text}"
    if role == "delivery" and re.match(r"to |for |delivered", text):
        return text
    if role == "when":
        before = "in" if _SEASON.match(text) else "at" if _HOUR.search(text) else "on"
        about = rng.choice(("around", "by")) if before == "at" and _CLOCK.search(text) else before
        return rng.choice([f"{before} {text}", f"{before} {text}", f"{about} {text}", f"for {text}"])
    return None


def part_of_day(text: str) -> str:
    """A part of the day as it stands after a day: "at noon", "in the morning", "this evening"."""
    if _AT.match(text):
        return f"at {text}"
    return f"in {text}" if text.startswith("the ") else text
