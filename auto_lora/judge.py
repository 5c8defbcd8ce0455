"""Response quality: an LLM compares two final answers, in both orders.

Any OpenAI-compatible URL serves as judge, the base model's own server too. A verdict that turns
with the order counts as a tie. A judge is judged first: of the shipped pairs of a good and a broken
answer (`probes/judge.json`) it must pick the good one in both orders, else its figures are not used.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from auto_lora._conversation import Conversation
from auto_lora._errors import ServerError
from auto_lora._intervals import proportion
from auto_lora._model_url import client_options, root_of
from auto_lora._progress import Quiet, Reporter
from auto_lora._runs import read_json

_PAUSES = (1.0, 4.0, 16.0)  # seconds before a failed request is asked again
FIT = 0.8  # a coin reaches 0.25 of the sanity set, so 0.8 of 24 is no luck
SANITY_FILE = Path(__file__).parent / "probes" / "judge.json"

_TASK = """Two assistants answered the same request after the same tool results. Which answer is better: \
correct, complete, using the tool results and inventing nothing?

Request: {prompt}
Tool results: {results}

Answer A: {a}

Answer B: {b}

Reply with JSON only: {{"winner": "A"}}, {{"winner": "B"}} or {{"winner": "tie"}}."""

_SCHEMA = {
    "type": "object",
    "properties": {"winner": {"type": "string", "enum": ["A", "B", "tie"]}},
    "required": ["winner"],
}


@dataclass(frozen=True)
class Pair:
    """Two answers to one request after the same tool results; `kind` says what is wrong with the first."""

    request: str
    results: tuple[str, ...]
    first: str
    second: str
    kind: str = ""


def sanity_set() -> list[Pair]:
    """The shipped pairs, the broken answer first."""
    rows = read_json(SANITY_FILE)
    return [Pair(r["request"], tuple(r["results"]), r["broken"], r["good"], r["kind"]) for r in rows]


class Judge:
    """Pairwise judge at an OpenAI-compatible URL (key in AUTO_LORA_API_KEY).

    Args:
        url: server root, or its `/v1`.
        model: model name to ask for.
        timeout: seconds before a request is given up.
        parallel: requests in flight.
    """

    def __init__(
        self,
        url: str,
        model: str = "default",
        *,
        timeout: float = 120.0,
        parallel: int = 4,
        reporter: Reporter | None = None,
    ) -> None:
        self.url = root_of(url)
        self.model = model
        self.timeout = timeout
        self.parallel = parallel
        self.reporter = reporter or Quiet()

    async def judge(
        self, conversations: Sequence[Conversation], first: Mapping[str, str], second: Mapping[str, str]
    ) -> dict[str, Any]:
        """The sanity set, then, for a judge that is fit, `compare`.

        Returns `{"judge", "fit", "sanity", "missed"}`: whether it is fit, the proportion of sanity pairs
        it told apart, and what was wrong with the broken answers of the others, counted by kind; and
        what `compare` returns, where it is fit.

        Raises:
            ServerError: the judge cannot be reached.
        """
        pairs = sanity_set()
        verdicts = await self._verdicts(pairs, "testing the judge")
        right = verdicts.count("wins")
        missed = Counter(p.kind for p, v in zip(pairs, verdicts, strict=True) if v != "wins")
        found = {
            "judge": f"{self.model} at {self.url}",
            "fit": right >= FIT * len(pairs),
            "sanity": proportion(right, len(pairs)),
            "missed": dict(missed),
        }
        return found | (await self.compare(conversations, first, second) if found["fit"] else {})

    async def compare(
        self, conversations: Sequence[Conversation], first: Mapping[str, str], second: Mapping[str, str]
    ) -> dict[str, int]:
        """Wins of `second` over `first` on the conversations that both answered.

        Returns `{"judged", "wins", "ties", "losses", "unreadable"}`.

        Raises:
            ServerError: the judge cannot be reached.
        """
        pairs = [
            Pair(c.prompt, _results(c), first[c.id], second[c.id])
            for c in conversations
            if c.id in first and c.id in second
        ]
        counts = Counter(await self._verdicts(pairs, "judging"))
        return {
            "judged": len(pairs),
            **{key: counts[key] for key in ("wins", "ties", "losses", "unreadable")},
        }

    async def _verdicts(self, pairs: Sequence[Pair], name: str) -> list[str]:
        slots = asyncio.Semaphore(self.parallel)
        async with httpx.AsyncClient(timeout=self.timeout, **client_options(self.url)) as http:
            with self.reporter.task(name, len(pairs)) as task:

                async def one(pair: Pair) -> str:
                    async with slots:
                        verdict = await self._verdict(http, pair)
                    task.advance()
                    return verdict

                jobs = [asyncio.ensure_future(one(pair)) for pair in pairs]
                try:
                    return list(await asyncio.gather(*jobs))
                finally:
                    for job in jobs:
                        job.cancel()

    async def _verdict(self, http: httpx.AsyncClient, pair: Pair) -> str:
        """What becomes of the second answer: "wins", "ties", "losses" or "unreadable"."""
        forward = await self._ask(http, pair, pair.first, pair.second)
        backward = await self._ask(http, pair, pair.second, pair.first)
        if forward is None or backward is None:
            return "unreadable"
        return {("B", "A"): "wins", ("A", "B"): "losses"}.get((forward, backward), "ties")

    async def _ask(self, http: httpx.AsyncClient, pair: Pair, a: str, b: str) -> str | None:
        text = _TASK.format(
            prompt=pair.request, results="; ".join(pair.results), a=a or "(empty)", b=b or "(empty)"
        )
        body = {
            "model": self.model,
            "messages": [{"role": "user", "content": text}],
            "temperature": 0,
            "max_tokens": 64,
            "response_format": {"type": "json_schema", "json_schema": {"name": "verdict", "schema": _SCHEMA}},
        }
        try:
            response = await self._post(http, body)
            winner = json.loads(response.json()["choices"][0]["message"]["content"])["winner"]
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ServerError(
                f"the judge at {self.url} failed: {error!r}", "check --judge-url or leave it out"
            ) from None
        except (ValueError, KeyError, TypeError, IndexError):
            return None
        return winner if winner in ("A", "B", "tie") else None

    async def _post(self, http: httpx.AsyncClient, body: dict[str, Any]) -> httpx.Response:
        """Asks again, with longer and longer pauses, where the judge is busy, fails or cannot be reached."""
        pauses = list(_PAUSES)
        while True:
            try:
                response = await http.post(f"{self.url}/v1/chat/completions", json=body)
                response.raise_for_status()
                return response
            except httpx.HTTPError as error:
                status = error.response.status_code if isinstance(error, httpx.HTTPStatusError) else 500
                if not pauses or (status < 500 and status != 429):
                    raise
            await asyncio.sleep(pauses.pop(0))


def _results(conversation: Conversation) -> tuple[str, ...]:
    return tuple(str(m["content"]) for m in conversation.messages if m["role"] == "tool")
