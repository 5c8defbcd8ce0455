"""What a run was made of and what came out of it, in `manifest.json`; and whether another run is the same.

Hashes are SHA-256 of whole files. Training on a processor in float32 with the same number of threads
gives the same bytes; what a machine decides by itself (threads, precision) is therefore written down
and held when the run is repeated.
"""

from __future__ import annotations

import os
import platform
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from auto_lora._errors import MismatchError, UsageError
from auto_lora._runs import read_json, sha256
from auto_lora._server_process import find_server
from auto_lora._settings import TrainingConfig
from auto_lora.catalog import ToolDefinition
from auto_lora.handover import comparison

FORMAT = 1
PACKAGES = ("auto-lora", "torch", "transformers", "peft", "tokenizers", "numpy", "gguf", "xllamacpp")
HASHED = (
    "chat_template.jinja", "data/validation.jsonl", "data/test.jsonl", "iteration_*/train.jsonl",
    "iteration_*/adapter_model.safetensors", "iteration_*/adapter.gguf",
    "final_adapter/adapter_model.safetensors", "final_adapter/adapter.gguf", "final_adapter/tools.json",
)  # fmt: skip
BASE = "base model"
_PRECISIONS = {"bf16": "bf16", "fp16": "fp16", "float32": "no"}  # as training.json says it: the setting


@dataclass(frozen=True)
class Difference:
    """One thing of two runs side by side; `kind` is "version", "hash" or "figure", None: not there."""

    kind: str
    name: str
    before: Any
    after: Any

    @property
    def equal(self) -> bool:
        return bool(self.before == self.after)


def describe_run(
    output: Path,
    config: TrainingConfig,
    tools: Sequence[ToolDefinition],
    metrics: Mapping[str, Any],
    base: str | Path,
    build: str,
    extensions: Sequence[str] = (),
) -> dict[str, Any]:
    """The content of `manifest.json` of a finished run.

    Args:
        output: the run folder, its files written.
        metrics: the content of `final_adapter/metrics.json`.
        base: the GGUF that was served.
        build: what the server calls its build (`build_info` of `/props`).
        extensions: names of what the user added in Python, which no manifest can hold.
    """
    training = next(
        i["training"] for i in metrics["iterations"] if i["iteration"] == metrics["best_iteration"]
    )
    files = [path for pattern in HASHED for path in sorted(output.glob(pattern)) if path.is_file()]
    return {
        "format": FORMAT,
        "written": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "command": shlex.join(sys.argv),
        "seed": config.seed,
        "settings": config.to_dict(),
        "decided": {k: v for k, v in training.items() if k not in ("history", "losses", "directory")},
        "tools": [asdict(tool) for tool in tools],
        "extensions": list(extensions),
        "machine": machine(),
        "versions": {"python": platform.python_version(), **_packages(), "llama.cpp": build},
        "server": _server(),
        "hashes": {BASE: sha256(base), **{p.relative_to(output).as_posix(): sha256(p) for p in files}},
        "figures": figures(metrics),
    }


def machine() -> dict[str, Any]:
    """System, processor, memory, GPU and PyTorch's threads."""
    import psutil
    import torch

    return {
        "system": platform.platform(),
        "processor": _processor(),
        "cores": psutil.cpu_count(logical=False) or os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "threads": torch.get_num_threads(),
    }


def _processor() -> str:
    """The processor's name, which Linux tells in a file alone."""
    told = Path("/proc/cpuinfo")
    name = re.search(r"^model name\s*:\s*(.+)$", told.read_text() if told.is_file() else "", re.MULTILINE)
    return name[1] if name else platform.processor() or platform.machine()


def figures(metrics: Mapping[str, Any]) -> dict[str, str | float | None]:
    """The figures that a repeated run must reach: counts on the frozen test, losses and validation."""
    found: dict[str, str | float | None] = {}
    for name, base, adapter in comparison(metrics):
        for model, part in (("base", base), ("base + adapter", adapter)):
            found[f"{name}, {model}"] = f"{part['count']}/{part['of']}"
    if forgetting := metrics.get("forgetting"):
        found["forgetting, KL per token"] = forgetting["kl_per_token"]
    for done in metrics["iterations"]:
        part = done["validation"]["overall"]["exact"]
        found[f"iteration {done['iteration']}, validation exact"] = f"{part['count']}/{part['of']}"
        for epoch in done["training"]["history"]:
            name = f"iteration {done['iteration']}, epoch {epoch['epoch']}, validation loss"
            found[name] = epoch["validation_loss"]
    return found


def _packages() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _server() -> dict[str, str]:
    """Which llama.cpp was started: its program, or the embedded library, with its hash."""
    binary = find_server()
    path = binary.path
    if path is None:
        spec = find_spec("xllamacpp")
        folder = Path(spec.origin).parent if spec and spec.origin else Path()
        path = next(iter(sorted([*folder.glob("xllamacpp*.so"), *folder.glob("xllamacpp*.pyd")])), None)
    return {"kind": binary.kind, **({"file": str(path), "sha256": sha256(path)} if path else {})}


def read_manifest(path: str | Path) -> dict[str, Any]:
    """A manifest from its file.

    Raises:
        UsageError: it is not there, is no manifest, or is of a run that a manifest cannot repeat.
    """
    if not Path(path).is_file():
        raise UsageError(f"{path} does not exist", "give final_adapter/manifest.json of a finished run")
    manifest = read_json(path)
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise UsageError(
            f"{path} is no manifest of format {FORMAT}", "give final_adapter/manifest.json of a finished run"
        )
    if manifest["extensions"]:
        raise UsageError(
            f"the run of {path} used {', '.join(manifest['extensions'])} written in Python",
            "run that program again with another output folder, and compare the two manifests",
        )
    return manifest


def settings_to_repeat(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that give the same run on this machine: no output folder, threads and precision as they were."""
    settings = {k: v for k, v in manifest["settings"].items() if k not in ("output_dir", "tools", "port")}
    settings["num_threads"] = settings["num_threads"] or manifest["machine"]["threads"]
    if settings["mixed_precision"] == "auto":
        settings["mixed_precision"] = _PRECISIONS.get(manifest["decided"]["precision"], "auto")
    return settings


def check_repeat(manifest: Mapping[str, Any], path: str | Path, config: TrainingConfig) -> None:
    """Whether `config` can run the manifest at `path` again.

    Raises:
        UsageError: the output folder is the manifest's own.
        MismatchError: the base model is another file.
    """
    output, base, digest = Path(config.output_dir), config.llama_cpp_model_path, manifest["hashes"][BASE]
    if output.resolve() in Path(path).resolve().parents:
        raise UsageError(f"{path} is of the run in {output}", "choose another folder with --output")
    if base and Path(base).is_file() and (found := sha256(base)) != digest:
        raise MismatchError(
            f"the base model {base} is another file: its SHA-256 is {found[:12]}..., "
            f"the manifest's {digest[:12]}...",
            "give the same file with --model-path",
        )


def compare_manifests(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Difference]:
    """Versions that differ, then every hash and every figure of two runs, equal or not."""

    def side_by_side(kind: str, key: str) -> list[Difference]:
        names = dict.fromkeys([*before[key], *after[key]])
        return [Difference(kind, n, before[key].get(n), after[key].get(n)) for n in names]

    versions = [d for d in side_by_side("version", "versions") if not d.equal]
    return [*versions, *side_by_side("hash", "hashes"), *side_by_side("figure", "figures")]


def same_run(differences: Sequence[Difference]) -> bool:
    """Whether all hashes and figures are equal; another version alone is no other run."""
    return all(d.equal for d in differences if d.kind != "version")


def print_comparison(console: Console, differences: Sequence[Difference]) -> None:
    """The table, and how many hashes and figures are equal."""
    console.print(comparison_table(differences))
    counted = [d for d in differences if d.kind != "version"]
    equal = sum(d.equal for d in counted)
    console.print(f"{equal} of {len(counted)} hashes and figures are equal.", highlight=False)


def comparison_table(differences: Sequence[Difference]) -> Table:
    """The differences as the console shows them; names and verdicts are never wrapped."""
    table = Table(title="this run beside the one of the manifest", title_justify="left")
    for column, whole in (("", True), ("what", True), ("manifest", False), ("this run", False), ("", True)):
        table.add_column(column, no_wrap=whole, overflow="ellipsis" if whole else "fold")
    for d in differences:
        table.add_row(
            d.kind, d.name, _short(d, d.before), _short(d, d.after), "equal" if d.equal else "DIFFERENT"
        )
    return table


def _short(difference: Difference, value: Any) -> str:
    return "none" if value is None else str(value)[: 12 if difference.kind == "hash" else None]
