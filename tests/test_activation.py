"""Activated LoRA: the adapter acts from the user's first message on, in trainer, PEFT, GGUF and server alike."""

from __future__ import annotations

import copy
import warnings

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from torch.nn import functional as F

from auto_lora._activation import BasePrefixes, adapter_off, attached, next_token_logits
from auto_lora._attach import attach_lora
from auto_lora._base_model import load_tokenizer
from auto_lora._processes import Processes
from auto_lora._settings import PROJECTIONS, TrainingConfig
from auto_lora._shared_prefix import run_group, save_memory, use_shared_prefix
from auto_lora.dialogues import SyntheticDataGenerator
from auto_lora.encode import ChatTemplate, begins_at, group_by_prefix, last_run_of
from auto_lora.score_forgetting import _attached
from tests.test_shared_prefix import distance, examples, gradients, tiny
from tests.tiny_models import random_adapter
from tests.train_tiny import tiny_base

ACTS_FROM = 30  # of the 40 tokens that the examples share
MARK = slice(ACTS_FROM + 1, ACTS_FROM + 4)


def by_peft(peft_model, batch) -> dict[str, torch.Tensor]:
    """PEFT's own activated LoRA, example by example; it begins with its invocation, llama.cpp one token before."""
    config = LoraConfig(
        r=4, lora_alpha=8, target_modules=list(PROJECTIONS), task_type="CAUSAL_LM",
        alora_invocation_tokens=list(batch[0].ids[MARK.start - 1 : MARK.stop]),
    )  # fmt: skip
    weights = get_peft_model_state_dict(peft_model)
    other = get_peft_model(copy.deepcopy(peft_model).unload(), config)
    set_peft_model_state_dict(other, weights)
    targets = sum(e.targets for e in batch)
    for e in batch:
        ids = torch.tensor([e.ids])
        labels = torch.where(torch.tensor([e.target]), ids, -100)
        logits = other(input_ids=ids).logits.float()
        loss = F.cross_entropy(logits[0, :-1], labels[0, 1:], reduction="sum")
        (loss / targets).backward()
    return gradients(other)


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("kind", ["llama", "qwen3"])
def test_gradients_are_those_of_pefts_activated_lora(kind, checkpointing):
    batch = examples(40, [9, 30, 12, 8])
    mark = batch[0].ids[MARK]
    (group,) = group_by_prefix(batch, mark)
    assert len(group.prefix) == ACTS_FROM
    model = tiny(kind)
    expected = by_peft(model, batch)
    base = model.get_base_model()
    use_shared_prefix(base)
    if checkpointing:
        save_memory(base)
        model.train()
    read = BasePrefixes().of(base, group.prefix)
    run_group(base, group, 2, sum(e.targets for e in batch), read=read)
    assert distance(gradients(model), expected) <= 1e-5


def test_a_prefix_is_read_by_the_base_and_once():
    batch = examples(40, [9, 12])
    model = tiny("llama").get_base_model()
    use_shared_prefix(model)
    prefixes = BasePrefixes(keep=1)
    first = prefixes.of(model, batch[0].head or batch[0].ids[:40])
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_" in name:
                weight.normal_()
    again = prefixes.of(model, batch[0].head or batch[0].ids[:40])
    assert all(
        a is b
        for pair, other in zip(first.pairs.values(), again.pairs.values(), strict=True)
        for a, b in zip(pair, other, strict=True)
    )
    prefixes.of(model, batch[0].ids[:20])
    anew = prefixes.of(model, batch[0].head or batch[0].ids[:40])  # the other took its place
    assert all(
        torch.equal(a, b) for i in first.pairs for a, b in zip(first.pairs[i], anew.pairs[i], strict=True)
    )


def test_what_does_not_hold_the_invocation_is_the_bases_own():
    (one,) = examples(40, [9])
    model = tiny("llama").get_base_model()
    use_shared_prefix(model)
    with adapter_off(model):
        base = next_token_logits(model, one.ids)
    absent = (198, 198, 198, 198)
    assert torch.equal(next_token_logits(model, one.ids, absent), base)
    assert not torch.allclose(next_token_logits(model, one.ids, one.ids[MARK]), base)
    assert not torch.allclose(
        next_token_logits(model, one.ids), next_token_logits(model, one.ids, one.ids[MARK])
    )


@given(st.lists(st.integers(0, 3), max_size=30), st.lists(st.integers(0, 3), min_size=1, max_size=4))
def test_a_run_that_is_found_is_there(tokens, run):
    at = last_run_of(run, tokens)
    if at is not None:
        assert tokens[at : at + len(run)] == run
        assert begins_at(tokens, run) == max(0, at - 1)
    elif len(run) == 1:
        assert run[0] not in tokens


def test_the_invocation_stands_once_before_the_first_message(smollm, demo_tools):
    """Also where tools answer under the user's name, and whatever the user begins with."""
    config = TrainingConfig(llama_cpp_model_path=str(smollm))
    template = ChatTemplate(load_tokenizer(config))
    conversations = SyntheticDataGenerator(demo_tools, config).generate(12, "train")
    mark = template.invocation
    assert mark[-1] in template.special_ids
    for said in ("hello", "\n\nhello", " x", "<tool_call>", "1"):
        for conversation in conversations:
            messages = [{**m, "content": said} if m["role"] == "user" else m for m in conversation.messages]
            text = template.render(
                [*messages, {"role": "user", "content": said}], conversation.tools, prompt=True
            )
            before = template.encode(text[: text.index("<|im_start|>user")])
            assert last_run_of(mark, template.encode(text)) == len(before) + 1 - len(mark)


@pytest.mark.filterwarnings("error:.*is_gradient_checkpointing")
def test_an_adapter_is_taken_on_and_off_without_a_warning(tmp_path):
    base = tiny_base()
    attach_lora(
        base, TrainingConfig(lora_r=4), checkpointing=False, sharded=False, processes=Processes()
    ).unload()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the test's own call of PEFT
        random_adapter(base.model, tmp_path).unload()
    for take_on in (attached, _attached):
        with take_on(base.model, tmp_path):
            pass
