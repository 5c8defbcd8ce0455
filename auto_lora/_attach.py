"""A LoRA of PEFT's on the base model, ready to be trained: its starting weights, fused layers, split or resident gradients."""

from __future__ import annotations

from typing import Any

import torch

from auto_lora._adapter_folder import asking_peft, load_adapter
from auto_lora._base_model import Base
from auto_lora._errors import ModelError
from auto_lora._fused_lora import fuse_lora
from auto_lora._processes import Processes, shard
from auto_lora._settings import TrainingConfig
from auto_lora._shared_prefix import save_memory


def attach_lora(
    base: Base, config: TrainingConfig, *, checkpointing: bool, sharded: bool, processes: Processes
) -> Any:
    """The base with a LoRA of `config` around its linear layers; `unload()` gives the base back as it was.

    Args:
        checkpointing: activations are computed twice.
        sharded: the base's layers are split over the processes.

    Returns:
        A `peft.PeftModel`; only the adapter's parameters ask for gradients.

    Raises:
        ModelError: no adapter fits the model.
    """
    from peft import LoraConfig, get_peft_model

    lora = LoraConfig(
        r=config.lora_r,
        lora_alpha=config.lora_alpha,
        lora_dropout=config.lora_dropout,
        target_modules=config.target_modules,
        task_type="CAUSAL_LM",
    )
    model = base.model
    if checkpointing:
        save_memory(model)
    torch.manual_seed(config.seed)
    try:
        with asking_peft():
            peft_model = get_peft_model(model, lora)
    except ValueError as error:
        raise ModelError(
            f"no adapter fits this {model.config.model_type} model: {' '.join(str(error).split())[:200]}",
            "choose its linear layers with --target-modules",
        ) from None
    if config.init_adapter:
        named = {n: p for n, p in peft_model.named_parameters() if p.requires_grad}
        load_adapter(config.init_adapter, named, config)
    torch.manual_seed(config.seed + processes.rank)  # each process drops out other values
    fuse_lora(peft_model)
    peft_model.peft_config["default"].base_model_name_or_path = base.source
    trained = [p for p in peft_model.parameters() if p.requires_grad]
    if sharded and processes.size > 1:
        shard(model, trained)
    if not sharded:
        for parameter in trained:  # kept for the whole run: taken in a step, it leaves gaps in the heap
            parameter.grad = torch.zeros_like(parameter)
    return peft_model
