"""What is trained is what is served: PyTorch + adapter and llama.cpp + GGUF adapter agree.

Own exporter and llama.cpp's script alike, for each supported architecture; the real Qwen vocabulary
is used where QWEN_VOCABULARY names a GGUF that holds it (llama.cpp's models/ggml-vocab-qwen2.gguf).
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from gguf import GGUFReader

from auto_lora._activation import next_token_logits
from auto_lora._errors import ExportError, MissingPartError
from auto_lora._gguf import read_header
from auto_lora._runs import read_json, write_json
from auto_lora._shared_prefix import use_shared_prefix
from auto_lora.gguf_export import export_adapter
from auto_lora.llama_server import LlamaCppClient
from tests.tiny_models import random_adapter, random_model, save_gguf, vocabulary_of

PROMPTS = (
    "The quick brown fox",
    'Turn on the "kitchen" light,\nZoë!',
    "<|im_start|>user\nhi<|im_end|>\n",
    "1 2 3 4 5 6 7 8 9 10",
)
KINDS = ("llama", "qwen2", "qwen3")


@pytest.fixture(scope="module")
def made(tmp_path_factory, smollm):
    """Per architecture: GGUF base, adapter folder and PEFT model."""
    cache = {}

    def make(kind: str):
        if kind not in cache:
            folder = tmp_path_factory.mktemp(kind)
            vocabulary = smollm
            if kind == "qwen3" and os.environ.get("QWEN_VOCABULARY"):
                vocabulary = Path(os.environ["QWEN_VOCABULARY"])
            model = random_model(kind, vocabulary_of(vocabulary))
            gguf = save_gguf(model, vocabulary, folder / "base.gguf")
            cache[kind] = gguf, folder, random_adapter(model, folder)
        return cache[kind]

    return make


async def largest_difference(client: LlamaCppClient, model, enabled: bool) -> float:
    worst = 0.0
    for prompt in PROMPTS:
        tokens = await client.tokenize(prompt)
        served = await client.next_token_logprobs(tokens, 50)
        with torch.no_grad():
            if enabled:
                logits = model(torch.tensor([tokens])).logits[0, -1]
            else:
                with model.disable_adapter():
                    logits = model(torch.tensor([tokens])).logits[0, -1]
        ours = logits.log_softmax(-1)
        assert int(ours.argmax()) == max(served, key=served.get)
        worst = max(worst, max(abs(float(ours[i]) - p) for i, p in served.items()))
    return worst


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
async def test_logprobs_agree(kind, made, tmp_path):
    base, folder, model = made(kind)
    adapter = export_adapter(folder, base, tmp_path / "adapter.gguf", outtype="f32")
    async with LlamaCppClient(base, adapter_path=adapter, context=256, log_path=tmp_path / "log") as client:
        with_adapter = await largest_difference(client, model, True)
    async with LlamaCppClient(base, adapter_path=adapter, adapter_scale=0.0, context=256) as client:
        scale_zero = await largest_difference(client, model, False)
        tokens = await client.tokenize(PROMPTS[0])
        base_logprobs = await client.next_token_logprobs(tokens, 50)
    with torch.no_grad():
        adapted = model(torch.tensor([tokens])).logits[0, -1].log_softmax(-1)
    assert with_adapter <= 1e-2, with_adapter
    assert scale_zero <= 1e-2, scale_zero
    assert max(abs(float(adapted[i]) - p) for i, p in base_logprobs.items()) > 0.1


@pytest.mark.slow
async def test_a_wrong_permutation_would_show(made, tmp_path, monkeypatch):
    """The comparison is not blind: q and k in the wrong row order are far off."""
    base, folder, model = made("llama")
    monkeypatch.setattr("auto_lora.gguf_export.permute", lambda weight, heads: weight)
    adapter = export_adapter(folder, base, tmp_path / "wrong.gguf", outtype="f32")
    async with LlamaCppClient(base, adapter_path=adapter, context=256) as client:
        tokens = await client.tokenize(PROMPTS[0])
        served = await client.next_token_logprobs(tokens, 50)
    with torch.no_grad():
        ours = model(torch.tensor([tokens])).logits[0, -1].log_softmax(-1)
    assert max(abs(float(ours[i]) - p) for i, p in served.items()) > 0.1


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
async def test_an_activated_adapter_begins_where_the_trainer_begins(kind, made, tmp_path):
    """llama.cpp acts from one token before the invocation on; without it, or at scale 0, the base answers."""
    base, folder, peft_model = made(kind)
    activated(folder, tmp_path, [900, 901])
    adapter = export_adapter(tmp_path, base, outtype="f32")
    tokens = [700, 710, 720, 730, 740, 900, 901, 750, 760, 770]
    model = peft_model.get_base_model()
    attention = model.config._attn_implementation
    use_shared_prefix(model)
    try:
        right = next_token_logits(model, tokens, [900, 901]).log_softmax(-1)
        off_by_one = next_token_logits(model, tokens, [901]).log_softmax(-1)
        plain = next_token_logits(model, tokens, [902]).log_softmax(-1)
    finally:
        model.set_attn_implementation(attention)
    async with LlamaCppClient(base, adapter_path=adapter, context=256, log_path=tmp_path / "log") as client:
        for cached in (False, True, True):  # a prefix that is kept is the base's
            served = await client.next_token_logprobs(tokens, 50, cache_prompt=cached)
            assert apart(right, served) <= 1e-2
            assert apart(off_by_one, served) > 0.1 and apart(plain, served) > 0.1
        other = [*tokens[:5], 750, *tokens[7:]]
        asleep = next_token_logits(model, other, [900, 901]).log_softmax(-1)
        assert apart(asleep, await client.next_token_logprobs(other, 50)) <= 1e-2


def activated(source: Path, folder: Path, invocation: list[int]) -> None:
    """A copy of an adapter folder that these tokens activate."""
    settings = read_json(source / "adapter_config.json") | {"alora_invocation_tokens": invocation}
    write_json(folder / "adapter_config.json", settings)
    weights = (source / "adapter_model.safetensors").read_bytes()
    (folder / "adapter_model.safetensors").write_bytes(weights)


def apart(ours: torch.Tensor, served: dict[int, float]) -> float:
    return max(abs(float(ours[i]) - p) for i, p in served.items())


@pytest.mark.slow
@pytest.mark.parametrize("invocation", [None, [7, 8, 9]], ids=["always", "activated"])
@pytest.mark.parametrize("kind", KINDS)
def test_own_exporter_equals_llama_cpp_script(kind, invocation, made, tmp_path, llama_cpp_scripts):
    base, folder, _ = made(kind)
    if invocation:
        activated(folder, tmp_path, invocation)
        folder = tmp_path
    ours = GGUFReader(export_adapter(folder, base, tmp_path / "ours.gguf"))
    theirs = GGUFReader(
        export_adapter(folder, base, tmp_path / "theirs.gguf", llama_cpp_path=llama_cpp_scripts)
    )
    left = {t.name: t for t in ours.tensors}
    right = {t.name: t for t in theirs.tensors}
    assert left.keys() == right.keys() and len(left) == 28
    for name, tensor in left.items():
        assert tensor.tensor_type == right[name].tensor_type and list(tensor.shape) == list(
            right[name].shape
        ), name
        assert np.array_equal(tensor.data, right[name].data), name
    keys = {k for k in theirs.fields if not k.startswith("GGUF.")}
    assert keys == {k for k in ours.fields if not k.startswith("GGUF.")}
    assert ("adapter.alora.invocation_tokens" in keys) == bool(invocation)
    for key in keys - {"general.name"}:  # a title-cased folder name there
        assert ours.get_field(key).contents() == theirs.get_field(key).contents(), key


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("use_dora", True),
        ("use_rslora", True),
        ("alpha_pattern", {"q_proj": 4}),
        ("bias", "all"),
        ("modules_to_save", ["lm_head"]),
        ("alora_invocation_tokens", ["<tools>"]),
    ],
)
def test_what_gguf_cannot_carry_is_refused(key, value, made, tmp_path):
    base, folder, _ = made("llama")
    settings = read_json(folder / "adapter_config.json")
    write_json(tmp_path / "adapter_config.json", settings | {key: value})
    (tmp_path / "adapter_model.safetensors").write_bytes((folder / "adapter_model.safetensors").read_bytes())
    with pytest.raises(ExportError, match=key):
        export_adapter(tmp_path, base)
    assert not (tmp_path / "adapter.gguf").exists()


def test_export_errors_say_what_is_wrong(made, tmp_path):
    base, folder, _ = made("llama")
    with pytest.raises(ExportError, match=r"holds no adapter_config.json"):
        export_adapter(tmp_path, base)
    with pytest.raises(MissingPartError, match="holds no convert_lora_to_gguf.py"):
        export_adapter(folder, base, tmp_path / "a.gguf", llama_cpp_path=tmp_path)
    script = tmp_path / "convert_lora_to_gguf.py"
    script.write_text("raise SystemExit('a reason of its own')")
    with pytest.raises(ExportError, match="a reason of its own"):
        export_adapter(folder, base, tmp_path / "a.gguf", llama_cpp_path=tmp_path)


def test_header_of_a_made_model(made):
    base, _, _ = made("qwen3")
    header = read_header(base)
    assert (header.architecture, header.n_layers, header.hidden_size, header.quantisation) == (
        "qwen3",
        2,
        64,
        "F32",
    )
    assert not header.knows_tools
