"""The base model from a GGUF: its own weights and tokenizer, whatever else lies in its folder."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import nullcontext

import gguf
import pytest
import torch
from transformers import AutoConfig

from auto_lora._base_model import check_same_shape, load_base
from auto_lora._errors import ModelError
from auto_lora._gguf import read_header
from auto_lora._runs import write_json
from auto_lora._settings import TrainingConfig
from auto_lora.estimate import estimate_training
from tests.tiny_models import SHAPE, random_model, save_gguf, vocabulary_of


@pytest.fixture(scope="module")
def tiny(tmp_path_factory, smollm):
    """A random model, and its GGUF alone in a folder."""
    model = random_model("llama", vocabulary_of(smollm))
    return model, save_gguf(model, smollm, tmp_path_factory.mktemp("alone") / "base.gguf")


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """Where temporary files go."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def load(path):
    return load_base(TrainingConfig(llama_cpp_model_path=str(path), mixed_precision="no"))


def same_weights(base, model):
    return torch.equal(base.model.get_input_embeddings().weight, model.get_input_embeddings().weight)


def test_files_beside_a_gguf_are_not_taken_for_the_models(tiny, tmp_path, temporary):
    """The adapter's config names a base that is nowhere, the tokenizer's one of another kind."""
    path = tmp_path / "base.gguf"
    shutil.copy(tiny[1], path)
    write_json(tmp_path / "adapter_config.json", {"peft_type": "LORA", "base_model_name_or_path": "no/where"})
    write_json(tmp_path / "tokenizer_config.json", {"tokenizer_class": "BertTokenizer"})
    base = load(path)
    assert same_weights(base, tiny[0]) and base.source == str(path)
    assert base.tokenizer("lights on")["input_ids"] == load(tiny[1]).tokenizer("lights on")["input_ids"]
    assert not list(temporary.iterdir()), "temporary files were left"


def test_a_gguf_is_parsed_once(tiny, monkeypatch):
    """transformers does it for config, tokenizer and weights: 30 s of the embedded model's start on two busy cores."""
    read = []

    class Counted(gguf.GGUFReader):
        def __init__(self, path, *rest):
            read.append(path)
            super().__init__(path, *rest)

    monkeypatch.setattr(gguf, "GGUFReader", Counted)
    names = gguf.get_tensor_name_map
    assert same_weights(load(tiny[1]), tiny[0]) and len(read) == 1
    assert gguf.GGUFReader is Counted and gguf.get_tensor_name_map is names


def test_without_the_right_to_make_links_the_gguf_is_read_where_it_lies(tiny, temporary, monkeypatch):
    def refuse(*args):
        raise OSError("a required privilege is not held by the client")

    monkeypatch.setattr(os, "symlink", refuse)
    assert same_weights(load(tiny[1]), tiny[0])
    assert not list(temporary.iterdir())


def test_four_bit_weights_are_of_the_model_that_is_served(tiny, tmp_path):
    model, path = tiny
    folder = tmp_path / "other"
    for layers, fits in ((model.config.num_hidden_layers + 1, False), (model.config.num_hidden_layers, True)):
        AutoConfig.for_model("llama", **SHAPE | {"num_hidden_layers": layers}).save_pretrained(folder)
        config = TrainingConfig(llama_cpp_model_path=str(path), model_name=str(folder))
        with nullcontext() if fits else pytest.raises(ModelError, match="is of another model"):
            check_same_shape(config)


def test_four_bit_weights_take_less_memory(smollm):
    header = read_header(smollm)
    wide, narrow = (
        estimate_training(header, TrainingConfig(mixed_precision="bf16", load_in_4bit=four), [])
        for four in (False, True)
    )
    # 106 of its 135 million weights are in projections: 2 bytes each, or 0.516.
    assert wide.memory_bytes - narrow.memory_bytes == pytest.approx(106e6 * (2 - 0.516), rel=0.01)
