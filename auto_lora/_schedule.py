"""What an epoch's optimizer steps consist of, and the learning rate of each."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Any

from auto_lora._settings import TrainingConfig
from auto_lora.encode import PrefixGroup


def auto_learning_rate(model_type: str, hidden_size: int) -> float:
    """Peak learning rate for LoRA: ten times full fine-tuning's 5e-5, scaled by width.

    Source: Thinking Machines, "LoRA Without Regret" (2025), and tinker-cookbook
    `hyperparam_utils.py`: (2000 / hidden size) to the power of 0.781 (Llama) or 0.0775 (Qwen).
    A narrow Llama takes more: SmolLM2-135M (576), 150 steps of 16: exact 185 of 240 at 2e-3, 197 and 189 at 3.5e-3,
    the highest tried. So below 2000 the power is 1.57, which is 3.5e-3 there.
    """
    if "qwen" in model_type:
        return 5e-4 * (2000 / hidden_size) ** 0.0775
    return min(3.5e-3, 5e-4 * (2000 / hidden_size) ** (0.781 if hidden_size >= 2000 else 1.57))


def plan_steps(groups: Sequence[PrefixGroup], config: TrainingConfig, epoch: int) -> list[list[PrefixGroup]]:
    """An epoch's optimizer steps: full ones within a group, leftovers of all groups joined."""
    order = random.Random(f"{config.seed}/{epoch}")
    size = config.batch_size * config.gradient_accumulation_steps
    steps: list[list[PrefixGroup]] = []
    left: list[PrefixGroup] = []
    for group in groups:
        examples = list(group.examples)
        order.shuffle(examples)
        full = len(examples) - len(examples) % size
        for start in range(0, full, size):
            steps.append([PrefixGroup(group.prefix, tuple(examples[start : start + size]))])
        if examples[full:]:
            left.append(PrefixGroup(group.prefix, tuple(examples[full:])))
    open_step: list[PrefixGroup] = []
    for part in left:
        if open_step and sum(len(g.examples) for g in [*open_step, part]) > size:
            steps.append(open_step)
            open_step = []
        open_step.append(part)
    if open_step:
        steps.append(open_step)
    order.shuffle(steps)
    return steps


def warmup_cosine(steps: int, warmup_ratio: float) -> Any:
    """Learning-rate factor of a step: a straight rise, then half a cosine down to 0."""
    warmup = max(1, round(steps * warmup_ratio))

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warmup) / max(1, steps - warmup))))

    return factor
