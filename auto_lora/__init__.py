"""auto_lora: a list of tools in, a LoRA adapter that calls them out, proven on the served GGUF.

config = TrainingConfig(llama_cpp_model_path="model.gguf")
creator = AutoLoRACreator(config)
creator.add_tool(ToolDefinition(name=..., description=..., parameters={...}))
best_adapter, metrics = await creator.create_adapter(num_iterations=3)
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# Public name to module; loaded on first use, so that importing auto_lora loads no torch.
_HOMES = {
    "AutoLoRACreator": "workflow",
    "AutoLoRAError": "_errors",
    "Conversation": "_conversation",
    "DependencyChecker": "preflight",
    "Extensions": "whole_run",
    "LlamaCppClient": "llama_server",
    "LoRATrainer": "finetune",
    "SyntheticDataGenerator": "dialogues",
    "ToolCall": "_toolcall",
    "ToolCallEvaluator": "score",
    "ToolCallingDataset": "encode",
    "ToolDefinition": "catalog",
    "TrainingConfig": "_settings",
    "load_tools": "catalog",
    "read_conversations": "_conversation",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'auto_lora' has no attribute {name!r}")
    value = getattr(import_module(f"auto_lora.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
