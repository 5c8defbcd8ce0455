"""The exporter on adapters that others made: right in every dtype, or refused in one sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from gguf import GGUFReader
from safetensors.torch import load_file, save_file

from auto_lora._errors import ExportError, ModelError
from auto_lora._runs import read_json, write_json, write_text
from auto_lora.gguf_export import convert_base, export_adapter, permute
from tests.tiny_models import random_adapter, random_model, save_gguf, vocabulary_of

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"


@pytest.fixture(scope="module")
def made(tmp_path_factory, smollm):
    folder = tmp_path_factory.mktemp("llama")
    model = random_model("llama", vocabulary_of(smollm))
    base = save_gguf(model, smollm, folder / "base.gguf")
    random_adapter(model, folder / "adapter")
    return base, folder / "adapter"


@pytest.fixture
def variant(made, tmp_path):
    """Makes a changed copy of the adapter folder."""

    def make(tensors=lambda t: t, **settings) -> Path:
        folder = tmp_path / "variant"
        folder.mkdir(exist_ok=True)
        save_file(tensors(load_file(made[1] / WEIGHTS)), folder / WEIGHTS)
        write_json(folder / CONFIG, read_json(made[1] / CONFIG) | settings)
        return folder

    return make


def test_bfloat16_adapters_are_exported(made, variant, tmp_path):
    rounded = variant(lambda t: {k: v.bfloat16() for k, v in t.items()})
    path = export_adapter(rounded, made[0], tmp_path / "a.gguf", outtype="f32")
    found = {t.name: t.data for t in GGUFReader(path).tensors}
    b = load_file(rounded / WEIGHTS)["base_model.model.model.layers.0.mlp.up_proj.lora_B.weight"]
    assert np.array_equal(found["blk.0.ffn_up.weight.lora_b"], b.float().numpy())


def narrow(tensors):
    return {k: v[:, :32].contiguous() if "lora_A" in k else v for k, v in tensors.items()}


def half_gone(tensors):
    return {k: v for k, v in tensors.items() if not k.endswith("layers.0.mlp.up_proj.lora_B.weight")}


def deeper(tensors):
    return {k.replace("layers.1", "layers.9"): v for k, v in tensors.items()}


def with_head(tensors):
    name = "base_model.model.lm_head.lora_"
    return tensors | {f"{name}A.weight": torch.zeros(8, 64), f"{name}B.weight": torch.zeros(49152, 8)}


def other_rank(tensors):
    return {k: v[:4].contiguous() if "lora_A" in k else v for k, v in tensors.items()}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (narrow, "no place in this llama base"),
        (half_gone, "up_proj lacks its A or B"),
        (deeper, "layers.9"),
        (with_head, "lm_head"),
        (other_rank, "no place in this llama base"),
        (lambda t: {}, "without tensors"),
    ],
)
def test_tensors_that_do_not_fit_the_base(change, says, made, variant):
    folder = variant(change)
    with pytest.raises(ExportError, match=says) as caught:
        export_adapter(folder, made[0])
    assert caught.value.hint and not (folder / "adapter.gguf").exists()


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"lora_bias": True}, "lora_bias"),
        ({"trainable_token_indices": [1, 2]}, "trainable_token_indices"),
        ({"layer_replication": [[0, 2]]}, "layer_replication"),
        ({"init_lora_weights": "pissa_niter_4"}, "changes the base's weights"),
        ({"lora_alpha": None}, "is not a PEFT configuration"),
        ({"peft_type": "IA3"}, "IA3"),
    ],
)
def test_settings_of_others_that_gguf_cannot_carry(settings, says, made, variant):
    with pytest.raises(ExportError, match=says):
        export_adapter(variant(**settings), made[0])


def test_damaged_files(made, variant):
    folder = variant()
    whole = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ExportError, match="cannot be read"):
        export_adapter(folder, made[0])
    write_json(folder / CONFIG, [])
    with pytest.raises(ExportError, match="is not a PEFT configuration"):
        export_adapter(folder, made[0])


@pytest.mark.parametrize("upstream", [False, True])
def test_a_base_that_is_not_there(upstream, made, tmp_path):
    """The same sentence whichever exporter is used; the script itself is not reached."""
    checkout = None
    if upstream:
        (tmp_path / "convert_lora_to_gguf.py").write_text("raise SystemExit('reached')")
        checkout = tmp_path
    with pytest.raises(ModelError, match="does not exist"):
        export_adapter(made[1], tmp_path / "absent.gguf", llama_cpp_path=checkout)
    with pytest.raises(ExportError, match="the base model nobody/nothing cannot be read"):
        export_adapter(made[1], "nobody/nothing", llama_cpp_path=checkout)


def test_a_model_that_the_hub_does_not_give_is_one_sentence(tmp_path, monkeypatch):
    import huggingface_hub

    def gone(name):
        raise OSError(f"404: Repository Not Found for {name}")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", gone)
    write_text(tmp_path / "convert_hf_to_gguf.py", "")
    with pytest.raises(ModelError, match="nobody/nothing cannot be downloaded: 404"):
        convert_base("nobody/nothing", tmp_path / "base.gguf", tmp_path)
    write_text(tmp_path / "convert_hf_to_gguf.py", "raise SystemExit('what is this?')")
    with pytest.raises(ExportError, match="what is this") as caught:
        convert_base(str(tmp_path), tmp_path / "base.gguf", tmp_path)
    assert "--model-path" in caught.value.hint and not (tmp_path / "base.gguf").exists()


def test_an_unknown_outtype(made):
    with pytest.raises(ExportError, match="q4") as caught:
        export_adapter(made[1], made[0], outtype="q4")
    assert "f16" in caught.value.hint


@pytest.mark.slow
def test_metadata_of_a_model_card_equals_llama_cpp_script(made, variant, tmp_path, llama_cpp_scripts):
    folder = variant()
    card = (
        "---\nlicense: apache-2.0\nbase_model: HuggingFaceTB/SmolLM2-135M-Instruct\ntags: [tools]\n---\n# x\n"
    )
    (folder / "README.md").write_text(card)
    ours = GGUFReader(export_adapter(folder, made[0], tmp_path / "ours.gguf"))
    theirs = GGUFReader(
        export_adapter(folder, made[0], tmp_path / "theirs.gguf", llama_cpp_path=llama_cpp_scripts)
    )
    read = [
        {k: r.get_field(k).contents() for k in r.fields if not k.startswith("GGUF.")} for r in (ours, theirs)
    ]
    assert read[0] == read[1] and read[0]["general.license"] == "apache-2.0"


def test_permute_is_the_order_of_llama_cpp():
    """Row r of a half-split head goes where ggml's interleaved pairs expect it."""
    rows = np.arange(8)[:, None]
    assert permute(rows, 2)[:, 0].tolist() == [0, 2, 1, 3, 4, 6, 5, 7]
    with pytest.raises(ExportError, match="do not fit the base's heads"):
        permute(rows, 3)
