"""A finished run's folder without a model: real conversations, scored answers made up by hand, the run's own writers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from auto_lora._conversation import Conversation, write_conversations
from auto_lora._intervals import gain
from auto_lora._runs import write_bytes, write_json, write_jsonl, write_text
from auto_lora._settings import TrainingConfig
from auto_lora._toolcall import ToolCall
from auto_lora.catalog import ToolDefinition
from auto_lora.dialogues import SyntheticDataGenerator
from auto_lora.finetune import TrainResult
from auto_lora.handover import serve_command
from auto_lora.manifest import describe_run
from auto_lora.score import CaseResult, Evaluation, score_turn
from auto_lora.score_pair import compare
from auto_lora.triage import analyse, case_rows, plan_next_round

HOSTILE = "<script>alert('gone')</script> & \"lights\" {{ 7 * 7 }}"


GATE = {
    "probes": 6, "base": {"largest": 0.4352, "mean": 0.0982, "rms": 0.122, "equal_first": {"count": 6, "of": 6}},
    "adapter": {"largest": 0.7007, "mean": 0.1795, "rms": 0.222, "equal_first": {"count": 5, "of": 6}}, "scale_0": 0.0, "scale_1": 10.41,
}  # fmt: skip
HYGIENE = {"cases": 10, "verdicts": 0, "answers": 1, "ids": []}
SPEEDS = {
    "base": {"prompt_tokens": 592, "prompt": 438.0, "generated_tokens": 64, "generated": 100.0},
    "base + adapter": {"prompt_tokens": 592, "prompt": 400.25, "generated_tokens": 64, "generated": 80.5},
}


def evaluate(name: str, cases: Sequence[Conversation], *, right_every: int) -> Evaluation:
    """Answers every `right_every`-th case right and the others wrong in turn: nothing, another tool, other values, malformed."""
    results = []
    for i, case in enumerate(cases):
        turns = []
        for turn in case.scored_turns():
            predicted, error = turn.expected, ""
            if i % right_every:
                others = (
                    (ToolCall("sing", {}),),
                    tuple(ToolCall(c.name, {**c.arguments, "room": "moon"}) for c in predicted),
                )
                predicted, error = (((), ""), (others[0], ""), (others[1], ""), ((), "invalid_json"))[
                    i // 2 % 4
                ]
            turns.append(
                score_turn(turn.expected, predicted, f"<b>{[c.to_json() for c in predicted]}", error)
            )
        results.append(CaseResult(case, tuple(turns)))
    return Evaluation(name, results, 1.5, speed=SPEEDS.get(name))


def write_run(
    folder: Path, tools: list[ToolDefinition], *, examples: int = 40, tests: int = 24
) -> dict[str, Any]:
    """Writes the folder; returns `metrics.json`'s content. The first test case's prompt is `HOSTILE`."""
    config = TrainingConfig(output_dir=str(folder), num_synthetic_examples=examples)
    generator = SyntheticDataGenerator(tools, config)
    splits = {"train": examples, "validation": 30, "test": tests}
    made = {split: list(generator.generate(count, split)) for split, count in splits.items()}
    first = made["test"][0].to_json()
    first["messages"] = [{**m, "content": HOSTILE} if m["role"] == "user" else m for m in first["messages"]]
    made["test"][0] = Conversation.from_json(first)
    for split in ("validation", "test"):
        write_conversations(folder / "data" / f"{split}.jsonl", made[split])
    write_text(folder / "chat_template.jinja", "{{ messages }}")
    base_model = write_bytes(folder / "base.gguf", b"GGUF" * 1000)

    iterations, losses = [], [round(2 / (step + 1), 5) for step in range(300)]
    for number in (1, 2):
        at = folder / f"iteration_{number}"
        write_conversations(at / "train.jsonl", made["train"])
        for name in ("adapter_model.safetensors", "adapter.gguf"):
            write_bytes(at / name, f"{name} {number}".encode())
        write_json(at / "adapter_config.json", {"peft_type": "LORA", "r": number})
        history = [
            {"epoch": e, "train_loss": 1 / e, "validation_loss": 1.25 / e, "validation_exact": 0.1 * e, "seconds": 9.5 * e} for e in (1, 2, 3)
        ]  # fmt: skip
        training = TrainResult(at, history, losses, 3, 4.25, 28.5, 0.0005, "float32", 8).to_json()
        scored = evaluate(f"iteration {number}", made["validation"], right_every=4 - number)
        analysis = analyse(scored, tools)
        plan = plan_next_round(scored, analysis, config)
        metrics = {
            "iteration": number, "training_examples": examples, "rejected_examples": {"a prompt came twice": number}, "training": training,
            "writers": {"builtin": examples}, "writer_verdict": "", "gate": GATE, "hygiene": HYGIENE, "drift": {"1.0": 0.25 * number},
            "validation": scored.summary(), "next_round": plan.to_json(),
            "gain": gain(iterations[0]["validation"]["failed"], scored.summary()["failed"]) if iterations else None,
        }  # fmt: skip
        write_json(at / "metrics.json", metrics)
        iterations.append(metrics)

    final = folder / "final_adapter"
    for name in ("adapter_model.safetensors", "adapter.gguf"):
        write_bytes(final / name, f"{name} 2".encode())
    write_json(final / "adapter_config.json", {"peft_type": "LORA", "r": 2})
    write_json(final / "tools.json", [t.to_openai() for t in tools])
    base, adapter = (
        evaluate(n, made["test"], right_every=k) for n, k in (("base", 3), ("base + adapter", 1 + 1))
    )
    figures = compare(base, adapter) | {
        "version": "1", "base_model": "base.gguf", "best_iteration": 2, "iterations": iterations, "quality": None,
        "test_writer": generator.describe_writer(made["test"]), "settings": config.to_dict(), "serve_command": serve_command(base_model, final, 4096),
    }  # fmt: skip
    write_jsonl(final / "cases.jsonl", case_rows(base, adapter, tools))
    write_json(final / "metrics.json", figures)
    write_json(final / "manifest.json", describe_run(folder, config, tools, figures, base_model, "b1-test"))
    return figures
