"""The steps of a run in one output folder, each recognised as done by its last file; `workflow.py` puts them in order."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from auto_lora import __version__, preflight
from auto_lora._base_model import decided_precision, load_base, load_tokenizer
from auto_lora._conversation import Conversation, read_conversations, write_conversations
from auto_lora._gguf import check_supported, read_header
from auto_lora._intervals import gain
from auto_lora._memory import release_memory
from auto_lora._processes import Processes
from auto_lora._progress import Reporter
from auto_lora._runs import (
    clear_run,
    read_json,
    remember_run,
    write_bytes,
    write_json,
    write_jsonl,
    write_text,
)
from auto_lora._settings import TrainingConfig
from auto_lora.catalog import ToolDefinition
from auto_lora.dialogues import Donated, SyntheticDataGenerator, ValueSampler, Writer, vary
from auto_lora.encode import ChatTemplate, ToolCallingDataset, encode_conversation
from auto_lora.finetune import LoRATrainer
from auto_lora.gguf_export import convert_base, export_adapter
from auto_lora.handover import model_card, percent, print_screen, serve_command
from auto_lora.llama_server import LlamaCppClient
from auto_lora.manifest import describe_run
from auto_lora.proof import (
    NEAR,
    NEAR_4BIT,
    Logprobs,
    Probe,
    Sides,
    adapter_gate,
    base_gate,
    grammar_gate,
    probes_of,
    served_logprobs,
    tokens_gate,
    trainer_logprobs,
)
from auto_lora.rehearsal import rehearse
from auto_lora.report import write_report
from auto_lora.score import Metric
from auto_lora.score_forgetting import PlainAnswer, adapter_drift
from auto_lora.score_pair import Answers, Examiner
from auto_lora.score_resumed import keep_answers, kept_answers
from auto_lora.synthetic_data import language_model, writers_of
from auto_lora.training_jobs import lead
from auto_lora.triage import Round, RoundPlan, analyse, case_rows, next_lesson, plan_next_round
from auto_lora.two_sample import shipped_prompts, writer_distance


@dataclass(frozen=True)
class Extensions:
    """What a user adds in Python.

    Attributes:
        writer: words the prompts, where `config.writer` is "builtin"; what fails verification is reworded.
        samplers: "parameter" or "tool.parameter" to a function of a random.Random giving (value, words for it).
        metrics: name to a function of a CaseResult that says whether the case has it.
    """

    writer: Writer | None = None
    samplers: Mapping[str, ValueSampler] = field(default_factory=dict)
    metrics: Mapping[str, Metric] = field(default_factory=dict)

    def names(self) -> list[str]:
        """What of these is used, in words."""
        return [
            *(["a writer"] if self.writer else []),
            *(f"the sampler {n}" for n in self.samplers),
            *(f"the metric {n}" for n in self.metrics),
        ]


class Run:
    """One run in one output folder: the steps of the story in their order, each writing its files.

    Finished steps are recognised by their last file, so that a resumed run goes on after them.
    """

    def __init__(
        self,
        config: TrainingConfig,
        tools: Sequence[ToolDefinition],
        reporter: Reporter,
        extensions: Extensions,
        processes: Processes,
        *,
        resume: bool = False,
        overwrite: bool = False,
    ) -> None:
        self.config, self.tools, self.reporter = config, list(tools), reporter
        self.extensions, self.processes = extensions, processes
        self.output = Path(config.output_dir)
        source = preflight.check_inputs(config, self.tools, extensions.samplers)
        donated = Donated.of(config, self.tools)
        preflight.check_output(self.output, resume=resume, overwrite=overwrite)
        if overwrite:
            preflight.check_kept(config)
            clear_run(self.output)
        entries = [t.to_openai() for t in self.tools]
        decided: dict[str, Any] = {"mixed_precision": decided_precision(config.mixed_precision)}
        decided = remember_run(self.output, __version__, config.to_dict(), entries, decided, resume=resume)
        self.config = replace(config, **decided)
        self.gguf = source.gguf or convert_base(source.name, self.output / "base.gguf")
        check_supported(read_header(self.gguf))  # before hours of training, not after
        self.template = ChatTemplate(load_tokenizer(config))
        if config.activated:
            _ = (
                self.template.invocation
            )  # a template without one is refused before anything is asked or trained
        self.template_file = write_text(self.output / "chat_template.jinja", self.template.text)
        self.generator = SyntheticDataGenerator(
            self.tools, config, writer=extensions.writer, samplers=extensions.samplers, donated=donated
        )
        self.context = config.max_seq_length
        self.validation: list[Conversation] = []
        self.test: list[Conversation] = []
        self._told: Counter[str] = Counter()  # rejected drafts that an iteration's figures already hold
        self.plain: list[PlainAnswer] = []
        self.probes: list[Probe] = []
        self.served_base: list[Logprobs] = []

    async def write_frozen_splits(self) -> None:
        """Validation and test, written once and read again ever after; no writer but the chosen one."""
        config, splits = self.config, []
        counts = {"validation": config.num_validation_examples, "test": config.num_test_examples}
        async with self._writing():
            for split, count in counts.items():
                path = self.output / "data" / f"{split}.jsonl"
                if not path.is_file():
                    write_conversations(path, self.generator.held_out(count, split))
                splits.append(read_conversations(path))
                self.generator.know(splits[-1], split)
        self.validation, self.test = splits
        self.examiner = Examiner(config, self.test, self.validation, self.reporter, self.extensions.metrics)
        # Tools that leave no room for a conversation end the run here, not after the base has been asked.
        ToolCallingDataset(self.validation, self.template, config.max_seq_length, activated=config.activated)
        # Of a server slot: the longest conversation and an answer, in steps of 256 tokens.
        encoded = [e for c in [*self.validation, *self.test] for e in encode_conversation(c, self.template)]
        self.context = 256 * ((max(map(len, encoded)) + config.max_new_tokens) // 256 + 1)

    async def score_base(self) -> Answers:
        """Checks that trainer and server agree on tokens, notes the served base's weights, asks it the frozen test."""
        async with self._server("base") as client:
            # First, in slots that have held nothing yet, as after export: a cached prefix changes the last digits.
            self.probes = probes_of(self.validation, self.template)
            self.served_base = await served_logprobs(client, self.probes)
            await grammar_gate(client, self.tools)
            await tokens_gate(client, self.template, [*self.validation, *self.test])
            self.reporter.say("Prompt tokens of trainer and server are equal on every category.")
            path, weights = self.output / "data" / "base_answers.json", self.gguf.stat()
            build = str((await client.props()).get("build_info", "unknown"))
            served = {"build": build, "bytes": weights.st_size, "changed": weights.st_mtime_ns}
            known = kept_answers(path, served, self.test, self.extensions.metrics)
            if known is None:
                known = await self.examiner.ask(client, "base"), await self.examiner.ask_plainly(client)
                keep_answers(path, served, *known)
            else:
                self.reporter.say("The base has answered the test already.")
        answers, self.plain = known
        return answers

    async def iteration(self, number: int, plan: RoundPlan | None) -> Round:
        """Data, training, export, scoring on validation, error study."""
        folder = self.output / f"iteration_{number}"
        if (folder / "metrics.json").is_file():
            self.reporter.say(f"Iteration {number} is already finished.")
            self._told = Counter(self.generator.rejects)  # its figures hold them
            return Round.read(folder / "metrics.json", self.config.max_forgetting_kl)
        self.reporter.say(f"\nIteration {number}")
        train, written = await self._written(number, plan)
        training, trained, drift = self._train(number, train)
        adapter = export_adapter(folder, self.gguf, folder / "adapter.gguf")
        gate = await self._prove(number, adapter, trained)
        async with self._server(f"iteration_{number}", adapter) as client:
            evaluator = self.examiner.evaluator(self.validation)
            scored = await evaluator.evaluate(client, f"iteration {number}")
            hygiene = await evaluator.check_cache(client, scored)
        analysis = analyse(scored, self.tools)
        write_json(folder / "error_analysis.json", analysis)
        follows = plan_next_round(scored, analysis, self.config)
        validation = scored.summary()
        metrics: dict[str, Any] = {
            "iteration": number,
            "training_examples": len(train),
            **written,
            "training": training,
            "gate": gate,
            "validation": validation,
            "gain": self._gain(number, validation["failed"]),
            "hygiene": hygiene,
            "drift": drift,
            "next_round": follows.to_json(),
        }
        exact, since = percent(validation["overall"]["exact"]), metrics["gain"]
        self.reporter.say(f"  validation: exact {exact} on the served adapter")
        if since:
            self.reporter.say(
                f"  {since['gained']} gained and {since['lost']} lost since iteration {number - 1}"
            )
        path = write_json(folder / "metrics.json", metrics)
        return Round.read(path, self.config.max_forgetting_kl)

    def _gain(self, number: int, failed: list[str]) -> dict[str, float | int] | None:
        """Validation cases gained and lost since the iteration before, None of the first."""
        if number == 1:
            return None
        before = read_json(self.output / f"iteration_{number - 1}" / "metrics.json")
        return gain(before["validation"]["failed"], failed)

    async def _written(
        self, number: int, plan: RoundPlan | None
    ) -> tuple[list[Conversation], dict[str, Any]]:
        """A round's training data, written unless they are there; and who wrote them, and what was rejected."""
        folder = self.output / f"iteration_{number}"
        path, about = folder / "train.jsonl", folder / "written.json"
        if path.is_file() and about.is_file():
            self._told = Counter(self.generator.rejects)  # that file holds them
            return read_conversations(path), read_json(about)
        async with self._writing():
            train = self._training_data(number, plan)
        rejected = Counter(self.generator.rejects) - self._told
        self._told += rejected
        written = {
            "rejected_examples": dict(rejected),
            "writers": writers_of(train),
            "writer_verdict": self.generator.verdict,
        }
        write_json(about, written)
        write_conversations(path, train)
        return train, written

    def _training_data(self, number: int, plan: RoundPlan | None) -> list[Conversation]:
        """The round before's conversations, and new ones as its errors ask for."""
        before: list[Conversation] = []
        if number > 1:
            before = read_conversations(self.output / f"iteration_{number - 1}" / "train.jsonl")
        seed = self.config.seed + number
        generated = self.output / "data" / "train.jsonl"
        if plan is None and generated.is_file():  # by --generate, and varied there
            return read_conversations(generated)
        if plan is None:
            new = self.generator.training(self.config.num_synthetic_examples)
        else:
            for reason in plan.reasons:
                self.reporter.say(f"  {reason}")
            new = self.generator.training(
                plan.new_examples, before, shares=plan.shares, focus=plan.focus, seed=seed
            )
        return [*before, *vary(new, self.tools, self.config, seed)]

    def _lesson(
        self, number: int, conversations: Sequence[Conversation]
    ) -> tuple[TrainingConfig, Sequence[Conversation]]:
        """A round's settings and what it trains on: the first on all it has, a later one as `next_lesson` says."""
        if number == 1:
            return self.config, conversations
        first, before = (self.output / f"iteration_{n}" for n in (1, number - 1))
        return next_lesson(self.config, number, conversations, first, before)

    def _train(
        self, number: int, conversations: Sequence[Conversation]
    ) -> tuple[dict[str, Any], Sides, dict[str, float] | None]:
        """Trains and measures the drift unless both are there.

        Returns `training.json`, what the trainer expects after each probe, and `drift.json`.
        """
        folder = self.output / f"iteration_{number}"
        done, drift = folder / "training.json", folder / "drift.json"
        base = load_base(self.config, self.template.tokenizer)
        before = trainer_logprobs(base.model, self.probes)
        near = NEAR_4BIT if self.config.load_in_4bit else NEAR
        base_gate(self.probes, before, self.served_base, self.template, near)
        if not done.is_file():
            own = rehearse(base, self.template, self.config, self.output / "data" / "own_answers.json")
            config, lesson = self._lesson(number, conversations)
            trainer = LoRATrainer(config, base, self.reporter, self.processes)
            lead(trainer, self.template, [*lesson, *own], self.validation, folder)
            if self.processes.size > 1:  # its layers may be split by now, and the others are not in this
                del base
                release_memory()
                base = load_base(self.config, self.template.tokenizer)
        trained = Sides(before, trainer_logprobs(base.model, self.probes, folder))
        if not drift.is_file():
            measured = adapter_drift(base.model, folder, self.template, self.plain) if self.plain else None
            write_json(drift, measured)
        del base
        release_memory()
        result = read_json(done)
        last = result["history"][result["best_epoch"] - 1]
        self.reporter.say(
            f"  trained in {result['seconds']:.0f} s at {result['examples_per_second']:.2f} examples/s; "
            f"validation loss {last['validation_loss']:.3f} (epoch {result['best_epoch']})"
        )
        return result, trained, read_json(drift)

    async def _prove(self, number: int, adapter: Path, trained: Sides) -> dict[str, Any]:
        """Holds the served adapter against the trained one, in servers of their own: no slot of theirs scores."""
        served = []
        for scale in (1.0, 0.0):
            async with self._server(f"gate_{number}", adapter, scale) as client:
                served.append(await served_logprobs(client, self.probes))
        gate = adapter_gate(
            self.probes, trained, Sides(self.served_base, served[0]), served[1], self.template
        )
        self.reporter.say(
            f"  served as trained: log-probabilities differ by {gate['adapter']['mean']:.3f} on average, the same token "
            f"is first in {gate['adapter']['equal_first']['count']} of {gate['probes']}"
        )
        return gate

    async def hand_over(self, best: Round, base: Answers) -> tuple[Path, dict[str, Any]]:
        """Asks the best adapter the frozen test, then puts it into `final_adapter/` with its figures."""
        folder, final = self.output / f"iteration_{best.number}", self.output / "final_adapter"
        async with self._server("final", folder / "adapter.gguf") as client:
            adapter = await self.examiner.ask(client, "base + adapter")
            forgetting = await self.examiner.forgetting(client, self.plain, best.drift)
            build = str((await client.props()).get("build_info", "unknown"))
        donated, train = self.generator.donated, read_conversations(folder / "train.jsonl")
        metrics = await self.examiner.figures(base, adapter, forgetting, self._server) | {
            "version": __version__,
            "base_model": self.config.llama_cpp_model_path or self.config.model_name,
            "best_iteration": best.number,
            "iterations": self._iterations(),
            "test_writer": donated.test_writer or self.generator.describe_writer(self.test),
            "writer_distance": writer_distance(
                [c.prompt for c in train if "shape" in c.meta],
                [c.prompt for c in [*donated.test, *donated.seeds]] or shipped_prompts(self.tools),
            ),
            "settings": self.config.to_dict(),
        }
        # An adapter never lies beside another's figures: those before go first, the new ones come last.
        figures = ("metrics.json", "evaluation.json", "error_analysis.json", "cases.jsonl")
        for name in (*figures, "manifest.json", "README.md", "report.html"):
            (final / name).unlink(missing_ok=True)
        for name in ("adapter_model.safetensors", "adapter_config.json", "adapter.gguf", "drift.json"):
            write_bytes(final / name, (folder / name).read_bytes())
        write_text(final / "chat_template.jinja", self.template.text)
        metrics |= {
            "context": self.context,
            "serve_command": serve_command(self.gguf, final, self.context),
        }
        entries = [t.to_openai() for t in self.tools]
        write_json(final / "tools.json", entries)
        write_json(final / "error_analysis.json", analyse(adapter.test, self.tools))
        write_jsonl(final / "cases.jsonl", case_rows(base.test, adapter.test, self.tools))
        write_json(final / "metrics.json", metrics)
        write_text(final / "README.md", model_card(metrics, entries))
        manifest = describe_run(
            self.output, self.config, self.tools, metrics, self.gguf, build, self.extensions.names()
        )
        write_json(final / "manifest.json", manifest)
        print_screen(self.reporter.console, metrics, final, write_report(self.output))
        return final, metrics

    def _iterations(self) -> list[dict[str, Any]]:
        """The figures of all rounds, in their order."""
        found = [read_json(path) for path in self.output.glob("iteration_*/metrics.json")]
        return sorted(found, key=lambda metrics: metrics["iteration"])

    @asynccontextmanager
    async def _writing(self) -> AsyncIterator[None]:
        """The language model as writer, where one is wanted and not yet found unfit, for as long as this lasts."""
        try:
            async with language_model(self.config, self.generator, self._server):
                yield
        finally:
            while self.generator.notes:
                self.reporter.say(f"  {self.generator.notes.pop(0)}")

    def _server(self, name: str, adapter: Path | None = None, scale: float = 1.0) -> LlamaCppClient:
        return LlamaCppClient(
            self.gguf,
            adapter_path=adapter,
            adapter_scale=scale,
            chat_template_file=self.template_file,
            context=self.context,
            parallel=self.config.slots,
            port=self.config.port,
            timeout=self.config.request_timeout,
            log_path=self.output / "logs" / f"server_{name}.log",
        )
