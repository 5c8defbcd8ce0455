"""Each gate lets what is right pass and catches a planted fault; scoring with and without cache is compared."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from auto_lora import AutoLoRACreator, TrainingConfig
from auto_lora._base_model import load_tokenizer
from auto_lora._errors import MismatchError
from auto_lora._progress import Quiet
from auto_lora._runs import read_json, write_json
from auto_lora._toolcall import ToolCall
from auto_lora.dialogues import SyntheticDataGenerator
from auto_lora.encode import ChatTemplate
from auto_lora.gguf_export import export_adapter
from auto_lora.llama_server import ChatReply, LlamaCppClient
from auto_lora.proof import (
    Probe,
    Sides,
    adapter_gate,
    base_gate,
    likeness,
    probes_of,
    served_logprobs,
    tokens_gate,
    trainer_logprobs,
)
from auto_lora.score import ToolCallEvaluator, differing
from tests.test_score import Model, conversation
from tests.tiny_models import random_adapter, random_model, save_gguf, vocabulary_of

WORDS = SimpleNamespace(tokenizer=SimpleNamespace(decode=lambda ids: f"<{ids[0]}>"))
PROBES = [Probe("before a single answer", (1, 2)), Probe("within a chain answer", (3,))]


def rows(seed, count=2, size=50):
    values = np.random.default_rng(seed).normal(0, 3, (count, size)).astype(np.float32)
    return list(values - np.log(np.exp(values).sum(1, keepdims=True)))


def served(arrays):
    return [dict(enumerate(map(float, row))) for row in arrays]


# The comparison, on numbers.


def test_the_same_distributions_pass_and_are_counted():
    base, adapter = rows(0), rows(1)
    found = adapter_gate(
        PROBES, Sides(base, adapter), Sides(served(base), served(adapter)), served(base), WORDS
    )
    assert found["adapter"]["largest"] == found["base"]["rms"] == found["scale_0"] == 0
    assert found["adapter"]["equal_first"] == {"count": 2, "of": 2} and found["scale_1"] > 1


def test_the_adapter_may_be_as_far_off_as_its_base():
    """A quantised base computes a little differently on either side, with the adapter and without."""
    base, adapter = rows(0), rows(1)
    near = [[row + 0.1 * np.sin(np.arange(50)) for row in side] for side in (base, adapter)]
    found = adapter_gate(PROBES, Sides(base, adapter), Sides(*map(served, near)), served(near[0]), WORDS)
    assert 0.05 < found["base"]["rms"] < 0.09 and found["scale_0"] == 0
    far = [row + 0.3 * np.sin(np.arange(50)) for row in adapter]
    with pytest.raises(MismatchError, match=r"base \+ adapter says next.* 0\.2"):
        adapter_gate(
            PROBES, Sides(base, adapter), Sides(served(near[0]), served(far)), served(near[0]), WORDS
        )


def test_unlikely_tokens_of_a_certain_answer_may_differ_by_more_than_those_of_an_open_one():
    """Tokens 8 to 20 nats below the first are rounding's: 0.49 (rms) where the base has 0.14 ended a run that was right."""
    base = rows(0)
    certain = [np.concatenate([[-0.001], -8 - 0.7 * np.arange(49)]).astype(np.float32) for _ in base]
    near = [row + 0.2 * np.sin(np.arange(50)) for row in base]
    rounded = [row * 1.04 for row in certain]  # 0.3 at -8 and 0.8 at -20

    def gate(adapter):
        return adapter_gate(
            PROBES, Sides(base, certain), Sides(served(near), served(adapter)), served(near), WORDS
        )

    found = gate(rounded)
    assert found["adapter"]["rms"] > 1.75 * found["base"]["rms"] + 0.05
    assert found["adapter"]["relative"] < found["base"]["relative"] * 1.5 + 0.02
    with pytest.raises(MismatchError, match=r"base \+ adapter says next"):
        gate([row * 1.5 for row in certain])


@pytest.mark.parametrize("strength", [0.5, 2.0])
def test_another_strength_of_the_adapter_is_caught(strength):
    base, adapter = rows(0), rows(1)
    off = [b + strength * (a - b) for a, b in zip(adapter, base, strict=True)]
    with pytest.raises(MismatchError, match=r"base \+ adapter says next") as error:
        adapter_gate(PROBES, Sides(base, adapter), Sides(served(base), served(off)), served(base), WORDS)
    first, *shown = str(error.value).splitlines()
    assert first.endswith(("before a single answer:", "within a chain answer:")) and len(shown) == 5
    assert all("trainer" in line and "server" in line for line in shown)


def test_an_adapter_that_is_not_applied_is_caught():
    base, adapter = rows(0), rows(1)
    with pytest.raises(MismatchError, match="changes nothing"):
        adapter_gate(PROBES, Sides(base, adapter), Sides(served(base), served(base)), served(base), WORDS)


def test_nan_is_near_nothing():
    base, adapter = rows(0), rows(1)
    lost = [np.full_like(row, np.nan) for row in base]
    with pytest.raises(MismatchError):
        base_gate(PROBES, lost, served(base), WORDS)
    for trained, there, zero in ((lost, adapter, base), (adapter, lost, base), (adapter, adapter, lost)):
        sides = Sides(base, trained), Sides(served(base), served(there))
        with pytest.raises(MismatchError):
            adapter_gate(PROBES, *sides, served(zero), WORDS)


def test_scale_zero_must_be_the_base():
    base, adapter = rows(0), rows(1)
    zero = [row + 0.01 for row in base]
    with pytest.raises(MismatchError, match="scale 0 is not its base"):
        adapter_gate(PROBES, Sides(base, adapter), Sides(served(base), served(adapter)), served(zero), WORDS)


def test_likeness_counts_the_same_first_token():
    ours, there = rows(0), served(rows(0))
    there[1] = {i: p for i, p in there[1].items() if i != int(ours[1].argmax())}
    assert likeness(ours, there)["equal_first"] == {"count": 1, "of": 2}


# Planted faults, against a real server.


@pytest.fixture(scope="module")
def made(tmp_path_factory, smollm, demo_tools):
    """A tiny llama with an adapter, its GGUFs, and probes of written conversations."""
    folder = tmp_path_factory.mktemp("gates")
    size = vocabulary_of(smollm)
    models = {seed: random_model("llama", size, seed) for seed in (0, 1)}
    ggufs = {seed: save_gguf(model, smollm, folder / f"{seed}.gguf") for seed, model in models.items()}
    trained = folder / "adapter"  # not beside the GGUF: transformers would take it for the model's own
    random_adapter(models[0], trained).unload()
    config = TrainingConfig(llama_cpp_model_path=str(ggufs[0]))
    template = ChatTemplate(load_tokenizer(config))
    file = folder / "chat_template.jinja"
    file.write_text(template.text, encoding="utf-8")
    conversations = SyntheticDataGenerator(demo_tools[:2], config).generate(20, "validation")
    probes = [replace(p, tokens=p.tokens[-200:]) for p in probes_of(conversations, template)]
    ours = Sides(trainer_logprobs(models[0], probes), trainer_logprobs(models[0], probes, trained))
    return SimpleNamespace(ggufs=ggufs, trained=trained, template=template, file=file, conversations=conversations, probes=probes, ours=ours, base=[])  # fmt: skip


async def ask(made, gguf, adapter=None, scale=1.0):
    async with LlamaCppClient(gguf, adapter_path=adapter, adapter_scale=scale, context=512) as client:
        return await served_logprobs(client, made.probes)


async def gate(made, adapter: Path):
    if not made.base:
        made.base.append(await ask(made, made.ggufs[0]))
    base = made.base[0]
    with_adapter = await ask(made, made.ggufs[0], adapter)
    zero = await ask(made, made.ggufs[0], adapter, 0.0)
    return adapter_gate(made.probes, made.ours, Sides(base, with_adapter), zero, made.template)


@pytest.mark.slow
async def test_what_is_trained_is_what_is_served(made, tmp_path):
    assert len(made.probes) >= 4 and {p.name.split()[0] for p in made.probes} == {"before", "within"}
    found = await gate(made, export_adapter(made.trained, made.ggufs[0], tmp_path / "a.gguf"))
    assert found["adapter"]["equal_first"]["count"] == found["probes"]
    assert found["adapter"]["largest"] < 0.02 and found["scale_0"] < 1e-3 < found["scale_1"]


@pytest.mark.slow
async def test_a_permuted_q_proj_is_caught(made, tmp_path, monkeypatch):
    from auto_lora import gguf_export

    right = gguf_export.permute
    monkeypatch.setattr(gguf_export, "permute", lambda w, n: w if n == 4 else right(w, n))  # 2: k
    wrong = export_adapter(made.trained, made.ggufs[0], tmp_path / "a.gguf")
    with pytest.raises(MismatchError, match=r"(?s)base \+ adapter says next: .*trainer .*server"):
        await gate(made, wrong)


@pytest.mark.slow
@pytest.mark.parametrize("factor", [0.5, 2])
async def test_alpha_off_by_two_is_caught(factor, made, tmp_path):
    settings = read_json(made.trained / "adapter_config.json")
    write_json(
        tmp_path / "adapter_config.json", settings | {"lora_alpha": int(settings["lora_alpha"] * factor)}
    )
    (tmp_path / "adapter_model.safetensors").write_bytes(
        (made.trained / "adapter_model.safetensors").read_bytes()
    )
    with pytest.raises(MismatchError, match=r"base \+ adapter says next"):
        await gate(made, export_adapter(tmp_path, made.ggufs[0]))


@pytest.mark.slow
async def test_another_base_is_caught_before_training(made):
    """Same shapes, other weights: an adapter trained on the one would be served on the other."""
    other = await ask(made, made.ggufs[1])
    with pytest.raises(MismatchError, match="what the base says next") as error:
        base_gate(made.probes, made.ours.base, other, made.template)
    assert "nothing was trained" in error.value.hint
    base_gate(made.probes, made.ours.base, await ask(made, made.ggufs[0]), made.template)


@pytest.mark.slow
async def test_a_template_with_one_more_newline_stops_before_training(made, tmp_path):
    changed = tmp_path / "changed.jinja"
    text = made.template.text.replace("<|im_start|>assistant\\n", "<|im_start|>assistant\\n\\n")
    changed.write_text(text, encoding="utf-8")
    async with LlamaCppClient(made.ggufs[0], chat_template_file=made.file, context=2048) as client:
        assert await tokens_gate(client, made.template, made.conversations) >= 4
    async with LlamaCppClient(made.ggufs[0], chat_template_file=changed, context=2048) as client:
        with pytest.raises(
            MismatchError, match=r"on the text of a \w+ prompt at \d+:\n  trainer .*\n  server "
        ):
            await tokens_gate(client, made.template, made.conversations)


@pytest.mark.slow
async def test_a_failed_gate_stops_the_run_before_scoring(made, demo_tools, tmp_path, monkeypatch):
    monkeypatch.setattr("auto_lora.gguf_export.permute", lambda weight, heads: weight)
    config = TrainingConfig(
        llama_cpp_model_path=str(made.ggufs[0]), output_dir=str(tmp_path), num_synthetic_examples=12, num_validation_examples=5,
        num_test_examples=5, num_epochs=2, num_iterations=1, learning_rate=0.02, max_new_tokens=16, mixed_precision="no",
    )  # fmt: skip
    with pytest.raises(MismatchError, match=r"base \+ adapter says next"):
        await AutoLoRACreator(config, demo_tools[:2], reporter=Quiet()).create_adapter()
    assert (
        not (tmp_path / "iteration_1" / "metrics.json").exists() and not (tmp_path / "final_adapter").exists()
    )


# With and without cache.


async def test_other_verdicts_without_cache_are_counted():
    """A server whose cached answer to p3 is another one than its fresh one, and to p6 only in its words."""
    on = ToolCall("set_light", {"room": "kitchen"})

    class Leaky(Model):
        async def chat(self, messages, tools=(), *, cache_prompt=True, **params):
            name = messages[-1]["content"]
            call = ToolCall("set_light", {"room": "office"}) if name == "p3" and cache_prompt else on
            words = "yes" if name == "p6" and cache_prompt else ""
            return ChatReply((call,), words, f"{words}{call}", "", "stop")

    evaluator = ToolCallEvaluator([conversation(f"p{i}", [on]) for i in range(12)], parallel=2)
    model = Leaky(None)
    scored = await evaluator.evaluate(model, "m")
    found = await evaluator.check_cache(model, scored, 12)
    assert found == {"cases": 12, "verdicts": 1, "answers": 2, "ids": ["p3"]}
    assert (await evaluator.check_cache(model, scored, 3))["cases"] == 3
    assert differing(scored, scored)["answers"] == 0 and math.isclose(scored.exact, 11 / 12)
