"""manifest.json: hashes, comparison, and a run made again from nothing but its manifest."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys

import pytest
from rich.console import Console

from auto_lora.__main__ import build_parser, config_of, main
from auto_lora._errors import UsageError
from auto_lora._runs import read_json, sha256, write_json, write_text
from auto_lora._settings import TrainingConfig
from auto_lora.manifest import (
    compare_manifests,
    comparison_table,
    describe_run,
    read_manifest,
    same_run,
)
from tests.finished_run import write_run
from tests.tiny_models import random_model, save_gguf, vocabulary_of


@pytest.fixture(scope="module")
def run(tmp_path_factory, demo_tools):
    folder = tmp_path_factory.mktemp("run")
    return folder, write_run(folder, demo_tools)


@pytest.fixture
def manifest(run):
    return read_json(run[0] / "final_adapter" / "manifest.json")


def different(differences):
    return {d.name for d in differences if not d.equal}


def test_a_hash_is_that_of_the_whole_file(tmp_path):
    path = tmp_path / "large"
    path.write_bytes(bytes(range(256)) * 10_000)  # more than two pieces
    assert sha256(path) == hashlib.sha256(path.read_bytes()).hexdigest()


def test_every_file_that_decides_is_hashed(run, manifest):
    hashes = manifest["hashes"]
    assert set(hashes) == {
        "base model", "chat_template.jinja", "data/validation.jsonl", "data/test.jsonl", "final_adapter/tools.json",
        *(f"iteration_{i}/train.jsonl" for i in (1, 2)),
        *(f"{d}/{n}" for d in ("iteration_1", "iteration_2", "final_adapter") for n in ("adapter.gguf", "adapter_model.safetensors")),
    }  # fmt: skip
    for name, digest in hashes.items():
        path = run[0] / ("base.gguf" if name == "base model" else name)
        assert digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert manifest["versions"]["llama.cpp"] == "b1-test" and manifest["versions"]["torch"]
    assert len(manifest["server"]["sha256"]) == 64 and manifest["seed"] == 42
    assert manifest["settings"] == TrainingConfig.from_dict(manifest["settings"]).to_dict()
    exact = run[1]["adapter"]["overall"]["exact"]
    assert manifest["figures"]["all, base + adapter"] == f"{exact['count']}/{exact['of']}"


def test_the_same_run_is_the_same(manifest):
    again = json.loads(json.dumps(manifest)) | {"written": "later", "command": "other"}
    again["versions"]["torch"] = "0.1"
    found = compare_manifests(manifest, again)
    assert different(found) == {"torch"} and same_run(found)  # another version alone is no other run


def test_where_the_base_lies_and_what_was_only_generated_make_no_other_run(
    run, manifest, demo_tools, tmp_path
):
    folder = tmp_path / "other"
    shutil.copytree(run[0], folder)
    for path in folder.glob("*/adapter_config.json"):
        write_json(path, read_json(path) | {"base_model_name_or_path": "elsewhere/base.gguf"})
    write_text(folder / "data" / "train.jsonl", "{}\n")
    config = TrainingConfig.from_dict(manifest["settings"])
    other = describe_run(folder, config, demo_tools, run[1], folder / "base.gguf", "b1-test")
    assert len(list(folder.glob("*/adapter_config.json"))) == 3
    assert same_run(compare_manifests(manifest, other))


def test_what_differs_is_named(run, manifest, demo_tools, tmp_path):
    """One byte of data, an adapter file that is missing, one case more: each is told by its name."""
    folder = tmp_path / "other"
    shutil.copytree(run[0], folder)
    with (folder / "data" / "test.jsonl").open("ab") as file:
        file.write(b"\n")
    (folder / "iteration_1" / "adapter.gguf").unlink()
    metrics = json.loads(json.dumps(run[1]))
    metrics["base"]["overall"]["exact"]["count"] += 1
    metrics["iterations"][1]["training"]["history"][2]["validation_loss"] = 0.5
    config = TrainingConfig.from_dict(manifest["settings"])
    other = describe_run(folder, config, demo_tools, metrics, folder / "base.gguf", "b1-test")
    found = compare_manifests(manifest, other)
    names = {
        "data/test.jsonl",
        "iteration_1/adapter.gguf",
        "all, base",
        "iteration 2, epoch 3, validation loss",
    }
    assert different(found) == names and not same_run(found)
    out = io.StringIO()
    Console(file=out, width=120).print(comparison_table(found))
    lines = out.getvalue().splitlines()
    for name in names:
        assert any(name in line and "DIFFERENT" in line for line in lines), name
    assert sum(line.rstrip(" │").endswith("│ equal") for line in lines) == len(found) - len(names)


def test_data_are_the_same_in_every_process():
    """Python orders sets anew in every process: nothing that is written may follow such an order."""
    code = """if True:
        from pathlib import Path
        import auto_lora, hashlib
        from auto_lora._runs import dumps
        tools = auto_lora.load_tools(Path(auto_lora.__file__).parent / "demo" / "tools.json")
        generator = auto_lora.SyntheticDataGenerator(tools, auto_lora.TrainingConfig())
        for split in ("train", "validation", "test"):
            rows = [dumps(c.to_json()) for c in generator.generate(150, split)]
            print(hashlib.sha256("".join(rows).encode()).hexdigest())
    """
    written = {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True, text=True, check=True, env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2", "3")
    }  # fmt: skip
    assert len(written) == 1 and len(next(iter(written)).split()) == 3


def settings(*argv):
    return config_of(build_parser().parse_args(list(map(str, argv))))


def test_a_repeat_holds_what_the_machine_decided_and_flags_win(run, manifest, tmp_path):
    path = run[0] / "final_adapter" / "manifest.json"
    config = settings("--reproduce", path, "--output", tmp_path / "new", "--parallel-requests", "1")
    assert config.mixed_precision == "no" and config.num_threads == manifest["machine"]["threads"] > 0
    assert config.output_dir == str(tmp_path / "new") and config.parallel_requests == 1
    same = ("num_synthetic_examples", "seed", "lora_r", "num_epochs", "category_shares")
    assert all(getattr(config, name) == manifest["settings"][name] for name in same)


def test_what_is_no_manifest_or_cannot_be_repeated(run, manifest, tmp_path, capsys):
    path = tmp_path / "manifest.json"

    def refused(*argv):
        assert main(["--reproduce", *map(str, argv)]) == 2
        return capsys.readouterr().err

    assert "does not exist" in refused(path)
    write_json(path, [1])
    assert "is no manifest" in refused(path)
    write_json(path, manifest | {"extensions": ["the sampler city"]})
    assert "the sampler city written in Python" in refused(path)
    own = run[0] / "final_adapter" / "manifest.json"
    assert "is of the run in" in refused(own, "--output", run[0], "--overwrite")
    assert own.is_file()
    with pytest.raises(UsageError, match="does not exist"):
        read_manifest(tmp_path / "none.json")


def test_another_base_model_is_refused_before_anything_runs(run, tmp_path, capsys):
    own, base = run[0] / "final_adapter" / "manifest.json", tmp_path / "base.gguf"
    base.write_bytes(b"GGUF")
    argv = ["--reproduce", own, "--model-path", base, "--output", tmp_path / "new"]
    assert main(list(map(str, argv))) == 1
    assert "is another file: its SHA-256 is" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


@pytest.mark.slow
def test_a_run_is_made_again_from_its_manifest(smollm, tmp_path):
    """Another process, another folder: the same data and the same adapter bytes; a changed manifest is told."""
    model = save_gguf(random_model("qwen3", vocabulary_of(smollm)), smollm, tmp_path / "tiny.gguf")
    program = [sys.executable, "-m", "auto_lora"]
    first, again = tmp_path / "first", tmp_path / "again"
    made = subprocess.run(
        [
            *program, "--train", "--demo", "--model-path", model, "--output", first, "--iterations", "1", "--examples", "12", "--num-epochs", "1",
            "--num-validation-examples", "5", "--num-test-examples", "5", "--max-new-tokens", "16", "--mixed-precision", "no", "--parallel-requests", "1",
            "--num-forgetting-prompts", "0", "--num-final-answers", "0",
        ],
        capture_output=True, text=True,
    )  # fmt: skip
    report = first / "final_adapter" / "report.html"
    lines = made.stdout.strip().splitlines()
    assert lines[-1] == f"Report: {report}" and lines[-2].startswith("Exact on the frozen test"), (
        made.stdout + made.stderr
    )
    path = first / "final_adapter" / "manifest.json"
    build = read_json(path)["versions"]["llama.cpp"]
    assert build and build != "unknown" and build in report.read_text(encoding="utf-8")

    repeat = [*program, "--reproduce", path, "--output", again]
    done = subprocess.run(repeat, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "DIFFERENT" not in done.stdout and "hashes and figures are equal" in done.stdout
    for name in (
        "iteration_1/train.jsonl",
        "data/test.jsonl",
        "final_adapter/adapter_model.safetensors",
        "final_adapter/adapter.gguf",
    ):
        assert (first / name).read_bytes() == (again / name).read_bytes()

    changed = read_json(path)
    changed["hashes"]["final_adapter/adapter.gguf"] = "0" * 64
    write_json(path, changed)
    done = subprocess.run([*repeat, "--resume"], capture_output=True, text=True)
    assert done.returncode == 1 and done.stdout.count("DIFFERENT") == 1, done.stdout + done.stderr
