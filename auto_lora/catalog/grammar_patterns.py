"""Regular expressions as llama.cpp's grammar compiler reads them (`_visit_pattern`).

It knows literals, `.`, classes, groups, alternatives and greedy repetition between `^` and `$`. JSON Schema
patterns match anywhere and have escapes and look-arounds; most can be said in what it knows.
"""

from __future__ import annotations

import re

MOST_REPETITIONS = 2000  # MAX_REPETITION_THRESHOLD of src/llama-grammar.cpp
_REST = (
    r'[^"\\]*'  # what may stand before and after a match; `.` would match the quote that ends a JSON string
)
_SOME = ": refused by some builds and not enforced by others"
_CLASSES = {
    "d": "[0-9]",
    "w": "[A-Za-z0-9_]",
    "s": "[ ]",
    "D": r'[^0-9"\\]',
    "W": r'[^A-Za-z0-9_"\\]',
    "S": r'[^ "\\]',
}
_IN_CLASS = {"d": "0-9", "w": "A-Za-z0-9_", "s": " "}
_KNOWN_ESCAPE = re.compile(r'\\(?:[trn\\"\[\]]|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4})')
_KNOWN_OUTSIDE = re.compile(r"\\[$^.()|{}*+?]")
_COUNT = re.compile(r"\{(\d+)(?:,(\d*))?\}")


class _Unknown(Exception):
    """The pattern says something that the compiler has no words for."""

    level = "warning"


class _Refused(_Unknown):
    level = "error"


def read_pattern(pattern: str) -> tuple[str, str, str]:
    """What becomes of a pattern: level of the finding, what is wrong, and a pattern that works.

    Returns:
        ("", "", pattern) for one that is taken as it is; an empty pattern where none is known that works.
    """
    try:
        works = _rewrite(pattern)
    except _Unknown as error:
        return error.level, str(error) + (_SOME if error.level == "warning" else ""), ""
    try:
        re.compile(works)
    except re.error as error:
        return "error", f"{pattern} is no regular expression ({error.msg}) and is refused", ""
    if works == pattern:
        return "", "", pattern
    if pattern.startswith("^") and pattern.endswith("\\$"):
        return "error", f"{pattern} ends in an escaped $ and is refused", works
    anchored = pattern.startswith("^") and pattern.endswith("$")
    reason = (
        "escapes, lazy repetition or alternatives it reads otherwise" if anchored else "no ^ or $ at its ends"
    )
    return "warning", f"{pattern} has {reason}{_SOME}", works


def _rewrite(pattern: str) -> str:
    """The same strings in the compiler's words, anchored at both ends; raises _Unknown."""
    alternatives = []
    for tokens in _alternatives(_tokens(pattern)):
        start = tokens[:1] == ["^"]
        end = tokens[-1:] == ["$"] and len(tokens) > start
        inner = tokens[start : len(tokens) - end]
        if "^" in inner or "$" in inner:
            raise _Unknown(f"{pattern} has ^ or $ inside")
        before, after = "" if start else _REST, "" if end or not (start or inner) else _REST
        alternatives.append(before + "".join(inner) + after)
    return f"^{alternatives[0]}$" if len(alternatives) == 1 else f"^({'|'.join(alternatives)})$"


def _alternatives(tokens: list[str]) -> list[list[str]]:
    """Split at each `|` outside groups."""
    out: list[list[str]] = [[]]
    depth = 0
    for token in tokens:
        depth += (token in ("(", "(?:")) - (token == ")")
        if token == "|" and depth == 0:
            out.append([])
        else:
            out[-1].append(token)
    return out


def _tokens(pattern: str) -> list[str]:
    out: list[str] = []
    at = 0
    while at < len(pattern):
        token, at = _token(pattern, at)
        out.append(token)
    return out


def _token(pattern: str, at: int) -> tuple[str, int]:
    """The next token in the compiler's words, and where the one after it begins."""
    c = pattern[at]
    if c == "\\":
        return _escape(pattern, at)
    if c == "[":
        return _class(pattern, at)
    if c == "(" and pattern.startswith("(?", at):
        if not pattern.startswith("(?:", at):
            kind = {"=": "look-ahead", "!": "look-ahead", "<": "look-behind or named group"}.get(
                pattern[at + 2 : at + 3]
            )
            raise _Unknown(f"{pattern} has a {kind or 'group option'}")
        return "(?:", at + 3
    if c not in "*+?{":
        return c, at + 1
    if c == "{":
        count = _COUNT.match(pattern, at)
        if count is None:
            raise _Unknown(f"{pattern} has a brace that is no count")
        if int(count[1]) >= MOST_REPETITIONS:
            raise _Refused(f"{pattern} repeats {count[1]} times, and {MOST_REPETITIONS} or more are refused")
        if count[2] and int(count[2]) >= MOST_REPETITIONS // 2:
            raise _Unknown(f"{pattern} repeats up to {count[2]} times")
        c = count[0]
    at += len(c)
    if pattern.startswith("+", at):
        raise _Unknown(f"{pattern} has possessive repetition")
    return c, at + pattern.startswith("?", at)  # greedy or lazy, the whole string is matched


def _escape(pattern: str, at: int) -> tuple[str, int]:
    for known in (_KNOWN_ESCAPE, _KNOWN_OUTSIDE):
        if match := known.match(pattern, at):
            return match[0], match.end()
    c = pattern[at + 1 : at + 2]
    if c in _CLASSES:
        return _CLASSES[c], at + 2
    if not c or c.isalnum():
        level = _Unknown if c else _Refused
        raise level(f"{pattern} has the escape \\{c}")
    return c, at + 2


def _class(pattern: str, at: int) -> tuple[str, int]:
    end = at + 1
    out = "["
    if pattern.startswith("^", end):
        out, end = "[^", end + 1
    while end < len(pattern) and pattern[end] != "]":
        if pattern[end] != "\\":
            out, end = out + pattern[end], end + 1
        elif match := _KNOWN_ESCAPE.match(pattern, end):
            out, end = out + match[0], match.end()
        else:
            c = pattern[end + 1 : end + 2]
            if not c or (c.isalnum() and c not in _IN_CLASS):
                raise _Unknown(f"{pattern} has the escape \\{c} in a class")
            out, end = out + _IN_CLASS.get(c, f"\\x{ord(c):02X}"), end + 2
    if end >= len(pattern):
        raise _Refused(f"{pattern} has a class without end and is refused")
    return out + "]", end + 1
