"""Values of the user's own domain, divided between the splits: by hash where they are many, in turn where they are few."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from typing import Any

from auto_lora.catalog import ToolDefinition
from auto_lora.dialogues.definitions.phrasebook import SPLITS, bucket, share_out, split_of
from auto_lora.dialogues.definitions.role_words import role_in
from auto_lora.dialogues.values.surfaces import Value

# A value for a parameter, and how a person would write it: ("EGLL", "Heathrow").
ValueSampler = Callable[[random.Random], tuple[Any, str]]
_FEW = 40


class OwnValues:
    """A user's values for one split.

    Args:
        samplers: by "parameter" or "tool.parameter", which goes first.
    """

    def __init__(self, samplers: Mapping[str, ValueSampler], split: str, rng: random.Random) -> None:
        self.samplers, self.split, self.random = samplers, split, rng
        self._owners: dict[str, dict[str, str]] = {}  # of few values, by sampler

    def key(self, tool: ToolDefinition, name: str) -> str | None:
        """What the values for a parameter go by; None where the user gives none."""
        return next((k for k in (f"{tool.name}.{name}", name) if k in self.samplers), None)

    def draw(self, key: str, name: str, schema: Any) -> Value:
        """A value, of this split if one comes up in 60 tries."""
        for _ in range(60):
            value, surface = self.samplers[key](self.random)
            if self.owns(key, value):
                break
        return Value(value, surface, role_in(name, schema, str(schema.get("type", "string"))))

    def owns(self, key: str, value: Any) -> bool:
        """Whether a value is this split's; every value is where the split has none of them."""
        if key not in self._owners:
            draw = random.Random(0)
            found = {_spelled(self.samplers[key](draw)[0]) for _ in range(4 * _FEW)}
            in_turn = sorted(found, key=lambda spelled: bucket(spelled, of=2**31))
            few = len(found) <= _FEW
            self._owners[key] = {k: s for s in SPLITS for k in share_out(in_turn, s)} if few else {}
        owners = self._owners[key]
        if owners and self.split not in owners.values():
            return True
        return owners.get(_spelled(value), split_of("value", _spelled(value))) == self.split


def _spelled(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
