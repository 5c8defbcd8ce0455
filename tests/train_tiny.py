"""Trains a tiny random model in a process of its own: for tests that kill, limit or multiply it.

python -m tests.train_tiny OUT '{"num_epochs": 2}' [--gradients]
"""

from __future__ import annotations

import json
import sys
from functools import cached_property
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM

from auto_lora._base_model import Base
from auto_lora._processes import Processes
from auto_lora._progress import Reporter
from auto_lora._schedule import plan_steps
from auto_lora._settings import TrainingConfig
from auto_lora._shared_prefix import use_shared_prefix
from auto_lora.encode import Example, group_by_prefix
from auto_lora.finetune import LoRATrainer

SHAPE = {
    "vocab_size": 499, "hidden_size": 96, "intermediate_size": 256, "num_hidden_layers": 3,
    "num_attention_heads": 6, "num_key_value_heads": 2, "max_position_embeddings": 2048,
}  # fmt: skip


class Data:
    """Random examples of two tool lists, as ToolCallingDataset would hold them."""

    def __init__(self, count: int, longest: int, seed: int, *, activated: bool = False) -> None:
        random = torch.Generator().manual_seed(seed)
        self.examples = []
        self.invocation = (1, 2) if activated else ()
        for n in range(count):
            key = n % 3 == 2  # a third has the other tools
            head = torch.randint(3, 499, (50 - 20 * key,), generator=torch.Generator().manual_seed(int(key)))
            head[-5:-3] = torch.tensor([1, 2])
            own = torch.randint(3, 499, (longest - n % 7,), generator=random)
            target = (False,) * (len(head) + 3) + (True,) * (len(own) - 3)
            self.examples.append(Example.of(tuple(head.tolist() + own.tolist()), target, str(n), str(key)))

    def __len__(self) -> int:
        return len(self.examples)

    @cached_property
    def groups(self):
        return group_by_prefix(self.examples, self.invocation)


def tiny_base() -> Base:
    torch.manual_seed(3)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model("qwen3", head_dim=16, **SHAPE))
    model.requires_grad_(False)
    use_shared_prefix(model)
    return Base(model, None, "tiny", "float32")


def main(out: str, options: str, *flags: str) -> None:
    given = json.loads(options)
    count, longest = given.pop("count", 26), given.pop("longest", 16)
    defaults = {"batch_size": 2, "num_epochs": 2, "checkpoint_seconds": 0.0, "lora_dropout": 0.0}
    config = TrainingConfig.from_dict({**defaults, **given})
    processes = Processes()
    trainer = LoRATrainer(config, tiny_base(), Reporter(), processes)
    train, validation = (
        Data(n, longest, seed, activated=config.activated) for n, seed in ((count, 1), (7, 2))
    )
    if "--gradients" in flags:
        peft_model = trainer._attach()
        named = {n: p for n, p in peft_model.named_parameters() if p.requires_grad}
        torch.manual_seed(5)
        with torch.no_grad():
            for name, weight in named.items():
                if "lora_B" in name:
                    weight.normal_(0, 0.05)
        peft_model.train()
        trainer.invocation = train.invocation
        trainer._gradients(peft_model.get_base_model(), plan_steps(train.groups, config, 1)[0])
        processes.add_gradients(list(named.values()))
        if processes.first:
            Path(out).mkdir(parents=True, exist_ok=True)
            save_file({n: p.grad.contiguous() for n, p in named.items()}, Path(out) / "gradients.safetensors")
    else:
        trainer.train(train, validation, out, resume=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
