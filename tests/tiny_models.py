"""Tiny random models for tests: as a transformers folder and as the GGUF llama.cpp serves.

Vocabulary and tokenizer come from a real GGUF (SmolLM2's, or Qwen's where it is at hand); the weights
are random, 2 layers of 64, so making one takes a second.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gguf import GGUFReader, GGUFValueType, GGUFWriter, get_tensor_name_map
from gguf.constants import MODEL_ARCH_NAMES

from auto_lora.gguf_export import permute

SHAPE = {
    "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 1024, "rope_theta": 10000.0,
}  # fmt: skip


def random_model(kind: str, vocab_size: int, seed: int = 0) -> Any:
    """A random model with weights large enough that next-token distributions are not flat."""
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(seed)
    extra = {"head_dim": 128} if kind == "qwen3" else {}  # what transformers assumes of every Qwen3 GGUF
    config = AutoConfig.for_model(
        kind, vocab_size=vocab_size, tie_word_embeddings=True, rms_norm_eps=1e-6, **SHAPE, **extra
    )
    model = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.dim() == 2:
                weight.normal_(0, 0.15)
            elif "norm" in name:
                weight.normal_(1, 0.2)
            else:
                weight.normal_(0, 0.2)
    return model


def save_gguf(model: Any, vocabulary: Path, path: Path) -> Path:
    """Writes a model as a float32 GGUF with the tokenizer of another GGUF."""
    config = model.config
    kind = config.model_type
    writer = GGUFWriter(path, kind)
    writer.add_name(f"tiny {kind}")
    writer.add_file_type(0)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(SHAPE["rope_theta"])
    writer.add_vocab_size(config.vocab_size)
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    writer.add_key_length(head)
    writer.add_value_length(head)
    if kind == "llama":
        writer.add_rope_dimension_count(head)
    for key, value, value_type, sub_type in _tokenizer(str(vocabulary)):
        writer.add_key_value(key, value, value_type, sub_type)
    arch = {name: arch for arch, name in MODEL_ARCH_NAMES.items()}[kind]
    names = get_tensor_name_map(arch, config.num_hidden_layers)
    for name, tensor in model.state_dict().items():
        if name == "lm_head.weight":
            continue
        data = tensor.float().numpy()
        if kind == "llama" and name.endswith(("q_proj.weight", "k_proj.weight")):
            heads = config.num_attention_heads if "q_proj" in name else config.num_key_value_heads
            data = permute(data, heads)
        writer.add_tensor(names.get_name(name, (".weight", ".bias")), np.ascontiguousarray(data))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@cache
def _tokenizer(path: str) -> list[tuple[str, Any, GGUFValueType, GGUFValueType | None]]:
    """A GGUF's tokenizer, but for its template, as a writer takes it: read once, which is seconds."""
    found = []
    for key, field in GGUFReader(path).fields.items():
        if key.startswith("tokenizer.") and key != "tokenizer.chat_template":
            kind = field.types[0]
            sub = field.types[-1] if kind == GGUFValueType.ARRAY else None
            found.append((key, field.contents(), kind, sub))
    return found


def vocabulary_of(path: Path) -> int:
    """The number of a GGUF's tokens."""
    return next(len(value) for key, value, *_ in _tokenizer(str(path)) if key == "tokenizer.ggml.tokens")


def random_adapter(model: Any, folder: Path, seed: int = 1) -> Any:
    """A PEFT model over `model` with non-zero A and B, saved in `folder` as the trainer saves it."""
    from peft import LoraConfig, get_peft_model

    from auto_lora._adapter_folder import save_adapter
    from auto_lora._settings import PROJECTIONS

    torch.manual_seed(seed)
    lora = LoraConfig(r=8, lora_alpha=12, target_modules=list(PROJECTIONS), task_type="CAUSAL_LM")
    peft_model = get_peft_model(model, lora)
    with torch.no_grad():
        for name, weight in peft_model.named_parameters():
            if "lora_B" in name:
                weight.normal_(0, 0.1)
    save_adapter(peft_model, folder)
    return peft_model.eval()
