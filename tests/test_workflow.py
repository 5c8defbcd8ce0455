"""The whole way on real parts: data, training, export, serving, scoring, again."""

from __future__ import annotations

import asyncio
import io
import json
import math
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from auto_lora import AutoLoRACreator, LoRATrainer, ToolCallingDataset, ToolDefinition, TrainingConfig
from auto_lora.__main__ import main
from auto_lora._base_model import load_base
from auto_lora._conversation import read_conversations
from auto_lora._errors import DataError, ServerError, ToolsError, UsageError
from auto_lora._progress import Quiet, Reporter
from auto_lora._runs import check_resumed, write_json, write_text
from auto_lora.encode import ChatTemplate
from auto_lora.handover import serve_command
from auto_lora.llama_server import LlamaCppClient
from auto_lora.rehearsal import rehearse
from auto_lora.score_pair import Examiner
from auto_lora.single_folder import AdapterFolder, export_directory, serve_directory
from auto_lora.synthetic_data import generate_data
from auto_lora.triage import next_lesson
from tests.tiny_models import random_model, save_gguf, vocabulary_of

pytestmark = pytest.mark.slow

SMALL = {
    "num_synthetic_examples": 12, "num_validation_examples": 5, "num_test_examples": 6, "num_epochs": 1, "num_iterations": 2,
    "max_new_tokens": 24, "target_accuracy": 1.0, "lora_dropout": 0.05, "num_final_answers": 3, "num_forgetting_prompts": 4,
    "forgetting_tokens": 8, "num_scale_cases": 2,
}  # fmt: skip


@pytest.fixture(scope="module")
def tiny_gguf(tmp_path_factory, smollm) -> Path:
    """A random Qwen3 of 2 layers with the real SmolLM2 vocabulary, or Qwen's where QWEN_VOCABULARY names it."""
    vocabulary = Path(os.environ.get("QWEN_VOCABULARY", smollm))
    return save_gguf(
        random_model("qwen3", vocabulary_of(vocabulary)),
        vocabulary,
        tmp_path_factory.mktemp("m") / "qwen3.gguf",
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory, tiny_gguf, demo_tools):
    """One finished run of the tiny model; the language model that was to write does not answer."""
    config = TrainingConfig(
        llama_cpp_model_path=str(tiny_gguf), output_dir=str(tmp_path_factory.mktemp("run")),
        writer="llm", writer_url="http://127.0.0.1:9", **SMALL,
    )  # fmt: skip
    final, metrics = asyncio.run(AutoLoRACreator(config, demo_tools[:3], reporter=Quiet()).create_adapter())
    return config, final, metrics


def test_the_output_users_expect(finished):
    config, final, metrics = finished
    output = Path(config.output_dir)
    iteration = {
        "adapter_model.safetensors",
        "adapter_config.json",
        "adapter.gguf",
        "metrics.json",
        "error_analysis.json",
        "train.jsonl",
        "training.json",
    }
    assert iteration <= {p.name for p in (output / "iteration_1").iterdir()}
    assert {p.name for p in final.iterdir()} == {
        "README.md", "adapter.gguf", "adapter_config.json", "adapter_model.safetensors", "cases.jsonl", "chat_template.jinja",
        "drift.json", "error_analysis.json", "manifest.json", "metrics.json", "report.html", "tools.json",
    }  # fmt: skip
    assert json.loads((final / "metrics.json").read_text()) == json.loads(json.dumps(metrics))
    assert metrics["writer_distance"] is None, "nobody wrote prompts for these tools"
    assert metrics["base"]["cases"] == metrics["adapter"]["cases"] == 6
    for model in ("base", "adapter"):
        speed = metrics[model]["speed"]
        assert speed["generated_tokens"] > 1 and min(speed.values()) > 0
    first = metrics["iterations"][0]
    gate = first["gate"]  # measured: 0.016 beside the base's own 0.0145, where the adapter moves 0.24
    assert (
        gate["probes"] > 3 and gate["adapter"]["mean"] < 1.5 * gate["base"]["mean"] < 0.03 < gate["scale_1"]
    )
    assert first["hygiene"]["cases"] == 5 and first["hygiene"]["verdicts"] == 0
    assert not metrics["success"] and "not better than its base" in (final / "README.md").read_text()
    assert not list(output.rglob(".*")), "temporary files were left"


def test_generated_data_are_those_of_a_run(finished, demo_tools, tmp_path):
    data = generate_data(replace(finished[0], output_dir=str(tmp_path / "run")), demo_tools[:3])
    output = Path(finished[0].output_dir)
    assert (data / "train.jsonl").read_bytes() == (output / "iteration_1" / "train.jsonl").read_bytes()
    for name in ("validation.jsonl", "test.jsonl"):
        assert (data / name).read_bytes() == (output / "data" / name).read_bytes()


def test_an_activated_adapter_goes_the_same_way_from_data_that_were_generated(
    tiny_gguf, demo_tools, tmp_path
):
    config = TrainingConfig(
        llama_cpp_model_path=str(tiny_gguf), output_dir=str(tmp_path), activated=True, **SMALL
    )  # fmt: skip
    train = generate_data(config, demo_tools[:3]) / "train.jsonl"
    kept = train.read_text().splitlines(keepends=True)[:-1]  # as a user may who has read them
    write_text(train, "".join(kept))
    creator = AutoLoRACreator(config, demo_tools[:3], reporter=Quiet())
    final, metrics = asyncio.run(creator.create_adapter(resume=True))
    assert (tmp_path / "iteration_1" / "train.jsonl").read_text() == "".join(kept)
    assert (tmp_path / "iteration_2" / "train.jsonl").read_text().startswith("".join(kept))
    first, second = metrics["iterations"]
    assert second["training"]["learning_rate"] == first["training"]["learning_rate"] / 2
    gate = first["gate"]
    assert (
        gate["adapter"]["mean"] < 1.5 * gate["base"]["mean"] < 0.03 < gate["scale_1"] and gate["scale_0"] == 0
    )
    assert first["hygiene"] == {**first["hygiene"], "cases": 5, "verdicts": 0, "answers": 0}
    assert set(first["drift"].values()) == {0.0}, "without tools it does not act"
    assert not (tmp_path / "data" / "own_answers.json").exists(), "so nothing is rehearsed"
    assert metrics["serve_command"].endswith("-np 1") and "one slot" in (final / "README.md").read_text()


def test_the_run_goes_on_without_its_language_model_and_says_who_wrote(finished):
    _, _, metrics = finished
    assert metrics["iterations"][0]["writers"] == {"builtin": 12}
    assert "no connection" in metrics["iterations"][0]["writer_verdict"]
    assert "found unfit" in metrics["iterations"][0]["writer_verdict"]
    assert metrics["test_writer"].startswith("the built-in writer")


def test_the_second_round_holds_the_first_and_aims_at_its_errors(finished):
    output = Path(finished[0].output_dir)
    first, second = ((output / f"iteration_{i}" / "train.jsonl").read_text().splitlines() for i in (1, 2))
    plan = json.loads((output / "iteration_1" / "metrics.json").read_text())["next_round"]
    assert second[: len(first)] == first and len(second) - len(first) == plan["new_examples"] > 0
    analysis = json.loads((output / "iteration_1" / "error_analysis.json").read_text())
    assert analysis["failed_cases"] == len({f["id"] for f in analysis["failures"]})


def test_the_second_round_goes_on_from_the_first_with_new_data_and_as_much_old(finished, tmp_path):
    """Trained again from what the folder holds, it is the same adapter to the byte."""
    config, output = finished[0], Path(finished[0].output_dir)
    one, two = output / "iteration_1", output / "iteration_2"
    rate = json.loads((one / "training.json").read_text())["learning_rate"] / 2
    assert json.loads((two / "training.json").read_text())["learning_rate"] == rate
    again, lesson = next_lesson(config, 2, read_conversations(two / "train.jsonl"), one, one)
    assert again == replace(config, init_adapter=str(one), learning_rate=rate)
    base = load_base(again)
    template = ChatTemplate(base.tokenizer)
    own = rehearse(base, template, config, output / "data" / "own_answers.json")
    validation = read_conversations(output / "data" / "validation.jsonl")
    sets = [ToolCallingDataset(split, template) for split in ([*lesson, *own], validation)]
    LoRATrainer(again, base).train(*sets, tmp_path)
    weights = "adapter_model.safetensors"
    assert (tmp_path / weights).read_bytes() == (two / weights).read_bytes()


async def test_resume_keeps_what_is_finished_and_ends_the_same(finished, demo_tools):
    config, final, before = finished
    output = Path(config.output_dir)
    stamp = (output / "iteration_1" / "metrics.json").stat().st_mtime_ns
    adapter = (output / "iteration_2" / "adapter_model.safetensors").read_bytes()
    kept = {"train.jsonl", "written.json"}  # as after a kill within the training
    for path in [*(output / "iteration_2").iterdir(), *final.iterdir()]:
        if path.name not in kept:
            path.unlink()
    written = json.loads((output / "iteration_2" / "written.json").read_text())
    write_json(output / "iteration_2" / "written.json", written | {"rejected_examples": {"of then": 7}})
    answered = (output / "data" / "base_answers.json").stat().st_mtime_ns
    _, after = await AutoLoRACreator(config, demo_tools[:3], reporter=Quiet()).create_adapter(resume=True)
    assert (output / "iteration_1" / "metrics.json").stat().st_mtime_ns == stamp
    assert (output / "iteration_2" / "adapter_model.safetensors").read_bytes() == adapter
    for key in ("base", "adapter"):
        assert after[key]["overall"] == before[key]["overall"]
    assert after["iterations"][1]["rejected_examples"] == {"of then": 7}, "they are not counted anew"
    assert after["iterations"][1]["writer_verdict"] == before["iterations"][1]["writer_verdict"]
    # The base is not asked again: hours with a large one.
    assert (output / "data" / "base_answers.json").stat().st_mtime_ns == answered
    assert after["base"] == before["base"]


async def test_a_round_that_gains_no_more_than_its_error_bar_is_the_last(finished, demo_tools, tmp_path):
    shutil.copytree(finished[0].output_dir, tmp_path, dirs_exist_ok=True)
    path = tmp_path / "iteration_2" / "metrics.json"
    second = json.loads(path.read_text())
    failed = [set(json.loads((tmp_path / f"iteration_{n}" / "metrics.json").read_text())["validation"]["failed"]) for n in (1, 2)]  # fmt: skip
    assert second["gain"]["gained"] == len(failed[0] - failed[1])
    assert second["gain"]["lost"] == len(failed[1] - failed[0])
    second["validation"]["overall"]["exact"]["count"] = 4  # the best so far
    path.write_text(json.dumps({**second, "gain": {"gained": 2, "lost": 1, "p": 1.0}}))
    config = replace(finished[0], output_dir=str(tmp_path), num_iterations=3)
    said = io.StringIO()
    reporter = Reporter(Console(file=said, width=200))
    _, metrics = await AutoLoRACreator(config, demo_tools[:3], reporter=reporter).create_adapter(resume=True)
    assert "Iteration 2 gained no more on validation than its error bar; stopping here." in said.getvalue()
    assert metrics["best_iteration"] == 2 and not (tmp_path / "iteration_3").exists()


async def test_a_scoring_that_fails_leaves_the_adapter_with_its_own_figures(
    finished, demo_tools, monkeypatch
):
    config, final, _ = finished
    (final / "adapter.gguf").rename(final / "kept")
    (final / "adapter.gguf").write_bytes(b"of the run before")
    (final / "evaluation.json").write_text("{}")
    before = {p.name: p.read_bytes() for p in final.iterdir()}

    async def fails(*_):
        raise ServerError("it died")

    monkeypatch.setattr(Examiner, "forgetting", fails)
    with pytest.raises(ServerError):
        await AutoLoRACreator(config, demo_tools[:3], reporter=Quiet()).create_adapter(resume=True)
    assert {p.name: p.read_bytes() for p in final.iterdir()} == before
    monkeypatch.undo()
    await AutoLoRACreator(config, demo_tools[:3], reporter=Quiet()).create_adapter(resume=True)
    assert (final / "adapter.gguf").read_bytes() == (final / "kept").read_bytes()
    assert not (final / "evaluation.json").exists(), "figures of the adapter that was replaced"
    (final / "kept").unlink()


async def test_serving_a_folder_only_reads_it(finished, demo_tools, monkeypatch):
    _, final, _ = finished
    before = {p.name: p.stat().st_mtime_ns for p in final.iterdir()}
    asked = []

    async def once(client):
        tools = [tool.to_openai() for tool in demo_tools[:3]]
        asked.append(
            await client.chat([{"role": "user", "content": "kitchen light on"}], tools, max_tokens=8)
        )

    monkeypatch.setattr(LlamaCppClient, "wait", once)
    await serve_directory(TrainingConfig(), final)
    assert asked[0].completion_tokens == 8
    assert {p.name: p.stat().st_mtime_ns for p in final.iterdir()} == before


async def test_tools_that_leave_no_room_end_the_run_before_the_base_is_asked(tiny_gguf, demo_tools, tmp_path):
    config = TrainingConfig(
        llama_cpp_model_path=str(tiny_gguf), output_dir=str(tmp_path), max_seq_length=128, **SMALL
    )
    with pytest.raises(DataError, match="no conversation fits into 128 tokens"):
        await AutoLoRACreator(config, demo_tools[:3], reporter=Quiet()).create_adapter()
    assert not (tmp_path / "data" / "base_answers.json").exists() and not list(tmp_path.glob("logs/*"))


async def test_resume_with_other_settings_is_refused(finished, demo_tools):
    config = TrainingConfig.from_dict({**finished[0].to_dict(), "lora_r": 8})
    with pytest.raises(UsageError, match="another lora_r"):
        await AutoLoRACreator(config, demo_tools[:3], reporter=Quiet()).create_adapter(resume=True)
    with pytest.raises(UsageError, match="another tools"):
        await AutoLoRACreator(finished[0], demo_tools[:2], reporter=Quiet()).create_adapter(resume=True)


async def test_another_judge_is_no_other_run(finished, demo_tools):
    """The judge is asked last: a run whose judge cannot be reached goes on with another."""
    output = Path(finished[0].output_dir)
    settings = finished[0].to_dict() | {"judge_url": "http://judge.example/v1", "judge_model": "large"}
    check_resumed(output, settings, [t.to_openai() for t in demo_tools[:3]])


def test_a_folder_is_exported_and_scored_as_fully_as_by_the_run(finished, capsys, monkeypatch):
    _, final, metrics = finished
    (final / "adapter.gguf").unlink()
    assert export_directory(TrainingConfig(), final).is_file()
    argv = [
        "--evaluate", ".", "--max-new-tokens", "24", "--num-final-answers", "3", "--num-forgetting-prompts", "4",
        "--forgetting-tokens", "8", "--num-scale-cases", "2", "--judge-url", "base",
    ]  # fmt: skip
    monkeypatch.chdir(final)  # where the run's test lies one folder up
    assert main(argv) == 1
    assert "This adapter is not better than its base" in " ".join(capsys.readouterr().out.split())
    again = json.loads((final / "evaluation.json").read_text())
    assert again["adapter"]["overall"] == metrics["adapter"]["overall"]
    assert again["test_writer"] == metrics["test_writer"]
    words = shlex.split(again["serve_command"])
    assert words[words.index("--chat-template-file") + 1] == str(final / "chat_template.jinja")
    round_one = shlex.split(serve_command("base.gguf", final.parent / "iteration_1", 512))
    assert round_one[round_one.index("--chat-template-file") + 1] == str(final.parent / "chat_template.jinja")
    assert again["answers"]["adapter"]["asked"] == metrics["answers"]["adapter"]["asked"] > 0
    assert again["quality"]["sanity"]["of"] == 24 and not again["quality"]["fit"]
    of_the_run, forgetting = metrics["forgetting"], again["forgetting"]
    assert forgetting["kl_per_token"] == of_the_run["kl_per_token"] > 0
    assert forgetting["called"]["of"] == 4
    assert [r["scale"] for r in forgetting["scales"]] == [r["scale"] for r in of_the_run["scales"]]
    (final / "evaluation.json").unlink()


def test_a_folder_is_served_with_room_for_what_its_run_asked(finished, tmp_path):
    _, final, metrics = finished
    assert metrics["context"] >= 256 and f"-c {metrics['context']}" in metrics["serve_command"]
    copied = shutil.copytree(final, tmp_path / "adapter")
    config = TrainingConfig(llama_cpp_model_path=finished[0].llama_cpp_model_path)
    assert AdapterFolder(config, copied).context == 8192
    write_text(copied / "metrics.json", json.dumps(metrics | {"context": 20480}))
    assert AdapterFolder(config, copied).context == 20480


def test_tools_are_checked_when_added(demo_tools):
    creator = AutoLoRACreator(TrainingConfig(), demo_tools)
    with pytest.raises(ToolsError, match="both named"):
        creator.add_tool(demo_tools[0])


async def test_the_readme_example_runs_in_a_running_event_loop(tiny_gguf, tmp_path):
    config = TrainingConfig(
        llama_cpp_model_path=str(tiny_gguf), output_dir=str(tmp_path / "out"), judge_url="base", **SMALL
    )
    creator = AutoLoRACreator(config, reporter=Quiet())
    creator.add_tool(
        ToolDefinition(
            name="database_query",
            description="Query SQL database",
            parameters={"query": {"type": "string", "description": "SQL statement"}},
            returns={"type": "object", "properties": {"rows": {"type": "integer"}}},
        )
    )
    best_adapter, metrics = await creator.create_adapter(num_iterations=1)
    assert best_adapter.name == "final_adapter" and len(metrics["iterations"]) == 1
    quality, forgetting = metrics["quality"], metrics["forgetting"]
    assert not quality["fit"] and quality["sanity"]["of"] == 24 and "wins" not in quality
    assert metrics["answers"]["base"]["asked"] == metrics["answers"]["adapter"]["asked"] > 0
    drift = metrics["iterations"][0]["drift"]
    assert forgetting["kl_per_token"] == drift["1.0"] > 0 and forgetting["called"]["of"] == 4
    assert [row["scale"] for row in forgetting["scales"]] == [0.25, 0.5, 0.75, 1.0, 1.25]
    assert all(row["kl_per_token"] == drift[str(row["scale"])] for row in forgetting["scales"])


def test_a_killed_run_leaves_nothing_behind_and_resumes(tiny_gguf, tmp_path):
    output = tmp_path / "out"
    argv = [
        sys.executable, "-m", "auto_lora", "--train", "--demo", "--model-path", str(tiny_gguf), "--output", str(output), "--iterations", "1",
        "--examples", "12", "--num-validation-examples", "5", "--num-test-examples", "5", "--num-epochs", "1", "--max-new-tokens", "16",
    ]  # fmt: skip
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while not (output / "iteration_1" / "train.jsonl").is_file() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait(30)
    assert process.stderr
    process.stderr.close()
    assert (output / "iteration_1" / "train.jsonl").is_file()
    done = subprocess.run([*argv, "--resume"], capture_output=True, text=True)
    assert (output / "final_adapter" / "adapter.gguf").is_file(), done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode == 1 and "not better than its base" in " ".join(done.stdout.split())


async def test_the_embedded_model_learns_a_tool_and_serves_it(smollm, tmp_path, demo_tools):
    """A real, small run: validation loss falls, and the printed command's files answer with a parsed call."""
    config = TrainingConfig(
        llama_cpp_model_path=str(smollm), output_dir=str(tmp_path / "out"), num_synthetic_examples=32, num_validation_examples=5,
        num_test_examples=8, num_epochs=2, batch_size=4, gradient_accumulation_steps=2, num_iterations=1, lora_dropout=0.0, max_new_tokens=64,
        category_shares={"single": 0.8, "no_call": 0.2}, num_forgetting_prompts=2, num_scale_cases=1, num_final_answers=2,
    )  # fmt: skip
    final, metrics = await AutoLoRACreator(config, demo_tools[:1], reporter=Quiet()).create_adapter()
    history = metrics["iterations"][0]["training"]["history"]
    assert history[-1]["validation_loss"] < 0.5 * history[0]["train_loss"] and math.isfinite(
        history[-1]["train_loss"]
    )
    assert metrics["adapter"]["overall"]["exact"]["count"] >= metrics["base"]["overall"]["exact"]["count"]
    argv = shlex.split(metrics["serve_command"])
    assert argv[argv.index("--lora") + 1] == str(final / "adapter.gguf")
    template = argv[argv.index("--chat-template-file") + 1]
    async with LlamaCppClient(
        smollm, adapter_path=final / "adapter.gguf", chat_template_file=template, context=2048
    ) as client:
        tools = json.loads((final / "tools.json").read_text())
        reply = await client.chat(
            [{"role": "user", "content": "turn on the kitchen lights"}], tools, max_tokens=64
        )
    assert [c.name for c in reply.calls] == ["set_light"] and not reply.error
