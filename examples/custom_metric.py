"""A metric of one's own: is the answer terse? It is counted, with its interval, and decides nothing."""

from __future__ import annotations

import asyncio
import sys

from auto_lora import Extensions, ToolCallEvaluator
from auto_lora.score import CaseResult


def terse(case: CaseResult) -> bool:
    """Every answer of the case has at most 200 characters, call markup included."""
    return all(len(turn.raw) <= 200 for turn in case.turns)


# In a whole run: AutoLoRACreator(config, tools, extensions=Extensions(metrics={"terse": terse}))
EXTENSIONS = Extensions(metrics={"terse": terse})


async def score(model: str, tests: str) -> dict[str, float]:
    """Scores a served GGUF on a test.jsonl that a run or `--generate` wrote."""
    from auto_lora import LlamaCppClient, read_conversations

    async with LlamaCppClient(model, parallel=4) as client:
        evaluator = ToolCallEvaluator(read_conversations(tests), max_tokens=64, metrics=EXTENSIONS.metrics)
        evaluation = await evaluator.evaluate(client, model)
    return evaluation.summary()["metrics"]["terse"]


if __name__ == "__main__":
    print(asyncio.run(score(*sys.argv[1:3])))
