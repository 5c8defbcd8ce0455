"""A language model as writer: any OpenAI-compatible URL, llama.cpp's own server too.

It gets the planned calls with their surfaces and a register, and returns the user's message. A text
is kept only if every given surface is in it and no left-out value is hinted at. The model is
probed first; one whose texts mostly fail is not used.
"""

from __future__ import annotations

import json
import os
import random
import re
from collections.abc import Sequence

import httpx

from auto_lora._toolcall import normal_text
from auto_lora.dialogues.phrasebook import split_of, words_of
from auto_lora.dialogues.verify import fault_of
from auto_lora.dialogues.writer import PlannedCall, Written

_REGISTERS = (
    "casual", "polite", "in a hurry", "chatty", "terse, like a search query", "formal", "indirect, as a hint",
    "as one long sentence", "lower-case and without punctuation", "with a short reason first",
)  # fmt: skip
_TASK = """Write one message that a person sends to an assistant. Style: {register}.
The message must ask for exactly this, in this order, and nothing else:
{plan}
Use every value below exactly as written, and give no other value:
{values}
Reply with the message only."""


class LLMWriter:
    """Words planned calls through `/v1/chat/completions`.

    Args:
        url: server root or its `/v1`; the key, if any, comes from AUTO_LORA_API_KEY.
        model: model name to ask for.
        temperature, top_p: sampling; seed: of the choice of registers.
        timeout: seconds for a text; a late one counts as failed.
    """

    def __init__(
        self,
        url: str,
        model: str = "default",
        *,
        temperature: float = 0.8,
        top_p: float = 0.95,
        seed: int = 0,
        timeout: float = 60.0,
    ) -> None:
        self.url = url.rstrip("/").removesuffix("/v1")
        self.model = model
        self.name = f"{model} at {self.url}" if model != "default" else self.url
        self.temperature, self.top_p = temperature, top_p
        self.random = random.Random(seed)
        key = os.environ.get("AUTO_LORA_API_KEY")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._http = httpx.Client(timeout=timeout, headers=headers, trust_env=False)
        self._failures = 0

    def write(self, calls: Sequence[PlannedCall], *, chain: bool = False) -> Written | None:
        """The model's message, None when it failed or the server keeps failing."""
        if self._failures >= 5:
            return None
        text = self._ask(self._prompt(calls))
        self._failures = self._failures + 1 if text is None else 0
        if not text or fault_of(text, calls) or hints_at_more(text, calls):
            return None
        return Written(text, f"llm/{split_of(text)}/{normal_text(text)[:80]}")

    def close(self) -> None:
        self._http.close()

    def _prompt(self, calls: Sequence[PlannedCall]) -> str:
        plan = "\n".join(f"{i}. {call.tool.description}" for i, call in enumerate(calls, 1))
        values = [
            f"- {' '.join(words_of(name))}: {value.surface}"
            for call in calls
            for name, value in call.values.items()
            if name not in call.hidden
        ]
        register = self.random.choice(_REGISTERS)
        return _TASK.format(register=register, plan=plan, values="\n".join(values) or "- (none)")

    def _ask(self, prompt: str) -> str | None:
        body = {
            "model": self.model,
            "messages": [{"role": "user", "content": prompt}],
            "temperature": self.temperature,
            "top_p": self.top_p,
            "max_tokens": 160,
        }
        try:
            response = self._http.post(f"{self.url}/v1/chat/completions", json=body)
            response.raise_for_status()
            text = response.json()["choices"][0]["message"]["content"]
        except (httpx.HTTPError, ValueError, KeyError, IndexError, TypeError):
            return None
        return str(text or "").strip().strip('"').strip()


def hints_at_more(text: str, calls: Sequence[PlannedCall]) -> bool:
    """Whether a text gives values that no argument has: other numbers, or other values of an enum."""
    rest = normal_text(text)
    for call in calls:
        for name, value in call.values.items():
            if name not in call.hidden:
                rest = rest.replace(normal_text(value.surface), " ")
    if re.search(r"\d", rest):
        return True
    for call in calls:
        for name, schema in call.tool.properties.items():
            if name in call.values:
                continue
            options = [normal_text(str(v)) for v in schema.get("enum", [])]
            if any(re.search(rf"\b{re.escape(option)}\b", rest) for option in options):
                return True
            if re.search(rf"\b{re.escape(' '.join(words_of(name)))}\b", rest):
                return True
    return len(text) > 600 or json.dumps(text).count("\\n") > 3
