"""English forms of words: numbers in words, ordinals, plurals."""

from __future__ import annotations

import re

_ONES = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
_TENS = "zero ten twenty thirty forty fifty sixty seventy eighty ninety".split()
_IRREGULAR = {"person": "people", "child": "children", "man": "men", "woman": "women"}


def number_words(value: int) -> str:
    """0 to 99 in words."""
    if value < 20:
        return _ONES[value]
    tens, ones = divmod(value, 10)
    return _TENS[tens] + (f"-{_ONES[ones]}" if ones else "")


def ordinal(day: int) -> str:
    return f"{day}" + ("th" if 10 <= day % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th"))


def plural(noun: str) -> str:
    if noun in _IRREGULAR:
        return _IRREGULAR[noun]
    stem = re.sub(r"(?<=[^aeiou])y$", "ie", noun)
    return stem + ("es" if re.search(r"(?:s|x|z|ch|sh)$", noun) else "s")


def singular(noun: str) -> str:
    if noun in _IRREGULAR.values():
        return next(one for one, many in _IRREGULAR.items() if many == noun)
    if noun.endswith(("movies", "cookies", "calories", "caches", "aches", "series", "species")):
        return noun if noun.endswith(("series", "species")) else noun[:-1]
    noun = re.sub(r"(ss|sh|ch|x)es$", r"\1", re.sub("(?<=[a-z]{2})ies$", "y", noun))
    return noun if noun.endswith("ss") else noun.removesuffix("s")
