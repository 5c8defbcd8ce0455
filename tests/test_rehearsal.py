"""The base's own answers, kept beside the calls: what is asked, what is learnt of it."""

from __future__ import annotations

import pytest
import torch

from auto_lora._base_model import load_base, load_tokenizer
from auto_lora._conversation import Conversation
from auto_lora._settings import TrainingConfig
from auto_lora._shared_prefix import ATTENTION, plain_attention
from auto_lora.dialogues.definitions.phrasebook import words_of
from auto_lora.encode import ChatTemplate, ToolCallingDataset
from auto_lora.rehearsal import (
    ANSWER_TOKENS,
    OwnAnswer,
    ordinary_stock,
    own_answers,
    rehearsal_prompts,
    rehearse,
    rehearsed,
)
from auto_lora.score_forgetting import ordinary_prompts

STOCK = ordinary_stock()


def test_no_prompt_is_rehearsed_that_forgetting_is_measured_with():
    probes = [set(words_of(m[-1]["content"])) for m in ordinary_prompts(100)]
    assert len(STOCK) > 150 and "why is the sky blue" not in STOCK
    for prompt in STOCK:
        words = set(words_of(prompt))
        assert not any(words <= probe for probe in probes), prompt


@pytest.mark.parametrize("cut", [True, False])
def test_the_end_of_a_cut_answer_is_not_learnt(smollm, cut):
    template = ChatTemplate(load_tokenizer(TrainingConfig(llama_cpp_model_path=str(smollm))))
    said = ({"role": "user", "content": "hi"}, {"role": "assistant", "content": "I am glad to"})
    dataset = ToolCallingDataset([Conversation("a", "no_call", said, (), {"cut": cut})], template)
    assert dataset.decode_labels(0) == "I am glad to" + ("" if cut else "<|im_end|>")


CIRCLES = "I'm here to help. I'm here to help. I'm here to help you."


def test_requests_for_tools_that_are_not_there_are_no_ordinary_prompts():
    assert "look up beekeeping" not in STOCK and "find me a cheap lawn mower" not in STOCK


def test_rehearsed_prompts_show_no_tools_and_hold_the_system_prompt():
    first, second, third = rehearsal_prompts(3, 1)
    own = {
        first: OwnAnswer("Well.", False),
        second: OwnAnswer(CIRCLES, True),
        third: OwnAnswer("Yes?", False),
    }
    made = rehearsed(own, 3, 1, "Be kind.")
    assert [c.messages[1]["content"] for c in made] == [first, third]
    assert all(not c.tools and c.messages[0]["content"] == "Be kind." for c in made)


@pytest.mark.slow
def test_answers_in_a_batch_are_those_the_base_gives_alone(smollm):
    base = load_base(TrainingConfig(llama_cpp_model_path=str(smollm), mixed_precision="no"))
    template = ChatTemplate(base.tokenizer)
    own = own_answers(base, template, rehearsal_prompts(5, 3))
    made = rehearsed(own, 5, 3)
    assert len({len(template.encode(template.render(c.messages[:1], prompt=True))) for c in made}) > 1
    for c in made:
        prompt = torch.tensor([template.encode(template.render(c.messages[:1], prompt=True))])
        with torch.inference_mode(), plain_attention(base.model):
            alone = base.model.generate(
                input_ids=prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=ANSWER_TOKENS,
                do_sample=False, pad_token_id=0, eos_token_id=sorted(template.special_ids),
            )  # fmt: skip
        text = base.tokenizer.decode(alone[0, prompt.shape[1] :], skip_special_tokens=True).strip()
        assert c.messages[-1]["content"] == text and not c.tools
        assert c.meta["cut"] == (alone.shape[1] - prompt.shape[1] == ANSWER_TOKENS)
    assert base.model.config._attn_implementation == ATTENTION
    assert [c.to_json() for c in made] == [
        c.to_json() for c in rehearsed(own_answers(base, template, own), 5, 3)
    ]


@pytest.mark.slow
def test_an_answer_is_asked_for_once_a_run(smollm, tmp_path, monkeypatch):
    config = TrainingConfig(llama_cpp_model_path=str(smollm), num_synthetic_examples=10, rehearsal_share=0.2)
    base = load_base(config)
    template = ChatTemplate(base.tokenizer)
    made = rehearse(base, template, config, tmp_path / "own.json")
    assert 0 < len(made) <= 2
    monkeypatch.setattr("auto_lora.rehearsal._answers", None)  # would fail if it were called again
    assert made == rehearse(base, template, config, tmp_path / "own.json")
