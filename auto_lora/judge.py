"""Response quality: an LLM compares two final answers, in both orders.

Any OpenAI-compatible URL serves as judge, the base model's own server too. A verdict that turns
with the order counts as a tie. Not here: telling whether a judge is fit to judge.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from auto_lora._conversation import Conversation
from auto_lora._errors import ServerError
from auto_lora._progress import Quiet, Reporter

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


class Judge:
    """Pairwise judge at an OpenAI-compatible URL (key in AUTO_LORA_API_KEY).

    Args:
        url: server root, or its `/v1`.
        model: model name to ask for.
        timeout: seconds before a request is given up.
    """

    def __init__(
        self, url: str, model: str = "default", *, timeout: float = 120.0, reporter: Reporter | None = None
    ) -> None:
        self.url = url.rstrip("/").removesuffix("/v1")
        self.model = model
        self.timeout = timeout
        self.reporter = reporter or Quiet()

    async def compare(
        self, conversations: Sequence[Conversation], first: Mapping[str, str], second: Mapping[str, str]
    ) -> dict[str, Any]:
        """Wins of `second` over `first` on the conversations that both answered.

        Returns `{"judge", "judged", "wins", "ties", "losses", "unreadable"}`.

        Raises:
            ServerError: the judge cannot be reached.
        """
        cases = [c for c in conversations if c.id in first and c.id in second]
        counts: Counter[str] = Counter()
        async with httpx.AsyncClient(timeout=self.timeout, headers=_headers()) as http:
            with self.reporter.task("judging", len(cases)) as task:
                for case in cases:
                    counts[await self._verdict(http, case, first[case.id], second[case.id])] += 1
                    task.advance()
        return {
            "judge": f"{self.model} at {self.url}",
            "judged": len(cases),
            **{key: counts[key] for key in ("wins", "ties", "losses", "unreadable")},
        }

    async def _verdict(self, http: httpx.AsyncClient, case: Conversation, first: str, second: str) -> str:
        forward = await self._ask(http, case, first, second)
        backward = await self._ask(http, case, second, first)
        if forward is None or backward is None:
            return "unreadable"
        return {("B", "A"): "wins", ("A", "B"): "losses"}.get((forward, backward), "ties")

    async def _ask(self, http: httpx.AsyncClient, case: Conversation, a: str, b: str) -> str | None:
        results = [str(m["content"]) for m in case.messages if m["role"] == "tool"]
        text = _TASK.format(
            prompt=case.prompt, results="; ".join(results), a=a or "(empty)", b=b or "(empty)"
        )
        body = {
            "model": self.model,
            "messages": [{"role": "user", "content": text}],
            "temperature": 0,
            "max_tokens": 64,
            "response_format": {"type": "json_schema", "json_schema": {"name": "verdict", "schema": _SCHEMA}},
        }
        try:
            response = await http.post(f"{self.url}/v1/chat/completions", json=body)
            response.raise_for_status()
            winner = json.loads(response.json()["choices"][0]["message"]["content"])["winner"]
        except httpx.HTTPError as error:
            raise ServerError(
                f"the judge at {self.url} failed: {error!r}", "check --judge-url or leave it out"
            ) from None
        except (ValueError, KeyError, TypeError, IndexError):
            return None
        return winner if winner in ("A", "B", "tie") else None


def _headers() -> dict[str, str]:
    key = os.environ.get("AUTO_LORA_API_KEY")
    return {"Authorization": f"Bearer {key}"} if key else {}
