"""The shared-prefix step gives the gradients of the padded batch."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from peft import LoraConfig, get_peft_model
from torch.nn import functional as F
from transformers import AutoConfig, AutoModelForCausalLM

from auto_lora import _shared_prefix, _tiled_attention
from auto_lora._errors import ModelError
from auto_lora._rows import micro_groups
from auto_lora._settings import PROJECTIONS
from auto_lora._shared_prefix import run_group, save_memory, use_shared_prefix
from auto_lora._tiled_attention import tiled_attention
from auto_lora.encode import Example, PrefixGroup, group_by_prefix

SHAPE = {
    "vocab_size": 199, "hidden_size": 48, "intermediate_size": 96, "num_hidden_layers": 3,
    "num_attention_heads": 6, "num_key_value_heads": 2, "max_position_embeddings": 512,
}  # fmt: skip


def tiny(kind: str, dtype: torch.dtype = torch.float32, **changes):
    """A random model with a LoRA whose B is not zero."""
    torch.manual_seed(1)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **SHAPE, **changes))
    lora = LoraConfig(r=4, lora_alpha=8, target_modules=list(PROJECTIONS), task_type="CAUSAL_LM")
    peft_model = get_peft_model(model.requires_grad_(False), lora)
    with torch.no_grad():
        for name, weight in peft_model.named_parameters():
            if "lora_B" in name:
                weight.normal_(0, 0.05)
    for name, parameter in peft_model.named_parameters():
        if "lora_" not in name:
            parameter.data = parameter.data.to(dtype)
    return peft_model


def examples(prefix: int, lengths: list[int], *, seed: int = 0, spans: int = 1) -> list[Example]:
    generator = torch.Generator().manual_seed(seed)
    head = torch.randint(3, 199, (prefix,), generator=generator).tolist()
    made = []
    for n, length in enumerate(lengths):
        own = torch.randint(3, 199, (length,), generator=generator).tolist()
        own[0] = 3 + n  # examples differ right after the prefix
        target = [False] * length
        for s in range(spans):
            start = 2 + s * (length // spans)
            target[start : start + max(1, length // spans - 3)] = [True] * max(1, length // spans - 3)
        made.append(
            Example.of(tuple(head + own), (*([False] * prefix), *target[:length]), str(n), f"k{seed}")
        )
    return made


def padded_gradients(peft_model, batch: list[Example]) -> dict[str, torch.Tensor]:
    """The plain way: one padded batch with an attention mask, mean over all targets."""
    width = max(len(e) for e in batch)
    ids = torch.zeros(len(batch), width, dtype=torch.long)
    labels = torch.full((len(batch), width), -100)
    mask = torch.zeros(len(batch), width, dtype=torch.long)
    for row, e in enumerate(batch):
        ids[row, : len(e)] = torch.tensor(e.ids)
        mask[row, : len(e)] = 1
        labels[row, : len(e)] = torch.where(torch.tensor(e.target), torch.tensor(e.ids), -100)
    logits = peft_model(input_ids=ids, attention_mask=mask).logits.float()
    F.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten()).backward()
    return gradients(peft_model)


def shared_gradients(peft_model, groups: list[PrefixGroup], micro: int) -> dict[str, torch.Tensor]:
    model = peft_model.get_base_model()
    use_shared_prefix(model)
    tokens = sum(e.targets for g in groups for e in g.examples)
    for group in groups:
        run_group(model, group, micro, tokens)
    return gradients(peft_model)


def gradients(peft_model) -> dict[str, torch.Tensor]:
    return {n: p.grad.clone() for n, p in peft_model.named_parameters() if p.grad is not None}


def distance(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor], part: str = "") -> float:
    names = [n for n in a if part in n]
    assert names and a.keys() == b.keys()
    off = torch.stack([(a[n] - b[n]).float().norm() for n in names]).norm()
    return float(off / torch.stack([b[n].float().norm() for n in names]).norm())


@pytest.fixture(params=["tiles", "rows"])
def way(request, monkeypatch):
    """A processor's packed rows and tiles, and a GPU's padded rows."""
    if request.param == "rows":
        monkeypatch.setattr(_shared_prefix, "is_packed", lambda _: False)


CASES = {
    "one": ([9], 1, 1),
    "several": ([9, 7, 12, 8, 10], 1, 2),
    "unequal": ([4, 90, 5, 33], 1, 3),
    "multi-turn": ([20, 31, 26], 3, 2),
}


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("kind", ["llama", "qwen2", "qwen3"])
@pytest.mark.parametrize("case", CASES)
def test_gradients_equal_the_padded_batch(kind, case):
    lengths, spans, micro = CASES[case]
    batch = examples(40, lengths, spans=spans)
    plain = tiny(kind)
    shared = copy.deepcopy(plain)
    expected = padded_gradients(plain, batch)
    actual = shared_gradients(shared, group_by_prefix(batch), micro)
    for part in ("lora_A", "lora_B"):
        assert distance(actual, expected, part) <= 1e-5


@pytest.mark.usefixtures("way")
def test_two_tool_lists_in_one_step():
    batch = examples(40, [9, 12, 7], seed=1) + examples(25, [8, 11], seed=2)
    plain = tiny("qwen3")
    shared = copy.deepcopy(plain)
    groups = group_by_prefix(batch)
    assert [len(g.prefix) for g in groups] == [40, 25]
    assert distance(shared_gradients(shared, groups, 2), padded_gradients(plain, batch)) <= 1e-5


@pytest.mark.parametrize("kind", ["llama", "qwen2", "qwen3"])
def test_bfloat16_is_as_close_to_float32_as_the_padded_batch_is(kind):
    batch = examples(40, [9, 30, 12, 8])
    exact = padded_gradients(tiny(kind), batch)
    padded_off = distance(padded_gradients(tiny(kind, torch.bfloat16), batch), exact)
    shared_off = distance(shared_gradients(tiny(kind, torch.bfloat16), group_by_prefix(batch), 2), exact)
    assert shared_off <= max(1e-2, 1.5 * padded_off), (shared_off, padded_off)


@pytest.mark.usefixtures("way")
def test_gradient_checkpointing_changes_nothing():
    batch = examples(40, [9, 12, 7])
    plain = tiny("llama")
    saving = copy.deepcopy(plain)
    save_memory(saving.get_base_model())
    saving.train()
    expected = padded_gradients(plain, batch)
    assert distance(shared_gradients(saving, group_by_prefix(batch), 2), expected) <= 1e-5


def test_sums_count_targets_and_exact_examples():
    batch = examples(10, [6, 9])
    model = tiny("llama").get_base_model()
    use_shared_prefix(model)
    sums = run_group(model, group_by_prefix(batch)[0], 8, None)
    assert (sums.examples, sums.tokens) == (2, sum(e.targets for e in batch))
    assert sums.exact == 0 and 3 < sums.mean_loss < 8


@pytest.mark.usefixtures("way")
def test_no_shared_prefix_at_all():
    batch = [
        Example.of((5, 6, 7, 8), (False, False, True, True), "a", "k"),
        Example.of((9, 6, 7), (False, False, True), "b", "k"),
    ]
    (group,) = group_by_prefix(batch)
    assert group.prefix == ()
    plain = tiny("llama")
    shared = copy.deepcopy(plain)
    assert distance(shared_gradients(shared, [group], 2), padded_gradients(plain, batch)) <= 1e-5


WINDOWS = {
    "qwen2": {"use_sliding_window": True, "max_window_layers": 1},
    "gemma3_text": {"sliding_window_pattern": 2, "head_dim": 8, "final_logit_softcapping": None},
}


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("window", [5, 16, 45, 300])
@pytest.mark.parametrize("kind", WINDOWS)
def test_sliding_windows_shorter_and_longer_than_prefix_and_example(kind, window):
    batch = examples(40, [9, 30, 12, 8])
    plain = tiny(kind, sliding_window=window, **WINDOWS[kind])
    assert "sliding_attention" in plain.config.layer_types
    shared = copy.deepcopy(plain)
    expected = padded_gradients(plain, batch)
    assert distance(shared_gradients(shared, group_by_prefix(batch), 2), expected) <= 1e-5


def test_soft_capped_logits_are_refused():
    model = tiny("gemma2", head_dim=8).get_base_model()
    with pytest.raises(ModelError, match="attn_logit_softcapping"):
        use_shared_prefix(model)


@pytest.mark.usefixtures("way")
def test_an_example_without_targets_changes_nothing():
    batch = examples(40, [9, 12])
    empty = Example.of(batch[0].ids, (False,) * len(batch[0]), "filler", batch[0].key)
    plain = tiny("llama")
    shared = copy.deepcopy(plain)
    (group,) = group_by_prefix(batch)
    filled = PrefixGroup(group.prefix, (*group.examples, empty))
    assert distance(shared_gradients(shared, [filled], 1), padded_gradients(plain, batch)) <= 1e-5
    assert run_group(shared.get_base_model(), filled, 3, None).examples == 2


@pytest.mark.parametrize("window", [None, 9])
@pytest.mark.parametrize("prefix", [0, 11])
def test_tiled_attention_equals_pytorchs(monkeypatch, window, prefix):
    """In double precision, with tiles that cut an example, for all five gradients."""
    monkeypatch.setattr(_tiled_attention, "TILE", 6)
    monkeypatch.setattr(_tiled_attention, "_GRAIN", 3)
    torch.manual_seed(0)
    shapes = [(3, 6, 13, 4), (3, 2, 13, 4), (3, 2, 13, 4), (1, 2, prefix, 4), (1, 2, prefix, 4)]
    inputs = [torch.randn(s, dtype=torch.double, requires_grad=True) for s in shapes]
    query, key, value, *past = inputs
    tiled = _tiled_attention.tiled_attention(query, key, value, (past[0], past[1]), None, window)
    joined = [torch.cat((p.expand(3, -1, -1, -1), own), 2) for p, own in zip(past, (key, value), strict=True)]
    plain = _shared_prefix._grouped_causal(query, *joined, None, window)
    torch.testing.assert_close(tiled, plain)
    direction = torch.randn_like(plain)
    pairs = zip(*(torch.autograd.grad(o, inputs, direction) for o in (tiled, plain)), strict=True)
    for ours, theirs in pairs:
        # The prefix's gradients are added up in float32.
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("window", [None, 150])
def test_packed_examples_attend_as_each_does_alone(window):
    draw = torch.Generator().manual_seed(5)
    lengths, sizes = (7, 140, 1), {"query": 4, "key": 2, "value": 2}
    row = {n: torch.randn(1, heads, sum(lengths), 8, generator=draw) for n, heads in sizes.items()}
    past = [torch.randn(1, 2, 33, 8, generator=draw) for _ in range(2)]

    weights = torch.arange(4 * sum(lengths) * 8).view(1, 4, sum(lengths), 8).cos()
    given = [t.clone().requires_grad_() for t in (*row.values(), *past)]
    packed = tiled_attention(*given[:3], (given[3], given[4]), None, window, lengths)
    (packed * weights).sum().backward()
    alone = [t.clone().requires_grad_() for t in (*row.values(), *past)]
    parts = zip(*(t.split(lengths, dim=2) for t in alone[:3]), strict=True)
    apart = torch.cat([tiled_attention(*p, (alone[3], alone[4]), None, window) for p in parts], dim=2)
    (apart * weights).sum().backward()
    assert torch.allclose(packed, apart, atol=1e-5)
    assert all(torch.allclose(a.grad, b.grad, atol=1e-4) for a, b in zip(given, alone, strict=True))


def test_packed_micro_groups_hold_a_budget_of_tokens():
    examples = [Example.of([1] * n, [False, *[True] * (n - 1)], str(n), "k") for n in (9, 2, 30, 4, 4, 5, 3)]
    parts = micro_groups(examples, 2, 12, packed=True)
    assert [[len(e.own) for e in p] for p in parts] == [[30], [9], [5, 3, 2], [4, 4]]


@given(st.lists(st.integers(1, 60), min_size=1, max_size=40), st.integers(10, 200))
def test_packed_rows_lose_no_example_and_are_even(lengths, budget):
    examples = [Example.of([1] * n, [False] * n, str(i), "k") for i, n in enumerate(lengths)]
    parts = micro_groups(examples, 2, budget, packed=True)
    assert sorted(e.conversation_id for p in parts for e in p) == sorted(map(str, range(len(lengths))))
    tokens = [sum(len(e.own) for e in p) for p in parts]
    assert all(n <= budget or len(p) == 1 for n, p in zip(tokens, parts, strict=True))
    several = [n for n, p in zip(tokens, parts, strict=True) if len(p) > 1]
    assert not several or max(several) - min(tokens) <= max(lengths)
