"""Forgetting: what an adapter does to answers it was not trained for, and how much of it is worth it.

Ordinary prompts without tools (`probes/forgetting.json`, written for this project) are asked of base and
base + adapter. Counted: how far the adapter's next-token distributions are from the base's on the base's
own answers (KL in nats per token, over the whole vocabulary), how often an ordinary prompt triggers a tool
call, how often an answer degenerates. The same tool cases at several adapter scales show the trade.

KL(base || base + adapter) on the base's own answers is what their log-likelihood loses per token: 0.1 is a
perplexity 1.1 times the base's, 1.0 one of 2.7 times. The prompts need no tool of any kind; where a tool
list does cover one of them, a call is no fault.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

import torch

from auto_lora._adapter_folder import asking_peft
from auto_lora._conversation import Conversation
from auto_lora._intervals import proportion
from auto_lora._progress import Quiet, Reporter
from auto_lora._runs import read_json
from auto_lora.encode import ChatTemplate
from auto_lora.llama_server import LlamaCppClient
from auto_lora.rehearsal import PROBES_FILE, word_runs
from auto_lora.score import ToolCallEvaluator, gather

SCALES = (0.25, 0.5, 0.75, 1.0, 1.25)
_BATCH = 4  # sequences whose logits are held at once: 4 x 48 tokens of a vocabulary of 150,000 are 115 MB


@dataclass(frozen=True)
class PlainAnswer:
    """A model's answer to an ordinary prompt; `cut`: it reached the token limit, `called`: it holds a call."""

    messages: tuple[dict[str, Any], ...]
    text: str
    cut: bool
    called: bool


def ordinary_prompts(count: int, system_prompt: str = "") -> list[tuple[dict[str, Any], ...]]:
    """The first `count` shipped prompts as messages, chat, knowledge and reasoning in turn."""
    kinds = read_json(PROBES_FILE).values()
    prompts = [p for p in chain.from_iterable(zip_longest(*kinds)) if p]
    before = ({"role": "system", "content": system_prompt},) if system_prompt else ()
    return [(*before, {"role": "user", "content": p}) for p in prompts[:count]]


async def answer_plainly(
    client: LlamaCppClient,
    prompts: Sequence[tuple[dict[str, Any], ...]],
    *,
    tools: Sequence[Any] = (),
    max_tokens: int = 48,
    parallel: int = 4,
    reporter: Reporter | None = None,
    name: str = "ordinary prompts",
) -> list[PlainAnswer]:
    """Greedy answers of a served model, at most `max_tokens` long."""
    slots = asyncio.Semaphore(parallel)
    with (reporter or Quiet()).task(name, len(prompts)) as task:

        async def one(messages: tuple[dict[str, Any], ...]) -> PlainAnswer:
            async with slots:
                reply = await client.chat(messages, tools, max_tokens=max_tokens)
            task.advance()
            called = bool(reply.calls or reply.error)  # a call that is cut or malformed is one too
            return PlainAnswer(messages, reply.text, reply.finish_reason == "length", called)

        return await gather([one(messages) for messages in prompts])


def degeneration(answer: PlainAnswer, base: PlainAnswer | None = None) -> str:
    """What is wrong with an answer as text: "empty", "repeats", "runs on", or "".

    It repeats when a run of four words comes four times, or most of its runs of four are repeats (in text
    without spaces: of four characters). It runs on when it reached the token limit that the base's did not.
    """
    text = answer.text.strip()
    if not text:
        return "empty"
    runs = word_runs(text)
    total = sum(runs.values())
    if total >= 8 and (max(runs.values()) >= 4 or len(runs) < total / 2):
        return "repeats"
    return "runs on" if base is not None and answer.cut and not base.cut else ""


# How far the distributions are apart, in PyTorch.


def adapter_drift(
    model: Any, directory: Path, template: ChatTemplate, answers: Sequence[PlainAnswer]
) -> dict[str, float]:
    """KL per token of an adapter folder at each of SCALES, by scale.

    Args:
        model: the base model in PyTorch; it is left as it was.
        directory: holds the adapter as PEFT writes it.
        answers: the base's own answers.
    """
    sequences = [_encode(template, answer) for answer in answers]
    with _attached(model, directory) as adapted:
        return {str(scale): round(kl, 5) for scale, kl in kl_per_token(adapted, sequences, SCALES).items()}


@contextmanager
def _attached(model: Any, directory: Path) -> Iterator[Any]:
    from peft import PeftModel

    with asking_peft():
        adapted = PeftModel.from_pretrained(model, str(directory))
    try:
        yield adapted.eval()
    finally:
        adapted.unload()


def _encode(template: ChatTemplate, answer: PlainAnswer) -> tuple[list[int], list[int]]:
    """Tokens of prompt and answer; one that was cut has no end."""
    said = {"role": "assistant", "content": answer.text}
    prompt, reply = template.encode_turn(answer.messages, said, ())
    return prompt, reply[:-1] if answer.cut and len(reply) > 1 else reply


@torch.no_grad()
def kl_per_token(
    adapted: Any, sequences: Sequence[tuple[Sequence[int], Sequence[int]]], scales: Sequence[float]
) -> dict[float, float]:
    """Mean KL(base || base + adapter) of the next token over all answer tokens, in nats, by adapter scale.

    Args:
        adapted: a PEFT model with one LoRA; the base is the same model with it switched off.
        sequences: tokens of prompts and answers; only the answers' positions count.
    """
    from peft.helpers import rescale_adapter_scale

    totals, tokens = dict.fromkeys(scales, 0.0), 0
    ordered = sorted(sequences, key=lambda s: len(s[0]) + len(s[1]))
    for start in range(0, len(ordered), _BATCH):
        batch = ordered[start : start + _BATCH]
        with adapted.disable_adapter():
            base = _answer_logprobs(adapted, batch)
        for scale in scales:
            with rescale_adapter_scale(adapted, scale):
                other = _answer_logprobs(adapted, batch)
            totals[scale] += float((base.exp() * (base - other)).sum())
        tokens += len(base)
    return {scale: max(total / max(tokens, 1), 0.0) for scale, total in totals.items()}  # NaN stays NaN


def _answer_logprobs(adapted: Any, batch: Sequence[tuple[Sequence[int], Sequence[int]]]) -> torch.Tensor:
    """Next-token log-probabilities before each answer token, [answer tokens, vocabulary] in float32.

    Sequences are padded on the right, where causal attention lets no real token see it.
    """
    model = adapted.get_base_model()
    device = model.get_input_embeddings().weight.device
    width = max(len(prompt) + len(answer) for prompt, answer in batch)
    ids = torch.zeros(len(batch), width, dtype=torch.long)
    for row, (prompt, answer) in enumerate(batch):
        ids[row, : len(prompt) + len(answer)] = torch.tensor([*prompt, *answer])
    hidden = model.get_decoder()(input_ids=ids.to(device), use_cache=False).last_hidden_state
    wanted = torch.cat([hidden[r, len(p) - 1 : len(p) + len(a) - 1] for r, (p, a) in enumerate(batch)])
    return model.get_output_embeddings()(wanted).float().log_softmax(-1)


# The trade, on the served adapter.


def spread(conversations: Sequence[Conversation], count: int) -> list[Conversation]:
    """`count` of the conversations at even distances, all where there are no more."""
    count = min(count, len(conversations))
    return [conversations[i * len(conversations) // count] for i in range(count)]


async def score_scales(
    client: LlamaCppClient, evaluator: ToolCallEvaluator, scales: Sequence[float] = SCALES
) -> list[dict[str, Any]]:
    """The evaluator's cases at each adapter scale; the server is left at scale 1.

    Returns rows `{"scale", "exact", "called"}`: exact cases, and cases that need calls and got one.
    """
    rows = []
    try:
        for scale in scales:
            await client.set_adapter_scale(scale)
            summary = (await evaluator.evaluate(client, f"scale {scale:g}")).summary()
            rows.append(
                {"scale": scale, "exact": summary["overall"]["exact"], "called": summary["must_call"]}
            )
    finally:
        await client.set_adapter_scale(1.0)
    return rows


async def score_forgetting(
    client: LlamaCppClient,
    base: Sequence[PlainAnswer],
    drift: dict[str, float] | None,
    *,
    tools: Sequence[Any],
    evaluator: ToolCallEvaluator | None,
    max_tokens: int = 48,
) -> dict[str, Any]:
    """All of it, for a served adapter.

    Args:
        base: the base's own answers.
        drift: what `adapter_drift` gave; None: not measured.
        tools: OpenAI entries; the prompts are asked again beside them.
        evaluator: holds the tool cases asked at each scale; None: no scales.
        max_tokens: of an answer, the same as the base had.

    Returns `{"kl_per_token", "called", "degenerate", "degenerate_base", "scales"}`.
    """
    asked = [a.messages for a in base]
    parallel, reporter = (evaluator.parallel, evaluator.reporter) if evaluator else (4, None)
    plain, beside_tools = [
        await answer_plainly(
            client, asked, tools=t, max_tokens=max_tokens, parallel=parallel, reporter=reporter, name=name
        )
        for t, name in (((), "ordinary prompts"), (tools, "ordinary prompts beside the tools"))
    ]
    spoiled = [degeneration(a, b) for a, b in zip(plain, base, strict=True)]
    rows = await score_scales(client, evaluator) if evaluator else []
    for row in rows:
        row["kl_per_token"] = drift.get(str(row["scale"])) if drift else None
    return {
        "kl_per_token": drift.get("1.0") if drift else None,
        "called": proportion(sum(a.called for a in beside_tools), len(asked)),
        "degenerate": proportion(sum(map(bool, spoiled)), len(asked)),
        "degenerate_base": proportion(sum(bool(degeneration(b)) for b in base), len(asked)),
        "scales": rows,
    }
