"""The base model from a GGUF: its own weights and tokenizer, whatever else lies in its folder."""

from __future__ import annotations

import os
import shutil
import tempfile

import gguf
import pytest
import torch

from auto_lora._base_model import load_base
from auto_lora._runs import write_json
from auto_lora._settings import TrainingConfig
from tests.tiny_models import random_model, save_gguf, vocabulary_of


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
