"""Amounts that a tool takes in cents: 53000 is said as "$530", or as "53000 cents"; and changes with a sign: "-3", "minus 3"."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from auto_lora.catalog import ToolDefinition
from auto_lora.dialogues.definitions.phrasebook import words_of
from auto_lora.dialogues.definitions.roles import roles_of
from auto_lora.dialogues.values.surfaces import Value

_MINOR = re.compile(r"\b(?:cents|minor (?:currency )?units?|pence|smallest (?:currency )?unit)\b", re.I)
_NOT_MINOR = re.compile(
    r"\bnot (?:in )?(?:the )?(?:cents|pence|minor)|\band cents\b|\bwei\b|\bsatoshi|\btoken", re.I
)
# Of these a hundred are no whole one: 5300 is 5300 yen.
_OTHERWISE = frozenset(
    "bif clp djf gnf jpy kmf krw mga pyg rwf ugx vnd vuv xaf xof xpf bhd iqd jod kwd lyd omr tnd".split()
)
_OF_CENTS = frozenset("usd eur cad aud nzd".split())
_CHANGED = frozenset("change delta adjust adjustment".split())
_BOTH_WAYS = re.compile(r"(?<!non-)(?<!non )(?<!not be )(?<!no )\bnegative\b", re.I)
_ADDS = re.compile(
    r"\badd(?:ed|s)?\b.*\b(?:remove|subtract|deduct)|\b(?:remove|subtract|deduct).*\badd", re.I
)


def _about(name: str, schema: Mapping[str, Any]) -> str:
    return f"{' '.join(words_of(name))} {schema.get('description', '')}"


def is_change(name: str, schema: Any, value: Value) -> bool:
    """Whether a value is such a change."""
    return type(value.json) is int and value.role == "generic" and goes_both_ways(name, schema)


def is_minor(name: str, schema: Any, role: str) -> bool:
    """Whether an amount counts the hundredths of a currency."""
    about = _about(name, schema) if isinstance(schema, Mapping) else ""
    return role == "amount" and bool(_MINOR.search(about)) and not _NOT_MINOR.search(about)


def _cents_and_coin(values: Mapping[str, Value], tool: ToolDefinition) -> tuple[str, str]:
    """The names of an amount in cents and of its currency; "" for one that is not given."""
    roles = roles_of(tool)
    cents = next((n for n in values if is_minor(n, tool.properties[n], roles[n])), "")
    return cents, next((n for n in values if roles[n].startswith("currency")), "")


def without_cents(values: Mapping[str, Value], tool: ToolDefinition) -> bool:
    """Whether an amount in cents stands beside a currency that has none: 5300 yen are no 53, and a pound has pence."""
    cents, coin = _cents_and_coin(values, tool)
    code = str(values[coin].json).lower() if cents and coin else ""
    if code and values[cents].surface.endswith("cents"):
        return code not in _OF_CENTS
    return code in _OTHERWISE or "yen" in code


def in_cents(rng: random.Random, values: Mapping[str, Value], tool: ToolDefinition) -> dict[str, Value]:
    """Values with an amount in cents said as the tool takes it now and then: "53000 cents" beside euros."""
    cents, coin = _cents_and_coin(values, tool)
    if not (cents and coin) or str(values[coin].json).lower() not in _OF_CENTS or rng.random() > 0.35:
        return dict(values)
    return {**values, cents: replace(values[cents], surface=f"{values[cents].json} cents")}


def minor_amount(rng: random.Random, name: str, schema: Mapping[str, Any], *, priced: bool) -> Value | None:
    """An amount in cents, said in whole ones or in cents; None where its limits leave no such amount.

    Args:
        priced: the tool has an argument for the currency, which is said beside it.
    """
    if {"multipleOf", "exclusiveMinimum", "exclusiveMaximum"} & schema.keys():
        return None
    low, high = max(schema.get("minimum", 100), 100), min(schema.get("maximum", 500_000), 500_000)
    draw = rng.randint
    drawn = (rng.choice([draw(2, 99) * 100, draw(2, 50) * 1000, draw(1, 50) * 10_000, draw(1, 99) * 100 + rng.choice([50, 99, 95, 25]), draw(100, 9999)]) for _ in range(30))  # fmt: skip
    value = next((v for v in drawn if low <= v <= high), None)
    if value is None:
        return None
    whole = f"{value // 100}" if value % 100 == 0 and rng.random() < 0.7 else f"{value / 100:.2f}"
    about = _about(name, schema).lower()
    if priced:
        return Value(value, whole, "amount")
    if "pence" in about:
        said = [f"£{whole}", f"{whole} pounds", f"{value} pence", f"{value}p"]
    elif re.search(r"\beuros?\b|\beur\b", about):
        said = [f"€{whole}", f"{whole} euros", f"{value} cents"]
    elif "cents" in about:
        said = [f"${whole}", f"${whole}", f"{whole} dollars", f"{value} cents", f"{value} cents"]
    else:
        said = [f"${whole}", f"{whole} dollars"]
    return Value(value, rng.choice(said), "amount")


def goes_both_ways(name: str, schema: Any) -> bool:
    """Whether a number is a change that may be negative: quantity_change, "units to add (positive) or remove (negative)"."""
    if not isinstance(schema, Mapping) or schema.get("minimum", -1) >= 0 or "exclusiveMinimum" in schema:
        return False
    named = schema.get("type") == "integer" and bool(_CHANGED & set(words_of(name)))
    return named or _BOTH_WAYS.search(str(schema.get("description", ""))) is not None


def changed_by(rng: random.Random, schema: Mapping[str, Any]) -> Value:
    """A change with its sign: 7, "+7", "minus 3"."""
    low, high = int(schema.get("minimum", -60)), int(schema.get("maximum", 60))
    most = rng.choice([10, 10, 60])
    value = rng.randint(max(low, -most), min(high, most)) if low < high else low
    value = value or (1 if high > 0 else -1)
    if value > 0:
        return Value(value, rng.choice([f"{value}", f"{value}", f"+{value}", f"plus {value}"]), "generic")
    return Value(value, rng.choice([f"{value}", f"{value}", f"minus {-value}"]), "generic", (f"{-value}",))


def change_forms(schema: Any, value: Value) -> list[str]:
    """How a change is said: "by -3"; where a definition speaks of adding and removing, "removing 3"."""
    forms = ["by {v}", "with a {name} of {v}", "with {name} {v}"]
    if _ADDS.search(str(schema.get("description", ""))):
        forms += [f"{'adding' if value.json > 0 else 'removing'} {abs(value.json)}"] * 3
    return forms
