"""Forgetting: KL of real small models, degenerate answers, adapter scales on the real server."""

from __future__ import annotations

import json

import pytest
import torch
from torch.nn import functional as F

from auto_lora._conversation import Conversation
from auto_lora._errors import ServerError
from auto_lora._intervals import paired_test
from auto_lora._toolcall import ToolCall
from auto_lora.encode import ChatTemplate, hermes_template
from auto_lora.gguf_export import export_adapter
from auto_lora.handover import floor_verdict, forgetting_sentence
from auto_lora.llama_server import ChatReply, LlamaCppClient
from auto_lora.rehearsal import PROBES_FILE
from auto_lora.score import ToolCallEvaluator
from auto_lora.score_forgetting import (
    SCALES,
    PlainAnswer,
    adapter_drift,
    answer_plainly,
    degeneration,
    kl_per_token,
    ordinary_prompts,
    score_forgetting,
    spread,
)
from auto_lora.triage import Round
from tests.tiny_models import random_adapter, random_model, save_gguf, vocabulary_of

SEQUENCES = [([1, 5, 9], [3, 4]), ([2], [7, 8, 9, 10]), ([4, 4, 4, 4, 4], [1]), ([8, 1], [2, 3]), ([9], [9])]


def said(text: str, *, cut: bool = False, called: bool = False) -> PlainAnswer:
    return PlainAnswer(({"role": "user", "content": "hi"},), text, cut, called)


@pytest.fixture
def adapted(tmp_path):
    return random_adapter(random_model("llama", 50), tmp_path)


def scale_b(adapted, factor: float):
    with torch.no_grad():
        for name, weight in adapted.named_parameters():
            if "lora_B" in name:
                weight.mul_(factor)


def test_the_prompts_are_enough_of_three_kinds_and_all_different():
    kinds = json.loads(PROBES_FILE.read_text(encoding="utf-8"))
    everything = [p for prompts in kinds.values() for p in prompts]
    assert set(kinds) == {"chat", "knowledge", "reasoning"} and len(set(everything)) == len(everything) >= 40
    first = [m[-1]["content"] for m in ordinary_prompts(24)]
    assert all(len(set(first) & set(prompts)) == 8 for prompts in kinds.values())
    assert ordinary_prompts(1, "Be kind.")[0][0] == {"role": "system", "content": "Be kind."}
    assert len(ordinary_prompts(1000)) == len(everything)


def test_kl_of_a_model_with_itself_is_zero(adapted):
    assert kl_per_token(adapted, SEQUENCES, (0.0,))[0.0] == 0
    scale_b(adapted, 0)
    assert kl_per_token(adapted, SEQUENCES, (1.0,))[1.0] == 0


def test_kl_is_the_full_sum_over_the_vocabulary_at_answer_positions(adapted):
    total, count = 0.0, 0
    for prompt, answer in SEQUENCES:
        ids = torch.tensor([[*prompt, *answer]])
        with torch.no_grad():
            other = adapted(ids).logits[0].double().log_softmax(-1)
            with adapted.disable_adapter():
                base = adapted(ids).logits[0].double().log_softmax(-1)
        kept = slice(len(prompt) - 1, len(prompt) + len(answer) - 1)
        total += float(F.kl_div(other[kept], base[kept], reduction="sum", log_target=True))
        count += len(answer)
    assert kl_per_token(adapted, SEQUENCES, (1.0,))[1.0] == pytest.approx(total / count, rel=1e-4)


def test_a_large_adapter_is_far_and_a_scale_is_the_same_as_a_smaller_b(adapted):
    found = kl_per_token(adapted, SEQUENCES, (0.25, 1.0))
    assert 0 < found[0.25] < found[1.0]
    scale_b(adapted, 0.25)
    assert kl_per_token(adapted, SEQUENCES, (1.0,))[1.0] == pytest.approx(found[0.25], rel=1e-4)
    scale_b(adapted, 400)
    assert kl_per_token(adapted, SEQUENCES, (1.0,))[1.0] > max(1.0, 2 * found[1.0])


def test_drift_reads_the_adapter_and_leaves_the_base_as_it_was(tmp_path, smollm):
    from auto_lora._base_model import load_tokenizer
    from auto_lora._settings import TrainingConfig

    template = ChatTemplate(load_tokenizer(TrainingConfig(llama_cpp_model_path=str(smollm))))
    model = random_model("llama", len(template.tokenizer))
    random_adapter(model, tmp_path).unload()
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    answers = [said("Good morning to you."), said("One two three", cut=True), said("")]
    drift = adapter_drift(model, tmp_path, template, answers)
    assert list(drift) == [str(s) for s in SCALES] and 0 < drift["0.25"] < drift["1.0"]
    after = dict(model.named_parameters())
    assert after.keys() == before.keys() and all(torch.equal(after[n], before[n]) for n in before)


LOOP = "the cat sat on " * 6


@pytest.mark.parametrize(
    ("text", "cut", "base_cut", "kind"),
    [
        ("Paris is the capital of France.", False, False, ""),
        ("", False, False, "empty"),
        (" \n", False, False, "empty"),
        (LOOP, True, True, "repeats"),
        ("I can see that it is so, and that. " + LOOP, False, False, "repeats"),
        ("!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!", False, False, "repeats"),
        ("In twilight, a leaf's a leaf,\nA leaf's a leaf: a leaf's a leaf, a leaf's a leaf", True, True, "repeats"),
        ("no no no no", False, False, ""),
        ("One of the best ways to rest is one of the oldest: to sleep, and one of the rarest.", False, False, ""),
        ("A long story that never comes to its", True, False, "runs on"),
        ("A long story that never comes to its", True, True, ""),
    ],
)  # fmt: skip
def test_degenerate_answers(text, cut, base_cut, kind):
    assert degeneration(said(text, cut=cut), said("Paris.", cut=base_cut)) == kind


def test_the_sample_is_spread_over_the_list():
    assert (
        spread(list(range(10)), 5) == [0, 2, 4, 6, 8] and spread([1, 2], 9) == [1, 2] and spread([], 3) == []
    )


class Served:
    """A served adapter at the outer boundary: calls above scale 0.6, and beside tools where the prompt is odd."""

    scale = 1.0

    async def set_adapter_scale(self, scale):
        self.scale = scale

    async def chat(self, messages, tools=(), **params):
        text = messages[-1]["content"]
        on = ToolCall("set_light", {"room": "kitchen"})
        if text == "light on":
            return ChatReply((on,) if self.scale > 0.6 else (), "", "", "", "stop")
        if tools and text == "odd":
            return ChatReply((), "", "<tool_call>", "truncated", "length")
        return ChatReply((), LOOP if text == "odd" else "Fine.", "", "", "stop")


async def test_all_figures_of_a_served_adapter():
    call = ToolCall("set_light", {"room": "kitchen"}).to_message("id0000001")
    messages = (
        {"role": "user", "content": "light on"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
    )
    cases = [Conversation(f"c{i}", "single", messages, ({"x": 1},)) for i in range(3)]
    base = [
        PlainAnswer(({"role": "user", "content": t},), "Yes.", False, False) for t in ("a", "b", "odd", "d")
    ]
    drift = {str(s): s / 2 for s in SCALES}
    served = Served()
    found = await score_forgetting(served, base, drift, tools=[{"x": 1}], evaluator=ToolCallEvaluator(cases))
    assert found["kl_per_token"] == 0.5 and served.scale == 1.0
    assert (found["called"]["count"], found["called"]["of"]) == (1, 4)
    assert found["degenerate"]["count"] == 1 and found["degenerate_base"]["count"] == 0
    assert [r["exact"]["count"] for r in found["scales"]] == [0, 0, 3, 3, 3]
    assert [r["kl_per_token"] for r in found["scales"]] == [s / 2 for s in SCALES]
    sentence = forgetting_sentence({"forgetting": found})
    assert (
        "0.500 nats" in sentence
        and "1/4  25 % [5-70] call one" in sentence
        and "0.5: 0 (KL 0.25)" in sentence
    )
    unmeasured = await score_forgetting(served, base, None, tools=[], evaluator=None)
    assert unmeasured["kl_per_token"] is None and unmeasured["scales"] == []
    assert "KL not measured" in forgetting_sentence({"forgetting": unmeasured})


def test_the_floor():
    assert "more than max_forgetting_kl 0.5" in floor_verdict(0.7, 0.5)
    assert not floor_verdict(0.5, 0.5) and not floor_verdict(9.0, 0) and not floor_verdict(None, 0.5)


def test_the_best_round_is_one_that_keeps_the_floor():
    good, forgetful, better, surer = (
        Round(n, exact, loss, keeps, None, None)
        for n, (exact, loss, keeps) in enumerate(
            [(0.5, 0.1, True), (0.9, 0.1, False), (0.6, 0.3, True), (0.6, 0.2, True)]
        )
    )
    assert forgetful.rank < good.rank < better.rank < surer.rank


@pytest.mark.parametrize(
    ("gained", "lost", "within"), [(0, 0, True), (1, 0, True), (2, 0, False), (6, 4, True), (9, 2, False), (1, 5, True)]
)  # fmt: skip
def test_the_error_bar_of_a_round(gained, lost, within):
    """Gained less lost beside the square root of their sum; the first round has none."""
    later = Round(2, 0.5, 0.1, True, None, None, paired_test(gained, lost))
    assert later.within_error is within
    assert not Round(1, 0.5, 0.1, True, None, None).within_error


@pytest.mark.slow
async def test_scales_on_the_server_are_those_of_a_server_started_so(smollm, tmp_path):
    """Changing the scale of a running server gives what a fresh one gives, whatever its slots held before."""
    vocabulary = vocabulary_of(smollm)
    model = random_model("llama", vocabulary)
    base = save_gguf(model, smollm, tmp_path / "base.gguf")
    random_adapter(model, tmp_path)
    adapter = export_adapter(tmp_path, base, tmp_path / "adapter.gguf", outtype="f32")
    prompt = "The quick brown fox jumps over the lazy dog, and so does every fox after it."

    async def ask(client: LlamaCppClient) -> list[float]:
        value = await client.complete(prompt, n_predict=1, n_probs=5, cache_prompt=True)
        return [t["logprob"] for t in value["completion_probabilities"][0]["top_logprobs"]]

    fresh, changed = {}, {}
    for scale in (0.0, 0.5, 1.0):
        options = {"adapter_path": adapter, "adapter_scale": scale, "context": 256}
        async with LlamaCppClient(base, **options) as client:
            fresh[scale] = await ask(client)
    async with LlamaCppClient(base, adapter_path=adapter, context=256, parallel=2) as client:
        await ask(client)
        for scale in (0.5, 0.0, 1.0):
            await client.set_adapter_scale(scale)
            changed[scale] = await ask(client)
    for scale, logprobs in fresh.items():
        assert changed[scale] == pytest.approx(logprobs, abs=2e-3)
    assert fresh[0.5] != pytest.approx(fresh[1.0], abs=0.05) and fresh[0.0] != pytest.approx(
        fresh[0.5], abs=0.05
    )


@pytest.mark.slow
async def test_a_base_alone_has_no_scale_and_answers_plainly(smollm, tmp_path):
    template = tmp_path / "template.jinja"
    template.write_text(hermes_template(), encoding="utf-8")
    async with LlamaCppClient(smollm, chat_template_file=template, context=256, parallel=2) as client:
        answers = await answer_plainly(client, ordinary_prompts(3), max_tokens=12)
        with pytest.raises(ServerError, match="serves no adapter"):
            await client.set_adapter_scale(0.5)
    assert all(a.text and not a.called for a in answers)
