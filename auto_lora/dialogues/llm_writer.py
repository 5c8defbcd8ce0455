"""A language model as writer: any OpenAI-compatible URL, llama.cpp's own server too.

It gets the planned calls with the words for their values, a persona and a register, and returns the user's message.
A text is kept only if every given value can be read in it and it says nothing beyond the plan (see `verify`). The
model is probed first; one whose texts mostly fail is not used.
"""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import httpx

from auto_lora._model_url import client_options, root_of
from auto_lora._toolcall import normal_text
from auto_lora.dialogues.definitions.phrasebook import phrases, split_of, words_of
from auto_lora.dialogues.verify import fault_of, leak_of, overlap_of
from auto_lora.dialogues.wording.planned import PlannedCall, Written

_TASK = """You are {persona}. Write one message to your assistant. Style: {register}.
Ask for exactly this{order}, and for nothing else:
{plan}
Say every one of these values, word for word:
{values}
Give no other number, date, time, name, place or wish. Speak as people do; no lists, no names of functions.
Reply with the message only."""
_GIVE_UP = 5  # failures of the server in a row
_CUT = "text cut off at the limit of tokens"
_ANSWER_BYTES = 1 << 20
_MESSAGE_TOKENS = 128  # twice what the longest message that people type takes


class LLMWriter:
    """Words planned calls through `/v1/chat/completions`, several at a time.

    Args:
        url: server root or its `/v1`; the key, if any, comes from AUTO_LORA_API_KEY.
        model: model name to ask for.
        temperature, top_p: sampling; seed: of the choice of personas and registers.
        timeout: seconds for a text; a late one counts as failed.
        parallel: requests in flight.
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
        parallel: int = 4,
    ) -> None:
        self.url = root_of(url)
        self.model = model
        self.name = f"{model} at {self.url}" if model != "default" else self.url
        self.temperature, self.top_p = temperature, top_p
        self.timeout, self.parallel = timeout, parallel
        self.random = random.Random(seed)
        self._http = httpx.Client(timeout=timeout, **client_options(self.url))
        self._pool = ThreadPoolExecutor(parallel, "writer")
        self._failures = 0

    def start(self, calls: Sequence[PlannedCall], *, chain: bool = False) -> Callable[[], Written | str]:
        """Sends the request; the function it returns waits for the message, or tells why there is none."""
        if self._failures >= _GIVE_UP:
            return lambda: "the server kept failing and is asked no more"
        answer = self._pool.submit(self._ask, self._prompt(calls, chain))

        def collect() -> Written | str:
            text, fault = answer.result()
            self._failures = self._failures + 1 if fault and fault != _CUT else 0
            return fault or self._checked(text, calls)

        return collect

    def write(self, calls: Sequence[PlannedCall], *, chain: bool = False) -> Written | str:
        """The model's message, or why there is none."""
        return self.start(calls, chain=chain)()

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._http.close()

    def _checked(self, text: str, calls: Sequence[PlannedCall]) -> Written | str:
        if not text:
            return "empty text"
        fault = fault_of(text, calls) or overlap_of(text, calls) or leak_of(text, calls)
        text = " ".join(text.split())
        return fault or Written(text, f"llm/{split_of(text)}/{normal_text(text)[:80]}")

    def _prompt(self, calls: Sequence[PlannedCall], chain: bool) -> str:
        book = phrases("personas")
        values = [
            f"- {' '.join(words_of(name))}: {value.surface}"
            for call in calls
            for name, value in call.shown().items()
            if value.surface
        ]
        tasks = [call.tool.description or " ".join(words_of(call.tool.name)) for call in calls]
        plan = [
            f"{i}. {task}" + (" (with what the one before finds)" if chain and i > 1 else "")
            for i, task in enumerate(tasks, 1)
        ]
        return _TASK.format(
            persona=self.random.choice(book["personas"]),
            register=self.random.choice(book["registers"]),
            order=", in this order" if len(calls) > 1 else "",
            plan="\n".join(plan),
            values="\n".join(values) or "- (none)",
        )

    def _ask(self, prompt: str) -> tuple[str, str]:
        """The model's text, or what went wrong; never raises for what a server does."""
        body = {
            "model": self.model,
            "messages": [{"role": "user", "content": prompt}],
            "temperature": self.temperature,
            "top_p": self.top_p,
            "max_tokens": _MESSAGE_TOKENS,
        }
        try:
            choice = json.loads(self._post(body))["choices"][0]
            text = choice["message"]["content"] or ""
            if choice.get("finish_reason") == "length":
                return "", _CUT
            text = re.sub(r"<think>.*?</think>", "", text, flags=re.S)
            return text.strip().strip('"“”').strip(), ""
        except httpx.TimeoutException:
            return "", f"no answer within {self.timeout:g} s"
        except httpx.HTTPStatusError as error:
            return "", f"server error {error.response.status_code}"
        except (httpx.HTTPError, httpx.InvalidURL):
            return "", "no connection"
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            return "", "an answer that is not OpenAI's JSON"

    def _post(self, body: dict[str, object]) -> bytes:
        """The answer's bytes; the time-out holds for all of it, where httpx counts each read anew."""
        end, received = time.monotonic() + self.timeout, b""
        with self._http.stream("POST", f"{self.url}/v1/chat/completions", json=body) as response:
            response.raise_for_status()
            for part in response.iter_bytes():
                received += part
                if time.monotonic() > end:
                    raise httpx.ReadTimeout("too slow")
                if len(received) > _ANSWER_BYTES:
                    raise ValueError("too long")
        return received
