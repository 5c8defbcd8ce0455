"""Final answers without a judge: do they use the tool's result, do they invent numbers.

Both are counted by rule, so they are the same on every machine and miss what rules miss: an answer
that paraphrases a result counts as not using it, a number that exists but is out of place as not
invented. Base and adapter are counted by the same rule; the difference is what they are for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from auto_lora._conversation import Conversation
from auto_lora._intervals import proportion

_NUMBER = re.compile(
    r"(?P<digits>\d+(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)(?:\s*(?P<scale>%|percent\b|thousand\b|million\b|billion\b))?",
    re.IGNORECASE,
)
_SCALES = {"%": 0.01, "percent": 0.01, "thousand": 1e3, "million": 1e6, "billion": 1e9}
_LIST_MARK = re.compile(r"^\s*\d+[.)]\s", re.MULTILINE)
_AFTERNOON = re.compile(r"(?<!\d)(1[3-9]|2[0-3])(?=:\d\d)")


@dataclass(frozen=True)
class AnswerCheck:
    """One final answer against the results it had.

    Attributes:
        values: the results' numbers and strings that the request does not name already.
        used: those of them that appear in the answer.
        invented: numbers of the answer that neither request nor results hold.
    """

    values: tuple[Any, ...]
    used: tuple[Any, ...]
    invented: tuple[str, ...]


def check_answer(conversation: Conversation, answer: str) -> AnswerCheck:
    """Compares an answer with the conversation's tool results.

    Numbers are compared by size, sign left out: `1,840.50` is 1840.5, `3.4 million` is 3400000, `25 %` is
    0.25, 7 is the hour of 19:00, and a rounded number is the one it was rounded from. Words are compared
    without case, `_` and `-` read as spaces.
    """
    turn = conversation.final_turn()
    history = turn.history if turn else conversation.messages
    results = [_parsed(m["content"]) for m in history if m["role"] == "tool"]
    said = " ".join(str(m["content"] or "") for m in history if m["role"] != "tool")
    values = tuple(v for v in dict.fromkeys(_leaves(results)) if not _appears(v, said))
    known = [n for text in (said, *_strings(results)) for n in _numbers_of(text)]
    known += [abs(float(v)) for v in _leaves(results) if not isinstance(v, str)]
    known += [float(n) for n in _sizes(results)]
    stated = _NUMBER.finditer(_LIST_MARK.sub("", answer))
    invented = tuple(m.group().strip() for m in stated if not any(_same_number(m, n) for n in known))
    return AnswerCheck(values, tuple(v for v in values if _appears(v, answer)), invented)


def check_answers(conversations: Sequence[Conversation], answers: Mapping[str, str]) -> dict[str, Any]:
    """Counts `check_answer` over the conversations that were answered.

    Returns `{"asked", "uses_result", "values_used", "invents_numbers"}`: answers with at least one of the
    results' values, of those whose results hold one; all such values that appear; answers with at least
    one invented number. Each is a proportion with its interval.
    """
    checks = [check_answer(c, answers[c.id]) for c in conversations if c.id in answers]
    telling = [c for c in checks if c.values]
    return {
        "asked": len(checks),
        "uses_result": proportion(sum(bool(c.used) for c in telling), len(telling)),
        "values_used": proportion(sum(len(c.used) for c in telling), sum(len(c.values) for c in telling)),
        "invents_numbers": proportion(sum(bool(c.invented) for c in checks), len(checks)),
    }


def _parsed(content: Any) -> Any:
    try:
        return json.loads(content)
    except (TypeError, ValueError):
        return content


def _leaves(value: Any) -> Iterator[Any]:
    """Numbers and strings of a JSON value; true, false and null say nothing one could quote."""
    if isinstance(value, Mapping):
        for part in value.values():
            yield from _leaves(part)
    elif isinstance(value, list):
        for part in value:
            yield from _leaves(part)
    elif isinstance(value, (str, int, float)) and not isinstance(value, bool) and _plain(str(value)):
        yield value


def _sizes(value: Any) -> Iterator[int]:
    """How many entries lists have, which an answer may state."""
    if isinstance(value, list):
        yield len(value)
    for part in value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ():
        yield from _sizes(part)


def _strings(value: Any) -> Iterator[str]:
    return (v for v in _leaves(value) if isinstance(v, str))


def _appears(value: Any, text: str) -> bool:
    if isinstance(value, str):
        return re.search(rf"(?<!\w){re.escape(_plain(value))}(?!\w)", _plain(text)) is not None
    return any(_same_number(stated, abs(float(value))) for stated in _NUMBER.finditer(text))


def _plain(text: str) -> str:
    return " ".join(re.sub(r"[_\-]", " ", text.casefold()).split()).strip(" .,;:!?\"'")


def _numbers_of(text: str) -> list[float]:
    afternoon = [float(hour) - 12 for hour in _AFTERNOON.findall(text)]
    return [value for m in _NUMBER.finditer(text) for value, _ in _readings(m)] + afternoon


def _readings(match: re.Match[str]) -> list[tuple[float, float]]:
    """What a number in a text may mean, each with the size of its last place."""
    plain = match["digits"].replace(",", "")
    value, step = float(plain), 10.0 ** -len(plain.partition(".")[2])
    scale = _SCALES[match["scale"].casefold()] if match["scale"] else 1.0
    if scale > 1:
        return [(value * scale, step * scale)]
    return [(value, step)] + ([(value * scale, step * scale)] if scale < 1 else [])


def _same_number(stated: re.Match[str], known: float) -> bool:
    """Whether a stated number is the known one, or the known one rounded to as many places."""
    return any(abs(value - known) <= step / 2 * (1 + 1e-9) for value, step in _readings(stated))
