"""Before anything heavy: is all there that a run needs, and what will it cost.

`DependencyChecker` is the `--check` table; the functions below it are the same questions asked by a
run itself, each raising the error that says what to do.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from auto_lora._errors import AutoLoRAError, MissingPartError, ModelError, OutputError, ToolsError, UsageError
from auto_lora._gguf import GGUFHeader, read_header
from auto_lora._runs import check_resumed, holds_run, in_the_way, is_cleared
from auto_lora._server_process import check_port, find_server
from auto_lora._settings import TrainingConfig, split_mix
from auto_lora.catalog import ToolDefinition, load_tools
from auto_lora.catalog.lint import lint, refuse_errors
from auto_lora.catalog.show import summary
from auto_lora.estimate import Estimate, estimate_training, gib
from auto_lora.gguf_export import find_converter
from auto_lora.llama_server import LlamaCppClient
from auto_lora.model_source import ModelSource, embedded_model, hub_in_reach, resolve_model

PACKAGES = (
    "torch", "transformers", "peft", "accelerate", "safetensors", "gguf", "jinja2", "jsonschema", "faker", "httpx", "pyyaml",
    "psutil", "rich", "sentencepiece",
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One line of the check: status "ok", "warning" or "missing", and the line that fixes it."""

    name: str
    status: str
    detail: str
    fix: str = ""


@dataclass(frozen=True)
class CheckReport:
    """All lines of the check; `ok` when training could start."""

    rows: tuple[Row, ...]

    @property
    def ok(self) -> bool:
        return all(row.status != "missing" for row in self.rows)

    def to_json(self) -> dict[str, Any]:
        return {"ok": self.ok, "rows": [asdict(row) for row in self.rows]}

    def print(self, console: Console) -> None:
        """The table, each problem with the line that fixes it."""
        colours = {"ok": "green", "warning": "yellow", "missing": "red"}
        table = Table(title="auto_lora check", title_justify="left")
        for column in ("part", "status", "found", "what to do"):
            table.add_column(column, overflow="fold")
        for row in self.rows:
            status = f"[{colours[row.status]}]{row.status}[/]"
            table.add_row(row.name, status, escape(row.detail), escape(row.fix))
        console.print(table)
        console.print(
            "Training can start." if self.ok else "Training cannot start: see the lines marked missing."
        )


class DependencyChecker:
    """Checks the machine for the training that `config` means.

    Args:
        config: settings; model and tools in it are looked at.
        tools: the tools, if already loaded.
    """

    def __init__(self, config: TrainingConfig, tools: Sequence[ToolDefinition] | None = None) -> None:
        self.config = config
        self.tools = list(tools or ())

    async def run(self) -> CheckReport:
        """Looks at every part; starts a llama.cpp server on a real model and asks its health."""
        rows = [self._python(), *map(_package, PACKAGES), *self._machine()]
        header, model = self._model()
        rows += [model, self._tools(), await self._server(header), _converter()]
        if header is not None:
            estimate = estimate_training(header, self.config, self.tools)
            rows.append(self._estimate(estimate))
        return CheckReport(tuple(rows))

    def _python(self) -> Row:
        found = f"{platform.python_version()} at {sys.executable}"
        old = sys.version_info < (3, 10)
        return Row("Python", "missing" if old else "ok", found, "install Python 3.10 or later" if old else "")

    def _machine(self) -> list[Row]:
        import psutil

        memory, disk = psutil.virtual_memory(), shutil.disk_usage(_existing(Path(self.config.output_dir)))
        rows = [
            Row("memory", "ok", f"{gib(memory.available)} free of {gib(memory.total)}"),
            Row(
                "disk",
                "ok" if disk.free > 2**30 else "missing",
                f"{gib(disk.free)} free for {self.config.output_dir}",
                "" if disk.free > 2**30 else "free 1 GiB or choose another --output",
            ),
        ]
        if find_spec("torch") is None:
            return rows
        import torch

        from auto_lora._base_model import cpu_prefers_bf16, matmul_rates

        cores = psutil.cpu_count(logical=False) or os.cpu_count()
        rates = [
            f"{rate / 1e9:.0f} GFLOP/s in {n}"
            for n, rate in zip(("float32", "bf16"), matmul_rates().values(), strict=True)
        ]
        detail = (
            f"{cores} cores, {' and '.join(rates)}: {'bf16' if cpu_prefers_bf16() else 'float32'} weights"
        )
        rows.append(Row("processor", "ok", detail))
        if torch.cuda.is_available():
            free, total = torch.cuda.mem_get_info()
            detail = (
                f"{torch.cuda.get_device_name()}, CUDA {torch.version.cuda}, {gib(free)} free of {gib(total)}"
            )
            rows.append(Row("GPU", "ok", detail))
        else:
            rows.append(
                Row(
                    "GPU",
                    "warning",
                    "none that PyTorch can use; training runs on the processor",
                    "for models above 1 B use a CUDA machine",
                )
            )
        return rows

    def _model(self) -> tuple[GGUFHeader | None, Row]:
        try:
            source = check_model(self.config)
        except AutoLoRAError as error:
            return None, Row("model", "missing", error.message, error.hint)
        if source.gguf is None:
            detail = f"{source.name}, converted by llama.cpp{', to be downloaded' if source.download else ''}"
            return None, Row("model", "warning" if source.download else "ok", detail)
        header = read_header(source.gguf)
        template = (
            "tool-aware chat template"
            if header.knows_tools
            else "no tool-aware chat template (the Hermes one is used)"
        )
        detail = f"{header.name}: {header.architecture}, {header.quantisation}, context {header.context_length}, {template}"
        return header, Row("model", "ok", detail)

    def _tools(self) -> Row:
        if self.tools:
            return _tools_row(self.tools)
        if not self.config.tools:
            return Row("tools", "missing", "no tools file given", "give one with --tools FILE, or try --demo")
        try:
            self.tools = load_tools(self.config.tools)
        except (ToolsError, MissingPartError) as error:
            return Row("tools", "missing", error.message, error.hint)
        return self._tools()

    async def _server(self, header: GGUFHeader | None) -> Row:
        try:
            binary = find_server()
        except MissingPartError as error:
            return Row("llama.cpp server", "missing", error.message, error.hint)
        where = str(binary.path) if binary.path else f"embedded (xllamacpp {version('xllamacpp')})"
        model = header.path if header else embedded_model()
        if model is None:
            return Row(
                "llama.cpp server",
                "warning",
                f"{where}; not run: there is no GGUF to try it on",
                "give one with --model-path",
            )
        try:
            async with LlamaCppClient(model, context=512) as client:
                build = (await client.props()).get("build_info", "unknown build")
        except AutoLoRAError as error:
            return Row("llama.cpp server", "missing", f"{where}: {error.message}", error.hint)
        return Row("llama.cpp server", "ok", f"{where}, build {build}, started and healthy")

    def _estimate(self, estimate: Estimate) -> Row:
        return Row(
            "estimate",
            "ok" if estimate.fits else "warning",
            str(estimate),
            ""
            if estimate.fits
            else "choose a smaller model, lower --max-seq-length, or --load-in-4bit on a GPU",
        )


def _tools_row(tools: Sequence[ToolDefinition]) -> Row:
    detail = f"{len(tools)} tools: {', '.join(t.name for t in tools)[:80]}"
    try:
        check_tools(tools)
    except ToolsError as error:
        return Row("tools", "missing", f"{detail}; {error.message}", error.hint)
    findings = [f for f in lint(tools) if f.level == "warning"]
    if not findings:
        return Row("tools", "ok", detail)
    return Row(
        "tools",
        "warning",
        f"{detail}; {summary(findings)} {findings[0]}",
        "auto-lora tools SOURCE names them all",
    )


def _package(name: str) -> Row:
    try:
        return Row(name, "ok", version(name))
    except PackageNotFoundError:
        return Row(name, "missing", "not installed", f"pip install {name}")


def _converter() -> Row:
    checkout = os.environ.get("LLAMA_CPP_PATH")
    if not checkout:
        return Row("llama.cpp converter", "ok", "the built-in exporter (LLAMA_CPP_PATH is not set)")
    try:
        return Row("llama.cpp converter", "ok", str(find_converter(checkout)))
    except MissingPartError as error:
        return Row("llama.cpp converter", "missing", error.message, error.hint)


def check_inputs(
    config: TrainingConfig, tools: Sequence[ToolDefinition], samplers: Mapping[str, Any] | None = None
) -> ModelSource:
    """Raises the error for whatever would stop a run later; returns where the model comes from."""
    source = check_model(config)
    if not tools:
        raise ToolsError("there are no tools", "give them with --tools FILE, or try --demo")
    check_tools(tools, samplers)
    if config.init_adapter:
        from auto_lora._adapter_folder import check_adapter

        check_adapter(config.init_adapter, config)
    find_server()
    if config.port:
        check_port(config.port)
    return source


def check_tools(tools: Sequence[ToolDefinition], samplers: Mapping[str, Any] | None = None) -> None:
    """Raises ToolsError for tools that llama.cpp refuses, or whose values the writer cannot make up."""
    from auto_lora.dialogues import check_values

    refuse_errors(tools)
    check_values(tools, samplers or {})


def check_model(config: TrainingConfig) -> ModelSource:
    """Where the base model comes from, once it is sure that it can be trained and served.

    Raises:
        ModelError: it is missing, damaged, unsupported, or would have to come from a hub out of reach.
        MissingPartError: it would have to be converted, and there is no converter; or see `check_loadable`.
    """
    source = resolve_model(config)
    checkout = os.environ.get("LLAMA_CPP_PATH")
    if checkout:
        find_converter(checkout)
    if source.download and not hub_in_reach():
        raise ModelError(
            f"the base model {config.model_name} is not on this machine and the model hub cannot be reached",
            f"download it elsewhere (hf download {config.model_name}), give --model-path FILE.gguf, or try --demo",
        )
    if source.gguf is None and not checkout:
        raise MissingPartError(
            f"{source.name} has no GGUF to serve",
            "give one with --model-path FILE.gguf, set LLAMA_CPP_PATH to a llama.cpp checkout, or try --demo",
        )
    if find_spec("torch") is not None:
        from auto_lora._base_model import check_loadable

        check_loadable(config)
    return source


def check_output(
    directory: Path, *, resume: bool, overwrite: bool, resumable: bool = True, needed: int = 512 * 2**20
) -> None:
    """Raises OutputError or UsageError when a run cannot be written there.

    Args:
        resumable: what is to be written could go on with a run that is there.
        needed: bytes that must be free.
    """
    if resume and overwrite:
        raise UsageError("--resume and --overwrite exclude each other", "choose one")
    if holds_run(directory):
        if not (resume or overwrite):
            raise UsageError(
                f"{directory} already holds a run",
                ("go on with --resume, " if resumable else "")
                + "replace it with --overwrite, or choose another --output",
            )
    elif found := in_the_way(directory):
        raise UsageError(
            f"{found} is where a run would write, and no run.json in {directory} says that a run wrote it",
            "choose another --output",
        )
    parent = _existing(directory)
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise OutputError(f"{directory} cannot be written", "choose another folder with --output")
    free = shutil.disk_usage(parent).free
    if free < needed:
        raise OutputError(
            f"only {free // 2**20} MiB are free for {directory}, {needed // 2**20} MiB are needed",
            "free some space or choose another --output",
        )


def check_kept(config: TrainingConfig) -> None:
    """Raises UsageError when `--overwrite` would delete what the run reads, now or when it is resumed."""
    output = Path(config.output_dir)
    files = (
        config.tools,
        config.test_file,
        config.seed_prompts,
        split_mix(config.mix)[0] if config.mix else "",
    )
    for source in (config.init_adapter, config.llama_cpp_model_path, config.model_name, *files):
        if source and os.path.exists(source) and is_cleared(Path(source), output):
            raise UsageError(
                f"{source} is of the run in {output}, which --overwrite deletes",
                "choose another --output, or copy it elsewhere first",
            )


def why_not(
    config: TrainingConfig, tools: Sequence[ToolDefinition], *, resume: bool, overwrite: bool
) -> AutoLoRAError | None:
    """What would stop a run at once, None where nothing would."""
    try:
        check_inputs(config, tools)
        check_output(Path(config.output_dir), resume=resume, overwrite=overwrite)
        if overwrite:
            check_kept(config)
        if resume and holds_run(Path(config.output_dir)):
            check_resumed(Path(config.output_dir), config.to_dict(), [t.to_openai() for t in tools])
    except AutoLoRAError as error:
        return error
    return None


def dry_run(config: TrainingConfig, tools: Sequence[ToolDefinition]) -> dict[str, Any]:
    """What a run would use and cost, without writing anything."""
    source = resolve_model(config)
    estimate = "unknown until the model is here"
    if source.gguf is not None:
        estimate = str(estimate_training(read_header(source.gguf), config, tools))
    return {
        "settings": config.to_dict(),
        "tools": [t.name for t in tools],
        "model": str(source.gguf or source.name),
        "download": source.name if source.download else "nothing",
        "estimate": estimate,
    }


def _existing(path: Path) -> Path:
    """The path itself or its nearest existing parent."""
    path = path.resolve()
    while not path.exists():
        path = path.parent
    return path
