"""Other `target_modules`, and an architecture beyond llama, qwen2 and qwen3.

Training goes through transformers' attention interface, so any model with full causal attention trains;
what the built-in exporter does not know, llama.cpp's own script exports (LLAMA_CPP_PATH). Phi-3 keeps
query, key and value in one projection, so its modules have other names.

    LLAMA_CPP_PATH=~/llama.cpp python examples/other_modules.py microsoft/Phi-3-mini-4k-instruct out
"""

from __future__ import annotations

import sys
from pathlib import Path

from auto_lora import LoRATrainer, SyntheticDataGenerator, ToolCallingDataset, ToolDefinition, TrainingConfig
from auto_lora._base_model import load_base
from auto_lora.encode import ChatTemplate
from auto_lora.gguf_export import export_adapter

TIMER = ToolDefinition(
    name="set_timer",
    description="Set a timer.",
    parameters={
        "type": "object",
        "properties": {"minutes": {"type": "integer", "minimum": 1, "maximum": 120}},
        "required": ["minutes"],
    },
)


def main(model: str, out: str, examples: int = 64) -> Path:
    """Trains attention projections only and exports with llama.cpp's script."""
    config = TrainingConfig(
        model_name=model, target_modules=["qkv_proj", "o_proj"], num_epochs=1, batch_size=4
    )
    generator = SyntheticDataGenerator([TIMER], config)
    base = load_base(config)
    template = ChatTemplate(base.tokenizer)
    train = ToolCallingDataset(generator.generate(examples, "train"), template)
    validation = ToolCallingDataset(generator.generate(8, "validation"), template)
    LoRATrainer(config, base).train(train, validation, out)
    return export_adapter(out, model)


if __name__ == "__main__":
    print(main(*sys.argv[1:3]))
