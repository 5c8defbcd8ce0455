"""Values of tools at work: money in cents, changes with a sign, reasons, names of colleagues, tickets, queries of databases, meetings."""

from __future__ import annotations

import re

from auto_lora._settings import TrainingConfig
from auto_lora.dialogues import SyntheticDataGenerator
from tests.tool_lists import text, tool


def whole(description=""):
    return {"type": "integer", "description": description}


TIMER = tool("set_timer", "Set a timer.", ["minutes"], minutes=whole("Minutes."))
CHARGE = tool(
    "process_payment", "Charge a customer's payment method.", ["customer_id", "amount", "currency"],
    customer_id=text("Customer ID, e.g. cus_8f2k1"), amount=whole("Amount in cents"), currency=text("Three-letter currency code"),
)  # fmt: skip
STOCK = tool(
    "update_inventory", "Adjust the stock level of a product.", ["sku", "quantity_change"], sku=text("Product SKU"),
    quantity_change=whole("Number of units to add (positive) or remove (negative)"), warehouse=text("Warehouse code"),
    reason=text("Reason for the adjustment"),
)  # fmt: skip


def asked(definition, count):
    """(prompt, arguments) of the calls written for one tool beside a timer."""
    made = SyntheticDataGenerator([definition, TIMER], TrainingConfig(seed=3)).generate(
        2 * count, "train", shares={"single": 0.5, "optional": 0.5}
    )
    calls = [(c.prompt, c.scored_turns()[0].expected[0]) for c in made]
    return [(prompt, dict(call.arguments)) for prompt, call in calls if call.name == definition.name]


def test_money_in_cents_is_said_in_whole_ones_or_in_cents():
    whole_ones = cents = 0
    for prompt, given in asked(CHARGE, 80):
        amount, said = given["amount"], prompt.replace(",", "")
        assert given["currency"] not in ("JPY", "KRW"), prompt
        assert 100 <= amount <= 500_000
        if f"{amount} cents" in said:
            cents += 1
            assert given["currency"] in ("USD", "EUR", "AUD", "CAD"), prompt
        else:
            whole_ones += 1
            assert not re.search(rf"(?<![\d.]){amount}(?![\d.])", said), prompt
            assert re.search(rf"(?<![\d.]){amount // 100}(?:\.{amount % 100:02d})?(?!\d)", said), prompt
    assert whole_ones > 20 and cents > 5


def test_a_change_goes_both_ways():
    added = removed = 0
    for prompt, given in asked(STOCK, 80):
        change = given["quantity_change"]
        if change > 0:
            added += re.search(rf"adding {change}\b", prompt.lower()) is not None
            assert not re.search(
                rf"(?:minus |-|removing ){change}\b(?!-)", prompt.lower().replace(given["sku"].lower(), "")
            ), prompt
        else:
            removed += 1
            assert re.search(rf"(?:minus |-|removing ){-change}\b", prompt.lower()), prompt
    assert added > 5 and removed > 15
