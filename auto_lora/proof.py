"""Between training and scoring: proof that the server runs what was trained.

    grammar_gate   before training: the server compiles the tools' grammars
    tokens_gate    before training: prompts have the same text and tokens on both sides
    base_gate      before training: PyTorch's base and the served base expect the same next tokens
    adapter_gate   after export: PyTorch + adapter and llama.cpp + GGUF adapter do, too; scale 0 is the base

A gate that fails ends the run with a MismatchError that shows the first difference, both sides below each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from auto_lora._activation import BasePrefixes, attached, next_token_logits
from auto_lora._conversation import Conversation
from auto_lora._errors import MismatchError, ServerError
from auto_lora.catalog import ToolDefinition
from auto_lora.catalog.lint import FIX_TOOLS
from auto_lora.encode import ChatTemplate
from auto_lora.llama_server import LlamaCppClient

TOP = 20  # tokens compared per probe: the served side's likeliest
# What log-probabilities may differ by, as root mean square over those tokens of all probes. Measured with SmolLM2-135M Q4_1,
# float32 and bf16 in PyTorch: base 0.14 and 0.16 (llama.cpp rounds what goes into a quantised layer), weights with 5 % of noise
# 0.72; base + adapter 0.16 and 0.19, without the permutation of q alone 0.45 and 0.42, of q and k 0.79, alpha off by two 1.4 or 2.3.
NEAR = 0.5
NEAR_4BIT = 2.5  # NF4 beside Q4_1, which are two quantisations of one model: 1.27
TIMES_BASE = 1.75
# An answer that is certain has its other tokens 8 to 20 nats below, where rounding alone made 0.69 of them (0.49 over all probes).
# Beside how far the log-probabilities of a probe are spread it was 0.10 (base 0.09); without the permutation of q and k 0.23, alpha
# off by a quarter 0.27. Only what is too far by both measures fails.
TIMES_RELATIVE = 1.5
FLOOR_RELATIVE = 0.02
FLOOR = 0.05  # for bases that agree to the last digit: the adapter is in float16 there
SCALE_ZERO = 1e-3  # the same kernels on the same weights: it was 0
_HINT = "the adapter was not scored; report the model and the llama.cpp build"

Logprobs = Mapping[int, float]  # token id to natural log-probability


@dataclass(frozen=True)
class Probe:
    """Tokens after which both sides are asked for the next one; `name` is for people."""

    name: str
    tokens: tuple[int, ...]


@dataclass(frozen=True)
class Sides:
    """One side's log-probabilities per probe, without and with the adapter."""

    base: Sequence[Any]
    adapter: Sequence[Any]


# Grammars and tokens.


async def grammar_gate(client: LlamaCppClient, tools: Sequence[ToolDefinition]) -> None:
    """Asks the server that will serve the adapter to compile the tools' grammars.

    Raises:
        MismatchError: naming the tool that it refuses, with its words.
    """
    hello = [{"role": "user", "content": "hello"}]
    try:
        await client.chat(hello, [t.to_openai() for t in tools], max_tokens=1)
        return
    except ServerError as error:
        refused = error
    for tool in tools:
        try:
            await client.chat(hello, [tool.to_openai()], max_tokens=1)
        except ServerError as error:
            raise MismatchError(
                f'llama.cpp refuses the tool "{tool.name}": {error.message}', FIX_TOOLS
            ) from None
    raise refused


async def tokens_gate(
    client: LlamaCppClient, template: ChatTemplate, conversations: Sequence[Conversation]
) -> int:
    """Compares the trainer's prompts with the server's, text and tokens, on each category.

    Returns the number of prompts compared.

    Raises:
        MismatchError: with the first difference.
    """
    compared = 0
    for conversation in _one_per_category(conversations):
        for turn in conversation.turns():
            text = template.render(turn.history, conversation.tools, prompt=True)
            served = await client.render(turn.history, conversation.tools)
            _same("text", text, served, conversation.category)
            tokens = await client.tokenize(served)
            _same("tokens", template.encode(text), tokens, conversation.category)
            compared += 1
    return compared


def _one_per_category(conversations: Sequence[Conversation]) -> list[Conversation]:
    return list({c.category: c for c in reversed(conversations)}.values())


def _same(what: str, ours: Sequence[Any], served: Sequence[Any], category: str) -> None:
    if ours == served:
        return
    at = next(
        (i for i, (a, b) in enumerate(zip(ours, served, strict=False)) if a != b), min(len(ours), len(served))
    )
    around = slice(max(0, at - 20), at + 20)
    raise MismatchError(
        f"trainer and server disagree on the {what} of a {category} prompt at {at}:\n"
        f"  trainer  {ours[around]!r}\n  server   {served[around]!r}",
        "nothing was trained; report the model and the llama.cpp build, or try another build",
    )


# Weights.


def probes_of(conversations: Sequence[Conversation], template: ChatTemplate) -> list[Probe]:
    """One probe a category: in turns the end of a prompt, and the middle of its answer."""
    probes = []
    for i, conversation in enumerate(_one_per_category(conversations)):
        turn = conversation.scored_turns()[0]
        prompt, reply = template.encode_turn(turn.history, turn.answer, conversation.tools)
        said = reply[: len(reply) // 2] if i % 2 else []
        where = "within a" if said else "before a"
        probes.append(Probe(f"{where} {conversation.category} answer", (*prompt, *said)))
    return probes


def trainer_logprobs(model: Any, probes: Sequence[Probe], adapter: Path | None = None) -> list[np.ndarray]:
    """Log-probabilities of every next token, per probe, by the trainer's base or base + adapter folder."""
    prefixes = BasePrefixes()
    with attached(model, adapter) if adapter else nullcontext((model, ())) as (_, invocation):
        model.eval()
        logits = [next_token_logits(model, p.tokens, invocation, prefixes) for p in probes]
    return [row.log_softmax(-1).cpu().numpy() for row in logits]


async def served_logprobs(client: LlamaCppClient, probes: Sequence[Probe]) -> list[Logprobs]:
    """Log-probabilities of the likeliest next tokens, per probe, by a server that is asked nothing else meanwhile."""
    return [await client.next_token_logprobs(p.tokens, TOP, cache_prompt=True) for p in probes]


def base_gate(
    probes: Sequence[Probe],
    ours: Sequence[np.ndarray],
    served: Sequence[Logprobs],
    template: ChatTemplate,
    near: float = NEAR,
) -> dict[str, Any]:
    """Holds the trainer's base against the served one, which may differ by `near` (root mean square).

    Returns:
        What `likeness` counts.

    Raises:
        MismatchError: they are not the same model; with the probe that differs most.
    """
    found = likeness(ours, served)
    if not found["rms"] <= near:  # NaN, too
        said = f"{found['rms']} (rms), at most {near}"
        hint = "nothing was trained; is the served GGUF the model that is trained?"
        raise _differs("the base", said, probes, ours, served, template, hint)
    return found


def adapter_gate(
    probes: Sequence[Probe],
    ours: Sides,
    served: Sides,
    scale_zero: Sequence[Logprobs],
    template: ChatTemplate,
) -> dict[str, Any]:
    """Holds PyTorch + adapter against llama.cpp + GGUF adapter.

    Args:
        ours, served: base and base + adapter on either side.
        scale_zero: the server with the adapter at scale 0.

    Returns:
        For `metrics.json`: `probes`, `base` and `adapter` (see `likeness`), and the largest difference that
        scale 0 and (at least) scale 1 make to the served base.

    Raises:
        MismatchError: with the probe that differs most.
    """
    base, adapter = likeness(ours.base, served.base), likeness(ours.adapter, served.adapter)
    zero, one = (_largest(side, served.base) for side in (scale_zero, served.adapter))
    if not zero <= SCALE_ZERO:
        raise MismatchError(
            f"the server's adapter at scale 0 is not its base: they differ by {zero:.3g}", _HINT
        )
    if one == 0 and not all(map(np.array_equal, ours.adapter, ours.base)):
        raise MismatchError(
            "the served adapter changes nothing: at scale 1 the server answers as its base", _HINT
        )
    allowed = TIMES_BASE * base["rms"] + FLOOR
    near = adapter["relative"] <= TIMES_RELATIVE * base["relative"] + FLOOR_RELATIVE
    if not (adapter["rms"] <= allowed or near):
        said = f"{adapter['rms']} (rms), at most {allowed:.3f}, base {base['rms']}"
        raise _differs("base + adapter", said, probes, ours.adapter, served.adapter, template, _HINT)
    return {"probes": len(probes), "base": base, "adapter": adapter, "scale_0": zero, "scale_1": one}


def _largest(side: Sequence[Logprobs], base: Sequence[Logprobs]) -> float:
    """The largest difference on the base's likeliest tokens; what is not even among the side's counts as its last."""
    apart = [
        abs(row.get(i, min(row.values())) - p)
        for row, there in zip(side, base, strict=True)
        for i, p in _top(there)
    ]
    return round(max(apart), 6)


def likeness(ours: Sequence[np.ndarray], served: Sequence[Logprobs]) -> dict[str, Any]:
    """How far log-probabilities are apart on the server's likeliest tokens, how often both put the same one first.

    `largest`, `mean` and `rms` (root mean square) over the tokens of all probes; `relative`: the same of the differences
    divided by the standard deviation of their probe's log-probabilities, where that is above one nat.
    """
    apart, relative = [], []
    for row, there in zip(ours, served, strict=True):
        spread = max(float(np.std([p for _, p in _top(there)])), 1.0)
        found = [abs(float(row[i]) - p) for i, p in _top(there)]
        apart += found
        relative += [d / spread for d in found]
    same = [int(row.argmax()) == _top(there)[0][0] for row, there in zip(ours, served, strict=True)]
    return {
        "largest": round(max(apart), 4),
        "mean": round(float(np.mean(apart)), 4),
        "rms": round(float(np.sqrt(np.mean(np.square(apart)))), 4),
        "relative": round(float(np.sqrt(np.mean(np.square(relative)))), 4),
        "equal_first": {"count": sum(same), "of": len(same)},
    }


def _top(row: Logprobs) -> list[tuple[int, float]]:
    """The likeliest tokens, the first first."""
    return sorted(row.items(), key=lambda entry: -entry[1])[:TOP]


def _differs(
    what: str,
    by: str,
    probes: Sequence[Probe],
    ours: Sequence[np.ndarray],
    served: Sequence[Logprobs],
    template: ChatTemplate,
    hint: str,
) -> MismatchError:
    """The error with the likeliest tokens of the probe that differs most, both sides next to each other."""
    apart = [max(abs(float(a[i]) - p) for i, p in _top(b)) for a, b in zip(ours, served, strict=True)]
    worst = int(np.argmax(apart))
    rows = [
        f"  {template.tokenizer.decode([i])!r:<20} trainer {float(ours[worst][i]):8.3f}   server {p:8.3f}"
        for i, p in _top(served[worst])[:5]
    ]
    return MismatchError(
        f"trainer and server disagree on what {what} says next: log-probabilities differ by {by}; "
        f"{probes[worst].name}:\n" + "\n".join(rows),
        hint,
    )
