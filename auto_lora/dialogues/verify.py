"""What a conversation must pass before it is kept; what fails is counted with its reason."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

from jsonschema import Draft202012Validator

from auto_lora._conversation import Conversation
from auto_lora._toolcall import normal_text
from auto_lora.dialogues.writer import PlannedCall


def fault_of(text: str, calls: Sequence[PlannedCall]) -> str:
    """Why a prompt does not fit its calls; "" when it does.

    Every argument must fit its schema; its words must stand in the prompt, except for what an
    earlier result gives.
    """
    spoken = normal_text(text)
    for call in calls:
        if not Draft202012Validator(call.tool.parameters).is_valid(call.arguments()):
            return "arguments do not fit the schema"
        for name, value in call.values.items():
            if name not in call.hidden and normal_text(value.surface) not in spoken:
                return "an argument is not in the prompt"
    return ""


_POLITE = frozenset("please thanks thank you hey hi hello ok so um cheers alright right listen there".split())


def _words(prompt: str) -> list[str]:
    return [w for w in re.findall(r"\w+", normal_text(prompt)) if w not in _POLITE]


class Duplicates:
    """Exact and near duplicates of prompts, by hashes alone, so memory stays small.

    A near duplicate has the same words after casing, punctuation and politeness are taken off.
    """

    def __init__(self, prompts: Sequence[str] = ()) -> None:
        self._seen: set[bytes] = set()
        for prompt in prompts:
            self.is_new(prompt)

    def is_new(self, prompt: str) -> bool:
        """Whether the prompt is new; it is remembered."""
        words = _words(prompt)
        key = hashlib.blake2b(" ".join(words).encode(), digest_size=8).digest()
        if key in self._seen:
            return False
        self._seen.add(key)
        return True


class NearPrompts:
    """Finds the prompts that share most words with one of a list.

    Args:
        prompts: the list; politeness, casing and punctuation do not count.
        share: of the words of both prompts together, how many must be in both. At three quarters
            "weather in Paris" is not near "weather in Rome": another place is another case.
    """

    def __init__(self, prompts: Iterable[str], share: float = 0.75) -> None:
        self.share = share
        self._sets = [frozenset(_words(p) or normal_text(p).split()) for p in prompts]
        self._holding: dict[str, list[int]] = {}
        for i, words in enumerate(self._sets):
            for word in words:
                self._holding.setdefault(word, []).append(i)

    def __contains__(self, prompt: str) -> bool:
        words = frozenset(_words(prompt) or normal_text(prompt).split())
        # One that shares enough shares at least one of the rarest, whatever it leaves out.
        rarest = sorted(words, key=lambda w: (len(self._holding.get(w, ())), w))
        needed = len(words) - math.ceil(self.share * len(words)) + 1
        near = {i for word in rarest[:needed] for i in self._holding.get(word, ())}
        return any(len(words & self._sets[i]) >= self.share * len(words | self._sets[i]) for i in near)


def values_key(calls: Sequence[PlannedCall]) -> str:
    """A digest of the value combination of a conversation's calls."""
    combined: list[Any] = [[c.tool.name, c.arguments()] for c in calls]
    text = json.dumps(combined, sort_keys=True, ensure_ascii=False).casefold()
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def check_conversation(conversation: Conversation, tools: dict[str, Any]) -> str:
    """Why a finished conversation is not right; "" when it is: calls and responses fit their schemas."""
    for turn in conversation.turns():
        for call in turn.expected:
            if call.name not in tools:
                return "a call to an unknown tool"
            if not Draft202012Validator(tools[call.name].parameters).is_valid(dict(call.arguments)):
                return "arguments do not fit the schema"
    for message in conversation.messages:
        if message["role"] == "tool":
            returns = tools[message["name"]].returns
            if returns is not None and not Draft202012Validator(returns).is_valid(
                json.loads(message["content"])
            ):
                return "a response does not fit returns"
    return ""
