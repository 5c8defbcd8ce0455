"""Days, times of day, spans and years in the user's words: "October the 24th", "half past seven", "in two weeks", "the nineties"."""

from __future__ import annotations

import random
from collections.abc import Sequence

from auto_lora.dialogues.definitions.phrasebook import phrases
from auto_lora.dialogues.values.english import number_words, ordinal

DAYS = "monday tuesday wednesday thursday friday saturday sunday".split()
MONTHS = "January February March April May June July August September October November December".split()
# Days that stand in most requests with a day; no split goes without them.
EVERYDAY = ("today", "tomorrow", "tonight", "this week", "this weekend")
_SOON = 0.4  # of the days in a user's words


class SaidTimes:
    """Times as people say them.

    Args:
        rng: the source of all choices.
    """

    def __init__(self, rng: random.Random) -> None:
        self.random = rng

    def pick(self, items: Sequence[str]) -> str:
        return self.random.choice(items)

    def small_number(self, low: int, high: int) -> str:
        """Two times in five in words."""
        value = self.random.randint(low, high)
        return number_words(value) if self.random.random() < 0.4 else str(value)

    def day(self) -> str:
        weekday = self.pick(DAYS)
        weekday = weekday.capitalize() if self.random.random() < 0.5 else weekday
        if self.random.random() < _SOON:
            return self.pick([*EVERYDAY, *EVERYDAY[:2] * 3, weekday, weekday, f"this {weekday}"])
        if self.random.random() < 0.4:
            return self.calendar_day()
        return self.pick([
            "today", "tomorrow", "tomorrow", "the day after tomorrow", weekday, weekday, f"next {weekday}", f"this {weekday}", "this weekend", "next week", "this week", "the weekend",
            f"the {ordinal(self.random.randint(1, 28))}", f"in {self.small_number(2, 12)} days", f"{self.small_number(2, 9)} days from now", f"in {self.small_number(2, 8)} weeks", "next month", "yesterday", "tonight",
            f"a week from {weekday}", "christmas", "new year's eve", "the week", "the rest of the week", "the next few days",
        ])  # fmt: skip

    def calendar_day(self) -> str:
        """A day by its number and month, every third with its year: "October the 24th", "jul. 19, 2030", "12/26/2027"."""
        d, month, year = self.random.randint(1, 28), self.pick(MONTHS), self.random.randint(2024, 2034)
        if self.random.random() < 0.1:
            return f"{self.random.randint(1, 12)}/{d}/{year}"
        month = (
            self.pick([month, month, month.lower(), f"{month[:3]}.", f"{month[:3].lower()}.", month[:3]])
            if month != "May"
            else month
        )
        named = self.pick(
            [
                f"{month} {ordinal(d)}",
                f"{month} {d}",
                f"{month} the {ordinal(d)}",
                f"{d} {month}",
                f"the {ordinal(d)} of {month.strip('.')}",
            ]
        )
        return f"{named}{self.pick([', ', ' '])}{year}" if self.random.random() < 0.35 else named

    def past_date(self) -> str:
        day, month, year = self.random.randint(1, 28), self.pick(MONTHS), self.random.randint(1930, 2024)
        return self.pick(
            [
                f"{month} {day}, {year}",
                f"{day} {month} {year}",
                f"{month} {ordinal(day)} {year}",
                f"{day}/{self.random.randint(1, 12)}/{year}",
                f"{month} {year}",
            ]
        )

    def time(self) -> str:
        hour, minute = (
            self.random.randint(1, 12),
            self.pick(
                ["00", "15", "30", "45", "05", "10", "20", "40", "50", f"{self.random.randint(1, 59):02d}"]
            ),
        )
        half = self.pick(["am", "pm", " am", " pm", " a.m.", " p.m.", ""])
        word = number_words(hour)
        return self.pick([
            f"{hour}:{minute}{half}", f"{hour}:{minute}{half}", f"{hour}{half or ' pm'}", f"{hour} o'clock", f"{word} {self.pick(['am', 'pm', 'thirty', 'fifteen', 'forty five'])}", f"{word} {self.pick(['am', 'pm', 'a.m.', 'p.m.'])}",
            f"{word} {self.pick(['thirty', 'fifteen', 'forty five', 'ten', 'twenty'])} {self.pick(['am', 'pm'])}", f"{word} o'clock", f"half past {word}", f"quarter past {word}", f"quarter to {word}",
            "noon", "midnight", f"{self.small_number(2, 40)} minutes from now", f"{self.small_number(2, 11)} hours from now", f"{self.random.randint(13, 23)}:{minute}", f"{word}", f"{hour} in the {self.pick(['morning', 'afternoon', 'evening'])}", f"{hour}{half or 'am'}",
        ])  # fmt: skip

    def when(self) -> str:
        count, one = self.small_number(2, 45), self.pick(["1", "one"])
        clock = next((t for t in (self.time() for _ in range(5)) if not t.endswith("from now")), "noon")
        one_day = self.pick(["today", "tomorrow", "yesterday", *DAYS, f"next {self.pick(DAYS)}"])
        return self.pick([
            self.day(), self.day(), self.day(), *(self.calendar_day() for _ in range(4)), *(self.time() for _ in range(3)), f"{clock} {self.day()}", f"{self.day()} at {clock}", f"in {count} {self.pick(['minutes', 'hours', 'days', 'weeks', 'months', 'seconds', 'years'])}", f"{count} {self.pick(['minutes', 'hours', 'days', 'weeks', 'months'])} from now",
            self.pick(phrases("inventories")["daypart"]), f"{one_day} {self.pick(['morning', 'night', 'evening', 'afternoon'])}", f"{self.pick(['before', 'after'])} {clock}", "now", "right now", "later", "later today", "soon", clock, "during the week", "breakfast", "lunch", "dinner", "winter", f"{self.pick(MONTHS)}", "this afternoon", "next weekend", "in an hour", f"in {one} {self.pick(['minute', 'hour', 'day', 'week', 'month', 'year'])}", f"{one} {self.pick(['hour', 'day', 'week', 'month'])} from now",
        ])  # fmt: skip

    def duration(self) -> str:
        unit = self.pick(["minute", "minute", "hour", "second", "day", "week", "month", "year"])
        value = self.random.randint(2, 45)
        return self.pick(
            [
                f"{value} {unit}s",
                f"{number_words(value)} {unit}s",
                f"an hour and {value} minutes",
                "half an hour",
                f"{value}-{unit}",
            ]
        )

    def year(self) -> str:
        decade = self.random.randint(3, 9) * 10
        return self.pick(
            [
                str(self.random.randint(1920, 2026)),
                str(self.random.randint(1950, 2026)),
                f"{decade}s",
                f"19{decade}s",
                f"the {decade}s",
                f"the {number_words(decade)[:-1]}ies",
            ]
        )
