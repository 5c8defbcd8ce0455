"""A string that a regular expression matches, through Python's own parser of it."""

from __future__ import annotations

import random
import re
import string
from typing import Any


def from_pattern(pattern: str, rng: random.Random) -> str:
    """A string that a regular expression matches, through Python's own parser of it.

    Raises:
        ValueError: none came up in 50 tries (look-arounds, back references).
    """
    for _ in range(50):
        made = "".join(_expand(_parse(pattern), rng))
        if re.search(pattern, made):
            return made
    raise ValueError(f"no string was found for the pattern {pattern}")


def _parse(pattern: str) -> Any:
    try:
        from re import _parser as parser  # type: ignore[attr-defined]
    except ImportError:  # Python 3.10
        import sre_parse as parser

    return parser.parse(pattern)


def _expand(tokens: Any, rng: random.Random) -> list[str]:
    out: list[str] = []
    for op, argument in tokens:
        name = str(op)
        if name == "LITERAL":
            out.append(chr(argument))
        elif name == "ANY":
            out.append(rng.choice(string.ascii_lowercase))
        elif name == "IN":
            out.append(_from_set(argument, rng))
        elif name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            low, high, inner = argument
            for _ in range(rng.randint(low, min(int(high), low + 4))):
                out += _expand(inner, rng)
        elif name == "SUBPATTERN":
            out += _expand(argument[3], rng)
        elif name == "BRANCH":
            out += _expand(rng.choice(argument[1]), rng)
        elif name == "CATEGORY":
            out.append(_of_category(str(argument), rng))
        elif name == "NOT_LITERAL":
            out.append(rng.choice([c for c in string.ascii_lowercase if ord(c) != argument]))
    return out


def _from_set(members: Any, rng: random.Random) -> str:
    chars: list[str] = []
    negated = False
    for op, argument in members:
        name = str(op)
        if name == "NEGATE":
            negated = True
        elif name == "LITERAL":
            chars.append(chr(argument))
        elif name == "RANGE":
            chars += [chr(c) for c in range(argument[0], min(argument[1], argument[0] + 500) + 1)]
        elif name == "CATEGORY":
            chars += _category_chars(str(argument))
    if negated:
        chars = [c for c in string.ascii_letters + string.digits if c not in chars]
    return rng.choice(chars or ["a"])


def _category_chars(name: str) -> list[str]:
    table = {"DIGIT": string.digits, "WORD": string.ascii_letters + string.digits, "SPACE": " "}
    return list(
        next(
            (v for k, v in table.items() if name.endswith(f"_{k}") and "NOT" not in name),
            string.ascii_letters,
        )
    )


def _of_category(name: str, rng: random.Random) -> str:
    return rng.choice(_category_chars(name))
