"""Conversations written to files, by the built-in writer or a language model, and who wrote how many."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from auto_lora import __version__
from auto_lora._conversation import Conversation, write_conversations
from auto_lora._errors import AutoLoRAError, UsageError
from auto_lora._gguf import read_header
from auto_lora._interrupts import run
from auto_lora._progress import Reporter
from auto_lora._runs import clear_run, remember_run
from auto_lora._settings import TrainingConfig
from auto_lora.catalog import ToolDefinition
from auto_lora.dialogues import Donated, LLMWriter, SyntheticDataGenerator, vary
from auto_lora.llama_server import LlamaCppClient
from auto_lora.preflight import check_kept, check_output, check_tools


def generate_data(
    config: TrainingConfig, tools: Sequence[ToolDefinition], *, overwrite: bool = False
) -> Path:
    """Writes `run.json` and `data/{validation,test,train}.jsonl` only, as a run writes them; returns the folder of the data.

    What the base itself says to ordinary prompts (`own_answers.json`) takes the base, so it is not among them.

    Raises:
        UsageError: a language model is to write and there is neither a URL nor a GGUF to serve.
        ModelError: that GGUF is missing or damaged.
        ToolsError: see `check_tools`.
    """
    output, config = Path(config.output_dir), config.for_tools(tools)
    check_output(output, resume=False, overwrite=overwrite, resumable=False)
    check_tools(tools)
    local = config.writer != "builtin" and not (config.writer_url or config.llama_cpp_url)
    if local and not config.llama_cpp_model_path:
        raise UsageError("no language model to write with", "give --writer-url or --model-path")
    if local:
        read_header(str(config.llama_cpp_model_path))
    generator = SyntheticDataGenerator(tools, config, donated=Donated.of(config, tools))
    if overwrite:
        check_kept(config)
        clear_run(output)
    # So that --train --resume goes on with these splits only where they are of its own settings and tools.
    entries = [t.to_openai() for t in tools]
    remember_run(output, __version__, config.to_dict(), entries, {}, resume=False)
    run(_generate(config, generator, output / "data"))
    return output / "data"


async def _generate(config: TrainingConfig, generator: SyntheticDataGenerator, folder: Path) -> None:
    def serve(name: str) -> LlamaCppClient:
        log = folder.parent / "logs" / f"server_{name}.log"
        return LlamaCppClient(
            config.llama_cpp_model_path, parallel=config.parallel_requests, port=config.port, log_path=log
        )

    reporter = Reporter()
    counts = {
        "validation": config.num_validation_examples,
        "test": config.num_test_examples,
        "train": config.num_synthetic_examples,
    }
    async with language_model(config, generator, serve):
        for split, count in counts.items():
            made = generator.training(count) if split == "train" else generator.held_out(count, split)
            if split == "train":
                made = vary(made, generator.tools, config, config.seed + 1)  # as iteration 1 does
            path = write_conversations(folder / f"{split}.jsonl", made)
            who = ", ".join(f"{n} by {writer}" for writer, n in writers_of(made).items())
            reporter.say(f"{path}: {len(made)} conversations ({who})")
    for note in generator.notes:
        reporter.say(f"  {note}")
    for reason, count in generator.rejects.items():
        reporter.say(f"  rejected {count}: {reason}")


@asynccontextmanager
async def language_model(
    config: TrainingConfig,
    generator: SyntheticDataGenerator,
    serve: Callable[[str], LlamaCppClient],
) -> AsyncIterator[None]:
    """Has the generator use the language model that `config` names, if it is found fit; never ends a run.

    Args:
        serve: makes a server for the local model, which is started only where no URL is given.
    """
    if config.writer == "builtin" or generator.unfit:
        yield
        return
    async with AsyncExitStack() as stack:
        stack.callback(setattr, generator, "writer", generator.writer)
        url = config.writer_url or config.llama_cpp_url
        try:
            url = url or (await stack.enter_async_context(serve("writer"))).url
        except AutoLoRAError as error:
            generator.notes.append(f"no language model to write: {error}; the built-in writer writes")
        if url:
            writer = LLMWriter(
                url,
                config.writer_model,
                temperature=config.temperature,
                top_p=config.top_p,
                seed=config.seed,
                timeout=min(config.request_timeout, 60.0),
                parallel=config.parallel_requests,
            )
            stack.callback(writer.close)
            if not generator.adopt(writer):
                await stack.aclose()  # its server is no longer needed
        yield


def writers_of(conversations: Sequence[Conversation]) -> dict[str, int]:
    """How many of the conversations each writer worded."""
    return dict(Counter(str(c.meta.get("writer", "unknown")) for c in conversations).most_common())
