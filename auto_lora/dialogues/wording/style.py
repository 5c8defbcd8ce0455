"""How people type: a few shares learned from prompts that the user gave, which the built-in writer then follows.

Not here: their words. Only openers ("hey there, ") are taken over as they stand.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from auto_lora.dialogues.definitions.phrasebook import phrases

FEWEST = 8  # prompts from which shares are learned; of fewer they would be chance


@dataclass(frozen=True)
class Style:
    """Shares of prompts.

    Attributes:
        lower: without any capital.
        capital: of the others, those that begin with one.
        ended: with `.`, `!` or `?` at the end.
        opened: that begin with an opener.
        openers: these, in lower case, as often as they were used.
        lengths: words of each prompt, opener included.
    """

    lower: float
    capital: float
    ended: float
    opened: float
    openers: tuple[str, ...]
    lengths: tuple[int, ...]

    @classmethod
    def of(cls, prompts: Sequence[str]) -> Style | None:
        """The style of prompts; None when they are fewer than `FEWEST`."""
        texts = [t for p in prompts if (t := p.strip())]
        if len(texts) < FEWEST:
            return None
        cased = [t for t in texts if t != t.lower()]
        openers = [m[0].lower() for t in texts if (m := _openers().match(t))]
        return cls(
            1 - len(cased) / len(texts),
            sum(t[0].isupper() for t in cased) / max(len(cased), 1),
            sum(t[-1] in ".!?" for t in texts) / len(texts),
            len(openers) / len(texts),
            tuple(openers),
            tuple(len(t.split()) for t in texts),
        )

    def typed(
        self, text: str, rng: random.Random, *, question: bool, spare: int = 0, closer: str = ""
    ) -> str:
        """A request as these people would type it.

        Args:
            spare: words that it is short of; a reason or the closer fill them.
        """
        if rng.random() < self.opened:
            opener = rng.choice(self.openers)
            text, spare = opener + text, spare - len(opener.split())
        elif spare >= 5 and rng.random() < 0.5:
            text = after_reason(rng, text)
        if 0 < spare < 5 and not question and "please" not in text.split() and rng.random() < 0.5:
            text += closer
        if rng.random() < self.capital:
            text = text[0].upper() + text[1:]
        if rng.random() < self.ended:
            return text if text[-1] in ".!?" else text + ("?" if question else ".")
        return text.rstrip(".!?")


def after_reason(rng: random.Random, text: str) -> str:
    """A request after what people say before it: "I just got home, so turn the lights on"."""
    book = phrases("around")
    return rng.choice(book["reasons"]) + rng.choice(book["after_reason"]) + text


@cache
def _openers() -> re.Pattern[str]:
    """The phrasebook's openers, one or more, with the punctuation and space after them."""
    known = {o.strip(" ,.:") for o in phrases("around")["openers"]} | {
        "okay",
        "yo",
        "uh",
        "well",
        "hey there",
    }
    longest = sorted(map(re.escape, known), key=len, reverse=True)
    return re.compile(rf"(?:(?:{'|'.join(longest)})(?:[,.:!]+ ?| )\s*)+(?=\S)", re.IGNORECASE)
