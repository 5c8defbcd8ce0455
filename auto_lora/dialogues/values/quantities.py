"""Numbers of a size that what they count may have: 45 million shares, 70 kg, an hour below 24."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from typing import Any

from auto_lora.dialogues.definitions.phrasebook import phrases, words_of
from auto_lora.dialogues.definitions.units import unit_forms
from auto_lora.dialogues.values.compounding import compounded
from auto_lora.dialogues.values.money import changed_by, goes_both_ways, is_minor, minor_amount
from auto_lora.dialogues.values.said_numbers import FRACTION, said_number, unit_in
from auto_lora.dialogues.values.sizes import is_body_height, is_sum, usual_limits
from auto_lora.dialogues.values.spans import MOMENTS, USUAL_SPANS, said_span, unit_of
from auto_lora.dialogues.values.surfaces import Value

_LIMITS = frozenset("minimum maximum exclusiveMinimum exclusiveMaximum multipleOf".split())
_NUMBER = r"(-?\d+(?:\.\d+)?)"
_RANGE = re.compile(
    rf"(?:\brange[sd]?|\bbetween|\bfrom|\bscale|\bvalues?)\D{{0,24}}?{_NUMBER}(?:%|\s)*(?:to|and|-|\u2013)\s*{_NUMBER}|\({_NUMBER}%?\s*(?:to|-|\u2013)\s*{_NUMBER}[^)\d]*\)",
    re.I,
)
_LARGE = re.compile(
    r"\b(?:shares|shareholders?|revenue|turnover|population|payout|assets|equity|market cap|net income|dividends)\b",
    re.I,
)
_DEFAULT = re.compile(r"\bdefaults?(?: value)?(?: is| to|s to|:|=)? ?(-?\d+(?:\.\d+)?)(?![\d.]*[%\w])", re.I)
# "e.g. -2", but neither "e.g. 2023-01-05" nor "e.g. 1, 2, 3".
_EXAMPLE = re.compile(r"\b(?:e\.g\.?,?|for example,?) ?(-?\d+(?:\.\d+)?)(?![\d.]*[%\w:/-]|,? ?\d)")
_MONTHS = "January February March April May June July August September October November December".split()
_SLOW = re.compile(
    r"\binterest|\bgrowth|\binflation|\byield|\bapr\b|\bmortgage|\bannual r|\breturn|\bdiscount rate|\bcost of capital",
    re.I,
)
_SUMS = re.compile(
    r"\b(?:loan|mortgage|principal|house|property|salary|income|(?:gross|net) pay|wage|invest\w*)\b", re.I
)
_TIP = re.compile(r"\b(?:tip|gratuity|vat|sales tax)\b", re.I)
_FOR_SALE = re.compile(
    r"\b(?:used|new|second.?hand) (?:cars?|vehicles?)\b|\b(?:cars?|vehicles?) (?:for sale|listings?|to buy)\b",
    re.I,
)
_EARNED = re.compile(r"\bexpected returns?\b|\breturns? (?:of|on)\b", re.I)
_PRICED = re.compile(r"\b(?:price|cost|fee|fare|tip|bill)\b", re.I)
_PAID_DAILY = re.compile(
    r"\b(?:bills?|refund\w*|tip|order|expense|send_money|transfer\w*|split)\b|transfer_|_bill|\brequests? (?:an? |some )?(?:amount of )?(?:money|payments?)\b",
    re.I,
)
_BOUNDED = re.compile(r"\b(?:hour|day|minute|latitude|longitude|angle|lat|lon)\b")
_POSITIVE = re.compile(r"\b(?:side|length|mass|radius|height|width|distance|speed|time)s?\b", re.I)
_BELOW_ONE = re.compile(r"\b(?:e\.g\.|example|such as|like|default\w*)\W+(?:to |is )?0?\.\d", re.I)
_SIGNED = re.compile(r"\b(?:[a-cx-z]|x\d|y\d|coefficient|coordinate)\b", re.I)
_CHANGES = frozenset("count generic number".split())
# Numbers of things that come whole.
_WHOLE = re.compile(
    r"\b(?:page|pages|limit|count|size|length|index|offset|id|number|lines?|width|height|pixels|max|priority|results?|milestone|head|tail|depth|retries|port|rows?|columns?|quantity|qty)\b"
)


def sample_number(
    rng: random.Random, schema: Mapping[str, Any], kind: str, role: str, name: str, tool_words: str
) -> Value:
    """A number that fits a schema, of a size that what it counts may have, with its words.

    Args:
        kind: "integer" or "number".
        tool_words: name and description of the tool; one that speaks of currency has its unit elsewhere.
    """
    about = " ".join([*words_of(name), str(schema.get("description", ""))])
    if role in ("latitude", "longitude"):
        return _coordinate(rng, schema, kind, role)
    if (
        kind == "integer"
        and (words_of(name) or [""])[-1] == "month"
        and "per" not in words_of(name)
        and not re.search(r"\bnumber of|\bper month", about, re.I)
        and not (_LIMITS & schema.keys())
    ):
        month = rng.randint(1, 12)
        return Value(month, rng.choice([_MONTHS[month - 1]] * 3 + [str(month)]), "month")
    if is_minor(name, schema, role) and (
        cents := minor_amount(rng, name, schema, priced="currency" in tool_words.lower())
    ):
        return cents
    if kind == "integer" and role in _CHANGES and goes_both_ways(name, schema):
        return changed_by(rng, schema)
    if role in _CHANGES | {"frequency", "year"} and (often := compounded(rng, schema, about)):
        return often
    constant = _CONSTANT.search(about)
    if constant and kind == "number" and not (_LIMITS & schema.keys()):
        return Value(float(constant[1]), constant[1], role)
    described = _described_range(str(schema.get("description", "")))
    if role == "level" and rng.random() < _AT_AN_END and (end := _end_of_scale(rng, {**described, **schema})):
        return end
    known = described or _BOUNDED.search(" ".join(words_of(name))) or is_body_height(name, about, tool_words)
    near = {} if known or _DIGITS_AFTER.search(about) else _near_default(schema, kind, role)
    if not described and not (_LIMITS & schema.keys()):
        near = near or usual_limits(rng, kind, role, name, about, tool_words)
        role = "amount" if role == "generic" and is_sum(name, about, tool_words) else role
    schema = {**near, **described, **schema}
    if not (_LIMITS & schema.keys()) and _SEARCHED.search(about) and not _CIRCLE.search(tool_words):
        metres = re.search(r"\bm\b|\bmet(?:er|re)s?\b|\bfeet\b|\byards?\b", about, re.I)
        schema = {**schema, **({"minimum": 1, "maximum": 50} if not metres else _WALKED)}
    if role == "age" and not (_LIMITS & schema.keys()) and _GROWN.search(f"{about} {tool_words}"):
        schema = {**schema, "minimum": 18, "maximum": 75}
    whole = _WHOLE.search(" ".join(words_of(name))) and not is_body_height(name, about, tool_words)
    if kind == "number" and role not in ("temperature", "rating") and whole:
        kind = "integer"  # TypeScript has no other word for it
    if kind == "integer" and _BYTES.search(about) and not (_LIMITS & schema.keys()):
        return _bytes(rng, role)
    parts = 0.9 if _BELOW_ONE.search(about) else 0.25
    timed = role in ("duration", "timeout")
    unit = unit_of(name, schema, role) if timed else ""
    if unit == "millisecond" and not (_LIMITS & schema.keys()):
        moment = said_number(rng, rng.choice(MOMENTS), role, schema, name, tool_words)
        return said_span(rng, schema, unit, role) or moment
    if timed and kind == "number" and not (_LIMITS & schema.keys()) and rng.random() < parts:
        return said_number(rng, rng.randint(1, 49) / 10, role, schema, name, tool_words)  # "0.5 seconds"
    if timed and (span := said_span(rng, schema, unit, role)):
        return span
    if role in ("percent", "level") and kind == "number" and FRACTION.search(about):
        slow = _SLOW.search(about) or re.search(r"interest|loan|mortgage", tool_words, re.I)
        schema = {"minimum": 0.01, "maximum": 0.15 if slow else 0.99, **schema}
    if role == "year" and re.search(
        r"\benrol|\bsemester|\btuition|\bacademic", f"{about} {tool_words}", re.I
    ):
        schema = {"minimum": 2019, "maximum": 2027, **schema}
    low, high = _bounds(schema, kind, role, about, unit)
    usual = USUAL_SPANS.get(unit, (5, 60))[1]
    if timed and low < usual < high / 2 and rng.random() < 0.75:
        high = usual  # a timer may run for ten hours, and rarely does
    rate = any(what.search(about) for _, what in _LAID_OUT)
    free = (
        not rate
        and not _DIGITS_AFTER.search(about)
        and role in ("generic", "number", "amount", "capacity", "count")
        and not (_LIMITS & schema.keys())
    )
    wide = _wide(rng, kind, role, name, about, tool_words) if free else None
    if wide is not None:
        return said_number(rng, wide, role, schema, name, tool_words)
    if kind == "number" and 0 < high - low <= 1 and not schema.get("multipleOf"):
        value = round(low + (high - low) * rng.randint(1, 99) / 100, 2)
        return said_number(rng, min(max(value, low), high), role, schema, name, tool_words)
    step = schema.get("multipleOf") or (
        1 if kind == "integer" or high - low > 40 or role == "temperature" else 0.5
    )
    halves = kind == "number" and role == "temperature" and not schema.get("multipleOf")
    if halves and rng.random() < 0.3:
        step = 0.5
    first, last = -(-low // step), high // step
    if last - first > 30 and step == 1 and rng.random() < 0.5:
        step, first, last = 5, -(-low // 5), high // 5
    return said_number(
        rng, rng.randint(int(first), max(int(first), int(last))) * step, role, schema, name, tool_words
    )


# Where -1 stands for no number at all.
_NO_LIMIT = re.compile(r"\b(?:all|unlimited|no|none|infinit\w+|disable\w*|max\w*|limit|last|index)\b", re.I)
# A constant of nature as it is written: "Default is 8.99e9".
_CONSTANT = re.compile(r"\bdefaults?(?: value)?(?: is| to|s to|:|=)? ?(\d+(?:\.\d+)?e[+-]?\d+)\b", re.I)
# How exact a result is to be; "as a decimal" is a rate.
_DIGITS_AFTER = re.compile(r"\bprecision\b|\bdecimals\b|\bdecimal (?:places|digits|points?)\b", re.I)


def _near_default(schema: Mapping[str, Any], kind: str, role: str) -> dict[str, float]:
    """Limits about a default, where there are no others: a width of some hundreds, if it is 800 by default.

    Also one that only the description names, or without one its example: "Default is 9.81", "e.g. -2".
    """
    given = schema.get("default")
    named = _DEFAULT.search(str(schema.get("description", "")))
    if role in ("generic", "number") and given is None and named is None:
        named = _EXAMPLE.search(str(schema.get("description", "")))
    if given is None and named:
        given = float(named[1])
    if role == "percent" and isinstance(given, float) and 0 < given < 1 and not (_LIMITS & schema.keys()):
        return {"minimum": round(given / 3, 3), "maximum": min(given * 3, 1.0)}
    if (
        not isinstance(given, (int, float))
        or isinstance(given, bool)
        or role in ("year", "percent", "level", "rating", "temperature", "age", "latitude", "longitude")
        or _LIMITS & schema.keys()
    ):
        return {}
    about = str(schema.get("description", ""))
    if given < 0 and named and role in ("generic", "number") and not _NO_LIMIT.search(about):  # a penalty
        return {"minimum": 4 * given, "maximum": given if kind == "integer" else given / 4}
    if given <= 0 or (given < 4 and float(given).is_integer()):
        return {"minimum": 1, "maximum": 12} if given > 0 and named else {}
    if kind == "integer":
        # A quality of 85 is one of 100.
        return {"minimum": max(1, given // 4), "maximum": 100 if 50 < given <= 100 else given * 4}
    return {"minimum": round(given / 4, 6), "maximum": min(given * 4, 1.0) if given < 1 else given * 4}


def _described_range(description: str) -> dict[str, float]:
    """The limits that a description names: "Values range from 0 to 100", "(1-5)", "between 0 and 1"."""
    for found in _RANGE.finditer(description):
        low, high = (float(n) for n in found.groups() if n is not None)
        if low < high:
            return {"minimum": low, "maximum": high}
    most = re.search(
        r"\b(?:max(?:imum)?|up to|at most)\.?\s*(?:of\s*|is\s*|:\s*|=\s*)?(\d{1,6})(?![\d.]*\s*(?:char|word|byte))",
        description,
        re.I,
    )
    if most and float(most[1]) >= 1:
        return {
            "minimum": 0.0 if re.search(r"default:?\s*0\b", description) else 1.0,
            "maximum": float(most[1]),
        }
    return {}


_NOWADAYS = re.compile(r"\bcurrent year|\bthis year|\bfiscal|\bleave\b|\bvacation|\bbudget|\btax year", re.I)
# Numbers of layout, and rates.
_LAID_OUT = tuple(
    (size, re.compile(rf"\b(?:{what})\b", re.I))
    for size, what in (((1, 8), "indent\\w*(?: size| width)?|tab (?:size|width)"), ((60, 140), "line (?:width|length)|print width"), ((72, 600), "dpi"), ((0, 20), "(?:column|row) index"), ((8, 1000), "gb|gib|gigabytes"), ((1, 16), "hours? per day"), ((1, 7), "days? per week"), ((1, 60), "minutes? per hour"))
)  # fmt: skip
# How far around one looks for something; what has a radius of its own is a circle.
_SEARCHED = re.compile(
    r"\bradius\b|\bmax(?:imum)? distance\b|\bwithin\b.*\b(?:km|kilomet|miles?|met(?:er|re)s)", re.I
)
_CIRCLE = re.compile(
    r"\b(?:circ\w+|spher\w+|cylind\w+|cones?|area|volume|orbit\w*|wheel|arc|planet|field|force)\b", re.I
)
_GROWN = re.compile(
    r"\b(?:driv\w+|rent\w*|hir\w+|dat(?:e|ing)|loans?|mortgage|insur\w+|employ\w+|borrow\w*|voter|spouse)\b",
    re.I,
)
_WALKED = {"minimum": 100, "maximum": 5000, "multipleOf": 100}
_BYTES = re.compile(r"\bbytes?\b", re.I)


def _bytes(rng: random.Random, role: str) -> Value:
    """A size in bytes: a power of two, or of ten; "64 KB" for 65536."""
    if rng.random() < 0.75:
        power = rng.randint(8, 20)
        units = (("MB", 20), ("KB", 10))
        unit, bits = next((u for u in units if power >= u[1]), ("", 0))
        said = [f"{2**power}", f"{2**power} bytes", f"{2**power} bytes"]
        return Value(2**power, rng.choice([*said, f"{2 ** (power - bits)} {unit}"] if unit else said), role)
    size = rng.randint(1, 20) * 10 ** rng.randint(2, 6)
    return Value(size, rng.choice([str(size), f"{size} bytes"]), role)


_AT_AN_END = 0.07  # of the levels


def _end_of_scale(rng: random.Random, schema: Mapping[str, Any]) -> Value | None:
    """An end of a scale with its word, or its middle where it has a hundred steps; None where no two ends are told."""
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is None or high is None or not low < high or "multipleOf" in schema:
        return None
    places = {"most": high, "least": low, **({"half": 50} if high == 100 and low in (0, 1) else {})}
    where = rng.choice([*places, "most"])  # people mostly turn things up
    value = int(places[where]) if float(places[where]).is_integer() else places[where]
    return Value(value, rng.choice(phrases("units")["scale"][where]), "level")


def _coordinate(rng: random.Random, schema: Mapping[str, Any], kind: str, role: str) -> Value:
    least, most = (
        schema.get("minimum", schema.get("exclusiveMinimum")),
        schema.get("maximum", schema.get("exclusiveMaximum")),
    )
    pole = 90.0 if role == "latitude" else 180.0
    lived = (-55.0, 68.0) if role == "latitude" else (-170.0, 175.0)
    for low, high in (lived, (-pole, pole)):  # beyond where people live only where nothing else is allowed
        low, high = max(low, low if least is None else least), min(high, high if most is None else most)
        if low < high:
            break
    value = rng.uniform(low + 0.01 * (high - low), high - 0.01 * (high - low))
    if step := schema.get("multipleOf"):
        value = round(value / step) * step
    value = round(value) if kind == "integer" else round(value, rng.choice([2, 4, 4]))
    return Value(value, f"{value:g}" if kind == "integer" else str(value), role)


def _wide(rng: random.Random, kind: str, role: str, name: str, about: str, tool_words: str) -> float | None:
    """A number of a size that what it counts may have: shares by the million, a probability, a negative coordinate."""
    chance, draw = rng.random(), rng.randint
    if kind == "number" and FRACTION.search(about):
        return draw(1, 15 if _EARNED.search(about) else 99) / 100
    if _LARGE.search(about):
        return draw(1, 99) * 10 ** draw(3, 7)
    if role == "count":
        return None
    if role == "amount" and unit_in(name):
        return None
    if role == "amount" and _FOR_SALE.search(tool_words):
        return draw(2, 60) * 1000
    if role == "amount" and _PRICED.search(about) and not _SUMS.search(f"{about} {tool_words}"):
        return None
    if role == "amount" and _SUMS.search(about if not _PRICED.search(about) else f"{about} {tool_words}"):
        return draw(2, 500) * 1000
    if role == "amount" and chance < 0.35 and _PAID_DAILY.search(tool_words) and not _SUMS.search(about):
        return None  # a bill is seldom one of 51,000
    if role == "amount":
        return draw(1, 99) * 1000 if chance < 0.25 else draw(10, 99) * 100 if chance < 0.4 else None
    spoken = " ".join(words_of(name))
    if chance < 0.15 and _SIGNED.search(spoken) and not _POSITIVE.search(spoken):
        return -draw(1, 20)
    if kind == "number" and chance < 0.45:
        return draw(1, 999) / rng.choice([10, 10, 100])
    measured = unit_forms(f"{about} in {spoken.rpartition(' ')[2]}")
    return draw(100, 9999) if chance > 0.85 and not measured else None


def _bounds(schema: Mapping[str, Any], kind: str, role: str, about: str, unit: str) -> tuple[float, float]:
    usual: tuple[float, float] = {
        "temperature": (15, 28), "level": (5, 100), "percent": (1, 100), "duration": (5, 60), "timeout": (5, 60), "amount": (5, 900), "count": (1, 10),
        "identifier": (1000, 99999), "age": (2, 90), "weight": (2, 120), "distance": (1, 300), "rating": (1, 5), "year": (1900, 2026),
    }.get(role, (1, 99))  # fmt: skip
    if re.search(r"\b(?:precision|decimals?|decimal places)\b", about, re.I):
        usual = (0, 6)
    usual = USUAL_SPANS.get(unit, usual)
    if role == "year" and _NOWADAYS.search(about):
        usual = (2019, 2027)
    usual = next((size for size, what in _LAID_OUT if what.search(about)), usual)
    if role == "percent" and _TIP.search(about):
        usual = (5, 30)
    if role == "percent" and _SLOW.search(about):
        usual = (0.5, 15) if kind == "number" else (1, 15)
    if role == "temperature" and "kelvin" in about.lower():
        usual = (200, 600)
    if role == "temperature" and "fahrenheit" in about.lower():
        usual = (50, 95)
    tiny = 1 if kind == "integer" else 0.01
    low, high = schema.get("minimum"), schema.get("maximum")
    if schema.get("exclusiveMinimum") is not None:
        low = schema["exclusiveMinimum"] + tiny
    if schema.get("exclusiveMaximum") is not None:
        high = schema["exclusiveMaximum"] - tiny
    if role == "amount" and low == 0:
        low = 1  # nobody asks for 0 dollars
    width = usual[1] - usual[0]
    if low is None:
        low = usual[0] if high is None or high > usual[0] else high - width
    if high is None:
        high = max(usual[1], low + width) if low > usual[0] else usual[1]
    return low, max(low, high)
