"""One training in all processes of a run: the first hands out the job and leads, the others follow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from auto_lora._base_model import load_base
from auto_lora._conversation import Conversation
from auto_lora._errors import TrainingError
from auto_lora._memory import release_memory
from auto_lora._processes import Processes
from auto_lora._settings import TrainingConfig
from auto_lora.encode import ChatTemplate, ToolCallingDataset
from auto_lora.finetune import LoRATrainer

# Settings that the first process decides; a checkpoint is known by all of them.
OF_A_ROUND = ("mixed_precision", "num_synthetic_examples", "init_adapter", "learning_rate")


def lead(
    trainer: LoRATrainer,
    template: ChatTemplate,
    train: Sequence[Conversation],
    validation: Sequence[Conversation],
    folder: Path,
) -> None:
    """Trains on the conversations together with the other processes; goes on from a checkpoint in `folder`."""
    say, limit = trainer.reporter.say, trainer.config.max_seq_length
    activated = trainer.config.activated
    datasets = [
        ToolCallingDataset(split, template, limit, activated=activated) for split in (train, validation)
    ]
    for dataset in datasets:
        for reason, count in dataset.dropped.items():
            say(f"  {count} sequences dropped: {reason}")
    prefix = max(len(g.prefix) for g in datasets[0].groups)
    say(
        f"  {len(train)} conversations, {len(datasets[0])} sequences after a shared prefix of {prefix} tokens; "
        f"weights in {trainer.base.precision}"
    )
    trainer.processes.tell(
        {
            "do": "train",
            "train": [c.to_json() for c in train],
            "validation": [c.to_json() for c in validation],
            "directory": str(folder),
            "settings": {name: getattr(trainer.config, name) for name in OF_A_ROUND},
        }
    )
    trainer.processes.others_hear = False
    trainer.train(datasets[0], datasets[1], folder, resume=True)
    trainer.processes.others_hear = True


def follow(config: TrainingConfig, processes: Processes) -> tuple[Path, dict[str, Any]]:
    """What every process but the first does: its share of each training, until the run ends.

    Raises:
        TrainingError: the first process stopped; its own message says why.
    """
    while (job := processes.hear())["do"] == "train":
        config = replace(config, **job["settings"])
        base = load_base(config)
        template = ChatTemplate(base.tokenizer)
        train, validation = (
            ToolCallingDataset(
                map(Conversation.from_json, job[split]),
                template,
                config.max_seq_length,
                activated=config.activated,
            )
            for split in ("train", "validation")
        )
        LoRATrainer(config, base, processes=processes).train(train, validation, job["directory"], resume=True)
        del base
        release_memory()
    if job["do"] == "stop":
        raise TrainingError("the first process stopped", "its message says why")
    return Path(job["final"]), job["metrics"]
