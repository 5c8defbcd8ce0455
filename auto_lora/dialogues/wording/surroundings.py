"""What people put before and after a request, as they type it: openers, reasons, closers, casing, punctuation."""

from __future__ import annotations

import random
from collections.abc import Sequence

from auto_lora.dialogues.definitions.meaning import verb_act
from auto_lora.dialogues.definitions.phrasebook import phrases
from auto_lora.dialogues.values.pools import Pools
from auto_lora.dialogues.wording.arguments import OWN_WORDS
from auto_lora.dialogues.wording.style import Style, after_reason

_QUOTES = "\"'”’»"


class Surroundings:
    """Puts requests into what people write around them.

    Args:
        pools: names by which an assistant is addressed.
        style: how people type; default: the phrasebook's own way.
    """

    def __init__(self, rng: random.Random, pools: Pools, style: Style | None = None) -> None:
        self.random, self.pools, self.style = rng, pools, style

    def around(
        self,
        text: str,
        *,
        question: bool,
        plain: bool = False,
        wanted: int = 0,
        said: Sequence[tuple[str, str]] = (),
        named: bool = True,
    ) -> str:
        """A request as people would send it.

        Args:
            named: the assistant may be called by a name at the end; not where a name is what is missing.
            said: roles and words of the arguments. Nobody could tell "play songs by Daniel, Carolyn" or "say I'm late asap".
        """
        begins = any(text.startswith(words) for _, words in said)
        ends = {role for role, words in said if text.endswith(words) and words[-1] not in _QUOTES}
        closer = "" if ends & OWN_WORDS else self._line("closers", named=named and not ends)
        if self.style:
            spare = wanted - len(text.split())
            return self.style.typed(text, self.random, question=question, spare=spare, closer=closer)
        book, chance = phrases("around"), self.random.random
        if not plain and chance() < 0.12:
            text = after_reason(self.random, text)
        elif not plain and verb_act(text.partition(" ")[0].lower()) and chance() < 0.05:
            text = self.random.choice(book["before_deeds"]) + text
        elif chance() < (0.1 if plain else 0.25):
            text = self._line("openers", named=not begins) + text
        asks = "please" in text.split()
        if not plain and not asks and not question and chance() < 0.2:
            text += closer
        style = chance()
        if style < 0.4:
            return text
        end = "?" if question else self.random.choice([".", "", "!"] if style < 0.9 else [".", ""])
        return text[0].upper() + text[1:] + (end if text[-1] not in ".!?" else "")

    def _line(self, kind: str, *, named: bool) -> str:
        """An opener or closer; some address the assistant by a name, where `named`."""
        line = self.random.choice([x for x in phrases("around")[kind] if named or "{" not in x])
        return line.format(name=self.pools.make("assistant")) if "{" in line else line
