"""An adapter folder by itself: scored again, exported, served."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from auto_lora._conversation import Conversation, read_conversations
from auto_lora._errors import ExportError
from auto_lora._progress import Reporter
from auto_lora._runs import read_json, write_json
from auto_lora._settings import TrainingConfig
from auto_lora.catalog import load_tools
from auto_lora.dialogues import SyntheticDataGenerator
from auto_lora.dialogues.donated import own_cases
from auto_lora.dialogues.reader import Reader
from auto_lora.gguf_export import export_adapter
from auto_lora.handover import is_activated, print_screen, serve_command, template_of
from auto_lora.llama_server import LlamaCppClient
from auto_lora.score_pair import Examiner

CONTEXT = 8192  # tokens of a server slot, at least


async def evaluate_adapter(config: TrainingConfig, directory: str | Path) -> dict[str, Any]:
    """Scores an adapter folder against its base, as the end of a run does; writes `evaluation.json` into it.

    In a run's folder its frozen test is asked, its validation conversations at each adapter scale, and
    `drift.json` tells the KL; elsewhere the test is written anew, and those two are left out.
    """
    folder, reporter = AdapterFolder(config, directory), Reporter()
    test, writer = _test_of(config, folder.path)
    validation = folder.path.parent / "data" / "validation.jsonl"
    drift = folder.path / "drift.json"
    examiner = Examiner(
        folder.config, test, read_conversations(validation) if validation.is_file() else [], reporter
    )
    async with folder.server("base") as client:
        base = await examiner.ask(client, "base")
        plain = await examiner.ask_plainly(client)
    async with folder.server("base + adapter", folder.adapter) as client:
        adapter = await examiner.ask(client, "base + adapter")
        forgetting = await examiner.forgetting(client, plain, read_json(drift) if drift.is_file() else None)
    metrics = await examiner.figures(base, adapter, forgetting, folder.server) | {
        "test_writer": writer,
        "serve_command": folder.command,
    }
    write_json(folder.path / "evaluation.json", metrics)
    print_screen(reporter.console, metrics, folder.path)
    return metrics


def _test_of(config: TrainingConfig, folder: Path) -> tuple[list[Conversation], str]:
    """The user's own test, else the run's, else a fresh one; and who wrote it."""
    frozen, given = folder.parent / "data" / "test.jsonl", config.tools or folder / "tools.json"
    if config.test_file:
        own = Reader(load_tools(given), config.system_prompt).cases(config.test_file)
        return own, own_cases(config.test_file)
    if frozen.is_file():
        told = folder.parent / "final_adapter" / "metrics.json"
        writer = read_json(told)["test_writer"] if told.is_file() else f"the run in {folder.parent}"
        return read_conversations(frozen), writer
    generator = SyntheticDataGenerator(load_tools(given), config)
    fresh = generator.generate(config.num_test_examples, "test")
    return fresh, generator.describe_writer(fresh)


def export_directory(config: TrainingConfig, directory: str | Path) -> Path:
    """Writes `adapter.gguf` beside a PEFT adapter."""
    folder = Path(directory).resolve()
    base = config.llama_cpp_model_path or base_of(folder) or config.model_name
    return export_adapter(folder, base, folder / "adapter.gguf")


async def serve_directory(config: TrainingConfig, directory: str | Path) -> None:
    """Serves base, adapter and chat template until cancelled (Ctrl-C)."""
    folder = AdapterFolder(config, directory)
    async with folder.server("", folder.adapter, parallel=1) as client:
        Reporter().say(f"serving {folder.path} at {client.url}/v1 (Ctrl-C stops)")
        await client.wait()


class AdapterFolder:
    """An adapter folder as it is served: base GGUF, adapter and the template it was trained with."""

    def __init__(self, config: TrainingConfig, directory: str | Path) -> None:
        path = Path(directory).resolve()  # the run lies around it, also where the folder is "."
        self.config, self.path = replace(config, activated=is_activated(path)), path
        self.adapter = path / "adapter.gguf"
        if not path.is_dir():
            raise ExportError(
                f"there is no folder {path}", "give an adapter's, such as lora_adapters/final_adapter"
            )
        if not self.adapter.is_file():
            raise ExportError(f"{path} holds no adapter.gguf", f"write it with --export {path}")
        self.base = config.llama_cpp_model_path or base_of(path)
        self.template = template_of(path)
        self.context = max(CONTEXT, config.max_seq_length, context_of(path))
        if self.base is None or not Path(self.base).is_file():
            converted = path.parent / "base.gguf"
            if not converted.is_file():
                raise ExportError(
                    f"{path} names the base {self.base}, which is no GGUF file", "give it with --model-path"
                )
            self.base = str(converted)
        self.command = serve_command(self.base, path, self.context)

    def server(
        self, name: str, adapter: Path | None = None, *, parallel: int | None = None
    ) -> LlamaCppClient:
        """A client that starts the server of this folder, with the adapter or without.

        Args:
            name: of the server's log in the folder; "": it goes to a temporary file, so the folder is only read.
        """
        return LlamaCppClient(
            self.base,
            adapter_path=adapter,
            chat_template_file=self.template,
            context=self.context,
            parallel=parallel or self.config.slots,
            port=self.config.port,
            timeout=self.config.request_timeout,
            log_path=self.path / f"server_{name.replace(' ', '')}.log" if name else None,
        )


def context_of(folder: Path) -> int:
    """Tokens of a slot that the run of an adapter folder served it with, 0 where that is not known."""
    path = folder / "metrics.json"
    return int(read_json(path).get("context", 0)) if path.is_file() else 0


def base_of(folder: Path) -> str | None:
    """The base model an adapter folder names, None when it names none."""
    path = folder / "adapter_config.json"
    return read_json(path).get("base_model_name_or_path") if path.is_file() else None
