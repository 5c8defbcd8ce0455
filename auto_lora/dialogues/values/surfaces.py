"""A value with its words, and the words of times and lists."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from auto_lora.dialogues.values.english import number_words

_ONES = [number_words(n) for n in range(20)]


@dataclass(frozen=True)
class Value:
    """A JSON value and the words for it.

    `role` says what kind of phrase it goes into, `parts` what is joined in it, `instead_of` what is said first and taken back.
    """

    json: Any
    surface: str
    role: str
    parts: tuple[str, ...] = ()
    instead_of: str = ""


def time_surfaces(hour: int, minute: int) -> list[str]:
    """Ways to say a time of day, each naming the half of the day."""
    half = "am" if hour < 12 else "pm"
    twelve = hour % 12 or 12
    part = (
        "in the morning"
        if hour < 12
        else "in the afternoon"
        if hour < 18
        else "in the evening"
        if hour < 22
        else "at night"
    )
    clock = f"{twelve}:{minute:02d}"
    forms = [f"{hour:02d}:{minute:02d}", f"{clock} {half}", f"{clock}{half}", f"{clock} {part}"]
    if minute == 0:
        forms += [
            f"{twelve} {half}",
            f"{twelve}{half}",
            f"{_ONES[twelve]} {half}",
            f"{twelve} o'clock {part}",
            f"{_ONES[twelve]} {part}",
        ]
    if minute == 30:
        forms += [f"half past {_ONES[twelve]} {part}", f"{_ONES[twelve]} thirty {half}"]
    if minute == 15:
        forms += [f"quarter past {_ONES[twelve]} {part}", f"{_ONES[twelve]} fifteen {half}"]
    if minute == 45:
        forms += [f"quarter to {_ONES[(hour + 1) % 12 or 12]} {part}"] if hour not in (11, 17, 21, 23) else []
    return forms


def join_words(parts: list[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}" if parts else ""


def plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value).replace("_", " ") if isinstance(value, str) else f"{value}"
