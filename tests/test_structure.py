"""The shape of the code: public names, one direction of imports, no torch before it is needed."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import auto_lora

PACKAGE = Path(auto_lora.__file__).parent
STAGES = sorted(
    p.stem
    for p in PACKAGE.iterdir()
    if p.name[0] not in "_." and (p.suffix == ".py" or (p / "__init__.py").exists())
)
PUBLIC = {
    "AutoLoRACreator", "AutoLoRAError", "Conversation", "DependencyChecker", "Extensions", "LlamaCppClient", "LoRATrainer", "SyntheticDataGenerator",
    "ToolCall", "ToolCallEvaluator", "ToolCallingDataset", "ToolDefinition", "TrainingConfig", "load_tools", "read_conversations",
}  # fmt: skip


def test_public_names_are_there():
    assert set(auto_lora.__all__) == PUBLIC
    assert all(getattr(auto_lora, name).__name__ == name for name in PUBLIC)


def imported(file: Path) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found += [a.name for a in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append(node.module or "")
    return [name for name in found if name.startswith("auto_lora.")]


def test_a_stage_imports_only_stages_before_it():
    for file in PACKAGE.rglob("*.py"):
        stage = file.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if stage.startswith("_"):
            continue
        for name in imported(file):
            other = name.split(".")[1]
            assert other.startswith("_") or other <= stage, f"{file.name} imports {other}"
    assert STAGES.index("catalog") < STAGES.index("encode") < STAGES.index("score") < STAGES.index("workflow")


def test_the_writer_goes_from_definitions_to_values_to_words():
    folder, order = PACKAGE / "dialogues", ["definitions", "values", "wording"]
    for number, package in enumerate(order):
        files = [f for f in (folder / package).glob("*.py") if f.name != "__init__.py"]
        assert files
        for file in files:
            for name in imported(file):
                if name.startswith("auto_lora.dialogues."):
                    assert name.split(".")[2] in order[: number + 1], f"{file.name} imports {name}"


def test_import_and_help_load_no_torch():
    code = "import sys, auto_lora; from auto_lora.__main__ import main; main(['--help']); main([]); assert 'torch' not in sys.modules and 'transformers' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "--lora-r" in done.stdout


def test_no_pickle_and_no_silent_excepts():
    for file in PACKAGE.rglob("*.py"):
        text = file.read_text()
        assert "pickle" not in text and "except:" not in text and "torch.load" not in text, file
