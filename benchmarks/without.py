"""Parts of the built-in writer switched off, to see what each of them is worth (`real_prompts.py --without noise,topics`)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from auto_lora.dialogues import maker
from auto_lora.dialogues.values import sampler
from auto_lora.dialogues.values.surfaces import Value
from auto_lora.dialogues.wording import chooser, clause, surroundings


def topics() -> None:
    """No sentences of the topic packs: what is left are those of the act ("get", "set", "book") with the tool's own words."""
    chooser.topic_of = lambda tool: None


def surfaces() -> None:
    """Values stand in the prompt as in the call: 2023-03-08, not "March 8th"."""
    sample = sampler.Sampler.sample

    def as_called(self: sampler.Sampler, *args: Any, **named: Any) -> Value:
        value = sample(self, *args, **named)
        written = value.json if isinstance(value.json, str) else json.dumps(value.json, ensure_ascii=False)
        return replace(value, surface=written)

    sampler.Sampler.sample = as_called


def noise() -> None:
    """No openers, reasons, closers and typos around a request, and nothing typed without capitals."""
    surroundings.Surroundings.around = lambda self, text, **_: text
    maker.Maker._casual = lambda self, share=0.0: False
    clause.Clause._typed = lambda self: self.frame


PARTS = {"topics": topics, "surfaces": surfaces, "noise": noise}


def switch_off(names: Iterable[str]) -> None:
    """Raises KeyError: there is no such part."""
    for name in names:
        PARTS[name]()
