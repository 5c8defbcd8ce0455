"""Tokens, loss masks, prefixes."""

from __future__ import annotations

import os

import pytest

from auto_lora._conversation import Conversation
from auto_lora._errors import DataError
from auto_lora._settings import TrainingConfig
from auto_lora._toolcall import ToolCall, parse_reply
from auto_lora.dialogues import SyntheticDataGenerator
from auto_lora.encode import ChatTemplate, ToolCallingDataset, hermes_template

NASTY = 'Zoë said "hi"\nand {left} <b>\\ 東京 🎉</b>'


@pytest.fixture(scope="module")
def tokenizer(smollm):
    from auto_lora._base_model import load_tokenizer

    return load_tokenizer(TrainingConfig(llama_cpp_model_path=str(smollm)))


@pytest.fixture(scope="module")
def conversations(demo_tools):
    return SyntheticDataGenerator(demo_tools, TrainingConfig()).generate(60, "train")


@pytest.fixture(scope="module")
def dataset(conversations, tokenizer):
    return ToolCallingDataset(conversations, ChatTemplate(tokenizer))


def nasty(tools) -> Conversation:
    call = ToolCall("send_message", {"contact_id": 'A"1', "text": NASTY})
    messages = (
        {"role": "user", "content": NASTY},
        {"role": "assistant", "content": "", "tool_calls": [call.to_message("abcdefghi")]},
        {
            "role": "tool",
            "tool_call_id": "abcdefghi",
            "name": "send_message",
            "content": '{"delivered": true}',
        },
        {"role": "assistant", "content": f"Sent: {NASTY}"},
    )
    return Conversation("n", "single", messages, tuple(t.to_openai() for t in tools))


def test_a_template_without_tools_is_replaced(tokenizer):
    assert "tools" not in tokenizer.chat_template
    assert ChatTemplate(tokenizer).source == "hermes"
    tokenizer_with = type("T", (), {})()
    tokenizer_with.chat_template = hermes_template()
    tokenizer_with.apply_chat_template = tokenizer.apply_chat_template
    assert ChatTemplate(tokenizer_with).source == "the model's own"


def test_loss_is_on_assistant_tokens_only(conversations, dataset):
    assert len(dataset) == len(conversations) and not dataset.dropped
    for i, conversation in enumerate(conversations):
        text = dataset.decode_labels(i)
        wanted = list(conversation.turns())
        assert text.count("<|im_end|>") == len(wanted)
        assert list(parse_reply(text).calls) == [c for t in wanted for c in t.expected]
        for turn in wanted:
            assert turn.answer["content"] in text
        assert "<|im_start|>" not in text and "tool_response" not in text


def test_the_supervised_part_continues_the_generation_prompt(conversations, dataset):
    template = dataset.template
    for example, conversation in zip(dataset.examples, conversations, strict=True):
        turn = next(conversation.turns())
        prompt = template.encode(template.render(turn.history, conversation.tools, prompt=True))
        assert list(example.ids[: len(prompt)]) == prompt and example.first_target == len(prompt)


def test_labels_for_other_trainers(dataset):
    item = dataset[0]
    assert len(item["input_ids"]) == len(item["labels"]) == len(item["attention_mask"])
    assert {a for a, b in zip(item["labels"], item["input_ids"], strict=True) if a != b} == {-100}


def test_one_group_with_the_whole_tool_list_as_prefix(dataset, tokenizer, demo_tools):
    (group,) = dataset.groups
    text = tokenizer.decode(list(group.prefix))
    assert all(t.name in text for t in demo_tools) and "</tools>" in text
    assert all(
        e.ids[: len(group.prefix)] == group.prefix and e.first_target > len(group.prefix)
        for e in group.examples
    )


def test_nasty_text_survives(tokenizer, demo_tools):
    dataset = ToolCallingDataset([nasty(demo_tools)], ChatTemplate(tokenizer))
    text = "".join(dataset.decode_labels(i) for i in range(len(dataset)))
    assert parse_reply(text).calls[0].arguments["text"] == NASTY and f"Sent: {NASTY}" in text


def test_what_does_not_fit_is_dropped_whole_and_counted(conversations, tokenizer):
    template = ChatTemplate(tokenizer)
    lengths = sorted(len(e) for e in ToolCallingDataset(conversations, template).examples)
    limit = lengths[len(lengths) // 2]
    dataset = ToolCallingDataset(conversations, template, limit)
    assert max(len(e) for e in dataset.examples) <= limit
    assert dataset.dropped["longer than max_seq_length"] == sum(n > limit for n in lengths)
    with pytest.raises(DataError, match="no conversation fits"):
        ToolCallingDataset(conversations, template, 64)


def test_two_tool_lists_are_two_groups(conversations, tokenizer, demo_tools):
    fewer = [Conversation(c.id + "b", c.category, c.messages, c.tools[:3], c.meta) for c in conversations[:5]]
    dataset = ToolCallingDataset([*conversations[:5], *fewer], ChatTemplate(tokenizer))
    assert [len(g.examples) for g in dataset.groups] == [5, 5]
    assert len(dataset.groups[0].prefix) > len(dataset.groups[1].prefix)


@pytest.mark.slow
@pytest.mark.parametrize("native", [False, True])
async def test_tokens_equal_the_servers(native, smollm, tokenizer, conversations, demo_tools, tmp_path):
    """Every category and nasty text, against /apply-template and /tokenize of a real server."""
    from auto_lora.llama_server import LlamaCppClient
    from auto_lora.proof import tokens_gate

    if native and not os.environ.get("NATIVE_LLAMA_CPP"):
        pytest.skip("NATIVE_LLAMA_CPP names no llama.cpp build")
    template = ChatTemplate(tokenizer)
    file = tmp_path / "t.jinja"
    file.write_text(template.text, encoding="utf-8")
    path = os.environ.get("NATIVE_LLAMA_CPP") if native else None
    async with LlamaCppClient(
        smollm, chat_template_file=file, log_path=tmp_path / "log", llama_cpp_path=path
    ) as client:
        cases = [*conversations, nasty(demo_tools)]
        assert await tokens_gate(client, template, cases) >= 8
        for turn in cases[-1].turns():
            text = template.render(turn.history, cases[-1].tools, prompt=True)
            assert await client.render(turn.history, cases[-1].tools) == text
            assert await client.tokenize(text) == template.encode(text)
