"""Stage 9, the story: tools in; data, training, export, scoring, error study; then again; the best adapter out."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from auto_lora import __version__, preflight
from auto_lora._base_model import Base, load_base, load_tokenizer
from auto_lora._conversation import Conversation, read_conversations, write_conversations
from auto_lora._errors import (
    AutoLoRAError,
    ExportError,
    MismatchError,
    ToolsError,
    TrainingError,
    UsageError,
)
from auto_lora._processes import Processes
from auto_lora._progress import Reporter
from auto_lora._runs import read_json, write_bytes, write_json, write_jsonl, write_text
from auto_lora._settings import TrainingConfig
from auto_lora.catalog import ToolDefinition, check_names, load_tools, parse_tools
from auto_lora.dialogues import Donated, LLMWriter, SyntheticDataGenerator, ValueSampler, Writer, vary
from auto_lora.dialogues.donated import own_cases
from auto_lora.dialogues.reader import Reader
from auto_lora.encode import ChatTemplate, ToolCallingDataset, encode_conversation
from auto_lora.finetune import LoRATrainer, release_memory
from auto_lora.gguf_export import convert_base, export_adapter
from auto_lora.handover import (
    floor_verdict,
    judge_success,
    model_card,
    percent,
    print_screen,
    serve_command,
)
from auto_lora.judge import Judge
from auto_lora.llama_server import LlamaCppClient
from auto_lora.manifest import (
    BASE,
    compare_manifests,
    comparison_table,
    describe_run,
    read_manifest,
    same_run,
    sha256,
)
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
from auto_lora.report import write_report
from auto_lora.score import Evaluation, Metric, ToolCallEvaluator, mcnemar
from auto_lora.score_answers import check_answers
from auto_lora.score_forgetting import (
    PlainAnswer,
    adapter_drift,
    answer_plainly,
    ordinary_prompts,
    score_forgetting,
    spread,
)
from auto_lora.triage import RoundPlan, analyse, case_rows, plan_next_round
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


class AutoLoRACreator:
    """Makes and proves an adapter for a list of tools.

    Args:
        config: all settings; `config.output_dir` is where everything goes.
        tools: the tools; more with `add_tool`.
        reporter: where progress and the last screen go; default: the console.
        extensions: a writer, value samplers and metrics of one's own.
    """

    def __init__(
        self,
        config: TrainingConfig,
        tools: Sequence[ToolDefinition] = (),
        *,
        reporter: Reporter | None = None,
        extensions: Extensions | None = None,
    ) -> None:
        self.config = config
        self.tools = list(tools)
        self.reporter = reporter or Reporter()
        self.extensions = extensions or Extensions()
        self.output = Path(config.output_dir)

    def add_tool(self, tool: ToolDefinition) -> None:
        """Adds a tool; raises ToolsError when its name is taken."""
        check_names([*self.tools, tool])
        self.tools.append(tool)

    async def create_adapter(
        self, num_iterations: int | None = None, *, resume: bool = False, overwrite: bool = False
    ) -> tuple[Path, dict[str, Any]]:
        """Runs the whole pipeline and hands over the best adapter.

        Args:
            num_iterations: rounds at most; default: the config's.
            resume: go on with the run in the output folder, finished iterations are kept.
            overwrite: replace the run in the output folder.

        Returns:
            `final_adapter/` and the content of its `metrics.json`.

        Raises:
            AutoLoRAError: of the kind that tells what is missing or wrong.
        """
        if num_iterations:
            self.config = replace(self.config, num_iterations=num_iterations)
        processes = Processes()
        if not processes.first:
            return follow(self.config, processes)
        try:
            final, metrics = await self._lead(processes, resume, overwrite)
        except BaseException:
            processes.tell({"do": "stop"})
            raise
        processes.tell({"do": "finish", "final": str(final), "metrics": metrics})
        return final, metrics

    async def _lead(self, processes: Processes, resume: bool, overwrite: bool) -> tuple[Path, dict[str, Any]]:
        """The story, told by the first process."""
        run = self._open(processes, resume=resume, overwrite=overwrite)
        await run.write_frozen_splits()
        base = await run.score_base()
        best: Round | None = None
        plan: RoundPlan | None = None
        for number in range(1, self.config.num_iterations + 1):
            done = await run.iteration(number, plan)
            if best is None or done.rank > best.rank:
                best = done
            elif number > 1:
                self.reporter.say(
                    f"Iteration {number} gained nothing over iteration {best.number}; stopping here."
                )
                break
            if done.exact >= self.config.target_accuracy:
                break
            plan = done.plan
        assert best is not None
        return await run.hand_over(best, base)

    def _open(self, processes: Processes, *, resume: bool, overwrite: bool) -> Run:
        if not self.tools and self.config.tools:
            self.tools = load_tools(self.config.tools)
        if not self.tools:
            raise ToolsError("there are no tools", "add_tool(ToolDefinition(...)), or --tools FILE")
        return Run(
            self.config,
            self.tools,
            self.reporter,
            self.extensions,
            processes,
            resume=resume,
            overwrite=overwrite,
        )


@dataclass(frozen=True)
class Round:
    """A finished iteration: its number, its exact share on validation, and what follows from it.

    `keeps`: its adapter stays below `max_forgetting_kl`; `drift`: KL per token by adapter scale, None: not measured.
    `rank`: the larger is the better; one that keeps the floor is better than any that does not.
    """

    number: int
    exact: float
    keeps: bool
    drift: dict[str, float] | None
    plan: RoundPlan

    @property
    def rank(self) -> tuple[bool, float]:
        return self.keeps, self.exact


class Run:
    """One run in one output folder: the steps of the story, each writing its files.

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
        source = preflight.check_inputs(config, self.tools)
        donated = Donated.of(config, self.tools)
        preflight.check_output(self.output, resume=resume, overwrite=overwrite)
        if overwrite:
            preflight.clear_run(self.output)
        self._remember_settings(resume)
        self.gguf = source.gguf or convert_base(source.name, self.output / "base.gguf")
        self.template = ChatTemplate(load_tokenizer(config))
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

    # The steps, in order.

    async def write_frozen_splits(self) -> None:
        """Validation and test, written once and read again ever after; no writer but the chosen one."""
        async with self._writing():
            self.validation, self.test = self._frozen_splits()
        self.context = self._context()

    async def score_base(self) -> tuple[Evaluation, dict[str, str]]:
        """Checks that trainer and server agree on tokens, notes the served base's weights, asks it the frozen test."""
        async with self._server("base") as client:
            # First, in slots that have held nothing yet, as after export: a cached prefix changes the last digits.
            self.probes = probes_of(self.validation, self.template)
            self.served_base = await served_logprobs(client, self.probes)
            await grammar_gate(client, self.tools)
            await tokens_gate(client, self.template, [*self.validation, *self.test])
            self.reporter.say("Prompt tokens of trainer and server are equal on every category.")
            evaluation = await self._evaluator(self.test).evaluate(client, "base", timed=True)
            answers = await self._final_answers(client, "base")
            self.plain = await answer_plainly(
                client,
                ordinary_prompts(self.config.num_forgetting_prompts, self.config.system_prompt),
                max_tokens=self.config.forgetting_tokens,
                parallel=self.config.parallel_requests,
                reporter=self.reporter,
                name="ordinary prompts to base",
            )
        return evaluation, answers

    async def iteration(self, number: int, plan: RoundPlan | None) -> Round:
        """Data, training, export, scoring on validation, error study."""
        folder = self.output / f"iteration_{number}"
        if (folder / "metrics.json").is_file():
            self.reporter.say(f"Iteration {number} is already finished.")
            return _read_round(folder / "metrics.json", self.config)
        self.reporter.say(f"\nIteration {number}")
        async with self._writing(plan):
            train = self._training_data(number, plan)
        training, trained, drift = self._train(train, folder)
        export_adapter(folder, self.gguf, folder / "adapter.gguf")
        gate = await self._prove(number, folder / "adapter.gguf", trained)
        async with self._server(f"iteration_{number}", folder / "adapter.gguf") as client:
            evaluator = self._evaluator(self.validation)
            scored = await evaluator.evaluate(client, f"iteration {number}")
            hygiene = await evaluator.check_cache(client, scored)
        analysis = analyse(scored, self.tools)
        write_json(folder / "error_analysis.json", analysis)
        follows = plan_next_round(scored, analysis, self.config)
        rejected = Counter(self.generator.rejects) - self._told
        self._told += rejected
        metrics: dict[str, Any] = {
            "iteration": number,
            "training_examples": len(train),
            "rejected_examples": dict(rejected),
            "writers": writers_of(train),
            "writer_verdict": self.generator.verdict,
            "training": training,
            "gate": gate,
            "validation": scored.summary(),
            "hygiene": hygiene,
            "drift": drift,
            "next_round": follows.to_json(),
        }
        exact = metrics["validation"]["overall"]["exact"]
        self.reporter.say(f"  validation: exact {percent(exact)} on the served adapter")
        return _read_round(write_json(folder / "metrics.json", metrics), self.config)

    async def hand_over(
        self, best: Round, base: tuple[Evaluation, dict[str, str]]
    ) -> tuple[Path, dict[str, Any]]:
        """Copies the best adapter to `final_adapter/`, asks it the frozen test, writes its figures."""
        folder, final = self.output / f"iteration_{best.number}", self.output / "final_adapter"
        for name in ("adapter_model.safetensors", "adapter_config.json", "adapter.gguf"):
            write_bytes(final / name, (folder / name).read_bytes())
        write_text(final / "chat_template.jinja", self.template.text)
        write_json(final / "tools.json", [t.to_openai() for t in self.tools])
        async with self._server("final", final / "adapter.gguf") as client:
            scored = await self._evaluator(self.test).evaluate(client, "base + adapter", timed=True)
            answers = await self._final_answers(client, "base + adapter")
            forgetting = await self._forgetting(client, best.drift)
            build = str((await client.props()).get("build_info", "unknown"))
        metrics = compare(base[0], scored) | {
            "version": __version__,
            "base_model": self.config.llama_cpp_model_path or self.config.model_name,
            "best_iteration": best.number,
            "iterations": [read_json(p) for p in sorted(self.output.glob("iteration_*/metrics.json"))],
            "answers": self._check_answers(base[1], answers),
            "quality": await self._judge(base[1], answers),
            "forgetting": forgetting,
            "test_writer": self.generator.donated.test_writer or self.generator.describe_writer(self.test),
            "writer_distance": self._writer_distance(folder),
            "settings": self.config.to_dict(),
            "serve_command": serve_command(self.gguf, final, self.context),
        }
        verdict = floor_verdict((best.drift or {}).get("1.0"), self.config.max_forgetting_kl)
        if metrics["success"] and verdict:
            metrics |= {"success": False, "verdict": verdict}
        write_json(final / "error_analysis.json", analyse(scored, self.tools))
        write_jsonl(final / "cases.jsonl", case_rows(base[0], scored, self.tools))
        write_json(final / "metrics.json", metrics)
        write_text(final / "README.md", model_card(metrics, [t.to_openai() for t in self.tools]))
        manifest = describe_run(
            self.output, self.config, self.tools, metrics, self.gguf, build, self.extensions.names()
        )
        write_json(final / "manifest.json", manifest)
        print_screen(self.reporter.console, metrics, final, write_report(self.output))
        return final, metrics

    # What the steps are made of.

    def _remember_settings(self, resume: bool) -> None:
        """Writes run.json; a resumed run must have the same settings and tools."""
        path = self.output / "run.json"
        free = (
            "output_dir",
            "num_iterations",
            "port",
            "parallel_requests",
            "request_timeout",
            "llama_cpp_url",
        )
        settings = {k: v for k, v in self.config.to_dict().items() if k not in free}
        now = {"version": __version__, "settings": settings, "tools": [t.to_openai() for t in self.tools]}
        if resume and path.is_file():
            before = read_json(path)
            changed = [k for k, v in settings.items() if before["settings"].get(k) != v]
            changed += ["tools"] if before["tools"] != now["tools"] else []
            if changed:
                raise UsageError(
                    f"the run in {self.output} has another {', '.join(sorted(set(changed)))}",
                    "give the same settings to --resume, or start anew with --overwrite",
                )
        write_json(path, now)

    def _frozen_splits(self) -> tuple[list[Conversation], list[Conversation]]:
        """Validation and test, written once and read again ever after."""
        config, splits = self.config, []
        for split, count in (
            ("validation", config.num_validation_examples),
            ("test", config.num_test_examples),
        ):
            path = self.output / "data" / f"{split}.jsonl"
            if not path.is_file():
                write_conversations(path, self.generator.held_out(count, split))
            splits.append(read_conversations(path))
        return splits[0], splits[1]

    @asynccontextmanager
    async def _writing(self, plan: RoundPlan | None = None) -> AsyncIterator[None]:
        """The language model as writer, where one is wanted and not yet found unfit, for as long as this lasts."""
        temperature = plan.temperature if plan else self.config.temperature
        try:
            async with language_model(self.config, self.generator, self._server, temperature):
                yield
        finally:
            self._tell_notes()

    def _tell_notes(self) -> None:
        while self.generator.notes:
            self.reporter.say(f"  {self.generator.notes.pop(0)}")

    def _training_data(self, number: int, plan: RoundPlan | None) -> list[Conversation]:
        """The round before's conversations, and new ones as its errors ask for."""
        path = self.output / f"iteration_{number}" / "train.jsonl"
        if path.is_file():
            return read_conversations(path)
        before: list[Conversation] = []
        if number > 1:
            before = read_conversations(self.output / f"iteration_{number - 1}" / "train.jsonl")
        if plan is None:
            new = self.generator.training(self.config.num_synthetic_examples)
        else:
            for reason in plan.reasons:
                self.reporter.say(f"  {reason}")
            new = self.generator.training(
                plan.new_examples,
                before,
                shares=plan.shares,
                focus=plan.focus,
                seed=self.config.seed + number,
            )
        self._tell_notes()
        new = vary(new, self.tools, self.config, self.config.seed + number)
        write_conversations(path, [*before, *new])
        return [*before, *new]

    def _train(
        self, conversations: list[Conversation], folder: Path
    ) -> tuple[dict[str, Any], Sides, dict[str, float] | None]:
        """Trains and measures the drift unless both are there.

        Returns `training.json`, what the trainer expects after each probe, and `drift.json`.
        """
        done, drift = folder / "training.json", folder / "drift.json"
        base = load_base(self.config, self.template.tokenizer)
        before = trainer_logprobs(base.model, self.probes)
        near = NEAR_4BIT if self.config.load_in_4bit else NEAR
        base_gate(self.probes, before, self.served_base, self.template, near)
        if not done.is_file():
            self._train_on(base, conversations, folder)
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

    def _train_on(self, base: Base, conversations: list[Conversation], folder: Path) -> None:
        train, validation = self._dataset(conversations), self._dataset(self.validation)
        prefix = max(len(g.prefix) for g in train.groups)
        self.reporter.say(
            f"  {len(conversations)} conversations, {len(train)} sequences after a shared prefix of {prefix} tokens; "
            f"weights in {base.precision}"
        )
        self.processes.tell(
            {
                "do": "train",
                "train": [c.to_json() for c in conversations],
                "validation": [c.to_json() for c in self.validation],
                "directory": str(folder),
            }
        )
        trainer = LoRATrainer(self.config, base, self.reporter, self.processes)
        trainer.train(train, validation, folder, resume=True)

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

    def _dataset(self, conversations: list[Conversation]) -> ToolCallingDataset:
        dataset = ToolCallingDataset(conversations, self.template, self.config.max_seq_length)
        for reason, count in dataset.dropped.items():
            self.reporter.say(f"  {count} sequences dropped: {reason}")
        return dataset

    def _context(self) -> int:
        """Tokens a server slot needs: the longest conversation and an answer, in steps of 256."""
        encoded = [e for c in [*self.validation, *self.test] for e in encode_conversation(c, self.template)]
        needed = max(len(e) for e in encoded) + self.config.max_new_tokens
        return 256 * (needed // 256 + 1)

    def _server(self, name: str, adapter: Path | None = None, scale: float = 1.0) -> LlamaCppClient:
        return LlamaCppClient(
            self.gguf,
            adapter_path=adapter,
            adapter_scale=scale,
            chat_template_file=self.template_file,
            context=self.context,
            parallel=self.config.parallel_requests,
            port=self.config.port,
            timeout=self.config.request_timeout,
            log_path=self.output / "logs" / f"server_{name}.log",
        )

    def _evaluator(self, conversations: list[Conversation]) -> ToolCallEvaluator:
        return ToolCallEvaluator(
            conversations,
            parallel=self.config.parallel_requests,
            max_tokens=self.config.max_new_tokens,
            reporter=self.reporter,
            metrics=self.extensions.metrics,
        )

    async def _final_answers(self, client: LlamaCppClient, name: str) -> dict[str, str]:
        """Closing answers to as many conversations of the test as are compared, by id."""
        asked = [c for c in self.test if c.final_turn() is not None]
        return await self._evaluator(spread(asked, self.config.num_final_answers)).final_answers(client, name)

    def _check_answers(self, base: dict[str, str], adapter: dict[str, str]) -> dict[str, Any] | None:
        if not adapter:
            return None
        return {"base": check_answers(self.test, base), "adapter": check_answers(self.test, adapter)}

    async def _forgetting(
        self, client: LlamaCppClient, drift: dict[str, float] | None
    ) -> dict[str, Any] | None:
        """What ordinary prompts make of the served adapter, and the trade by scale; None when not asked for."""
        if not self.plain:
            return None
        cases = spread(self.validation, self.config.num_scale_cases)
        return await score_forgetting(
            client,
            self.plain,
            drift,
            tools=[t.to_openai() for t in self.tools],
            evaluator=self._evaluator(cases) if cases else None,
            max_tokens=self.config.forgetting_tokens,
        )

    def _writer_distance(self, folder: Path) -> dict[str, float | int] | None:
        """How well an iteration's training prompts are told from people's; None without any of people."""
        train = read_conversations(folder / "train.jsonl")
        written = [c.prompt for c in train if "shape" in c.meta]
        donated = self.generator.donated
        own = [c.prompt for c in [*donated.test, *donated.seeds]]
        return writer_distance(written, own or shipped_prompts(self.tools))

    async def _judge(self, base: dict[str, str], adapter: dict[str, str]) -> dict[str, Any] | None:
        """Pairwise verdicts on the test's final answers; None without a judge."""
        url = self.config.judge_url
        if not url:
            return None
        if url != "base":
            return await self._judged_by(url, self.config.judge_model, base, adapter)
        async with self._server("judge") as client:
            return await self._judged_by(client.url, "base model", base, adapter)

    async def _judged_by(
        self, url: str, model: str, base: dict[str, str], adapter: dict[str, str]
    ) -> dict[str, Any]:
        config = self.config
        judge = Judge(
            url,
            model,
            timeout=config.request_timeout,
            parallel=config.parallel_requests,
            reporter=self.reporter,
        )
        return await judge.judge(self.test, base, adapter)


def follow(config: TrainingConfig, processes: Processes) -> tuple[Path, dict[str, Any]]:
    """What every process but the first does: its share of each training, until the run ends.

    Raises:
        TrainingError: the first process stopped; its own message says why.
    """
    while (job := processes.hear())["do"] == "train":
        base = load_base(config)
        template = ChatTemplate(base.tokenizer)
        train, validation = (
            ToolCallingDataset(map(Conversation.from_json, job[split]), template, config.max_seq_length)
            for split in ("train", "validation")
        )
        LoRATrainer(config, base, processes=processes).train(train, validation, job["directory"], resume=True)
        del base
        release_memory()
    if job["do"] == "stop":
        raise TrainingError("the first process stopped", "its message says why")
    return Path(job["final"]), job["metrics"]


def compare(base: Evaluation, adapter: Evaluation) -> dict[str, Any]:
    """Both models' figures on the same cases, the test between them, and one sample."""
    before, after, test = base.summary(), adapter.summary(), mcnemar(base, adapter)
    success, verdict = judge_success(before, after, test)
    pairs = list(zip(base.cases, adapter.cases, strict=True))
    shown = next((p for p in pairs if p[1].conversation.category == "single"), pairs[0])
    sample = {
        "prompt": shown[0].conversation.prompt,
        "base": shown[0].turns[0].raw.strip(),
        "adapter": shown[1].turns[0].raw.strip(),
    }
    return {
        "base": before,
        "adapter": after,
        "mcnemar": test,
        "success": success,
        "verdict": verdict,
        "sample": sample,
    }


def writers_of(conversations: Sequence[Conversation]) -> dict[str, int]:
    """How many of the conversations each writer worded."""
    return dict(Counter(str(c.meta.get("writer", "unknown")) for c in conversations).most_common())


@asynccontextmanager
async def language_model(
    config: TrainingConfig,
    generator: SyntheticDataGenerator,
    serve: Callable[[str], LlamaCppClient],
    temperature: float,
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
                temperature=temperature,
                top_p=config.top_p,
                seed=config.seed,
                timeout=min(config.request_timeout, 60.0),
                parallel=config.parallel_requests,
            )
            stack.callback(writer.close)
            if not generator.adopt(writer):
                await stack.aclose()  # its server is no longer needed
        yield


def _read_round(path: Path, config: TrainingConfig) -> Round:
    metrics = read_json(path)
    exact = metrics["validation"]["overall"]["exact"]
    drift = metrics["drift"]
    keeps = not floor_verdict(drift["1.0"] if drift else None, config.max_forgetting_kl)
    plan = RoundPlan.from_json(metrics["next_round"])
    return Round(metrics["iteration"], exact["count"] / max(exact["of"], 1), keeps, drift, plan)


def generate_data(
    config: TrainingConfig, tools: Sequence[ToolDefinition], *, overwrite: bool = False
) -> Path:
    """Writes `data/{train,validation,test}.jsonl` only; returns the folder.

    Raises:
        UsageError: a language model is to write and there is neither a URL nor a GGUF to serve.
    """
    output = Path(config.output_dir)
    preflight.check_output(output, resume=False, overwrite=overwrite)
    local = config.writer != "builtin" and not (config.writer_url or config.llama_cpp_url)
    if local and not config.llama_cpp_model_path:
        raise UsageError("no language model to write with", "give --writer-url or --model-path")
    generator = SyntheticDataGenerator(tools, config, donated=Donated.of(config, tools))
    asyncio.run(_generate(config, generator, output / "data"))
    return output / "data"


async def _generate(config: TrainingConfig, generator: SyntheticDataGenerator, folder: Path) -> None:
    def serve(name: str) -> LlamaCppClient:
        log = folder.parent / "logs" / f"server_{name}.log"
        return LlamaCppClient(
            config.llama_cpp_model_path, parallel=config.parallel_requests, port=config.port, log_path=log
        )

    reporter = Reporter()
    counts = {
        "train": config.num_synthetic_examples,
        "validation": config.num_validation_examples,
        "test": config.num_test_examples,
    }
    async with language_model(config, generator, serve, config.temperature):
        for split, count in counts.items():
            made = generator.training(count) if split == "train" else generator.held_out(count, split)
            if split == "train":
                made = vary(made, generator.tools, config, config.seed)
            path = write_conversations(folder / f"{split}.jsonl", made)
            who = ", ".join(f"{n} by {writer}" for writer, n in writers_of(made).items())
            reporter.say(f"{path}: {len(made)} conversations ({who})")
    for note in generator.notes:
        reporter.say(f"  {note}")
    for reason, count in generator.rejects.items():
        reporter.say(f"  rejected {count}: {reason}")


async def evaluate_adapter(config: TrainingConfig, directory: str | Path) -> dict[str, Any]:
    """Scores an adapter folder against its base on the run's frozen test, or on a fresh one.

    Writes `evaluation.json` into the folder.
    """
    folder = AdapterFolder(config, Path(directory))
    frozen = folder.path.parent / "data" / "test.jsonl"
    given = config.tools or folder.path / "tools.json"
    if config.test_file:
        test = Reader(load_tools(given), config.system_prompt).cases(config.test_file)
        writer = own_cases(config.test_file)
    elif frozen.is_file():
        test, writer = read_conversations(frozen), f"the frozen test {frozen}"
    else:
        generator = SyntheticDataGenerator(load_tools(given), config)
        test = generator.generate(config.num_test_examples, "test")
        writer = generator.describe_writer(test)
    reporter = Reporter()
    scored = []
    for name, adapter in (("base", None), ("base + adapter", folder.adapter)):
        async with folder.server(name, adapter, config.parallel_requests) as client:
            evaluator = ToolCallEvaluator(
                test, parallel=config.parallel_requests, max_tokens=config.max_new_tokens, reporter=reporter
            )
            scored.append(await evaluator.evaluate(client, name, timed=True))
    metrics = compare(scored[0], scored[1]) | {
        "test_writer": writer,
        "quality": None,
        "serve_command": folder.command,
    }
    write_json(folder.path / "evaluation.json", metrics)
    print_screen(reporter.console, metrics, folder.path)
    return metrics


async def reproduce_run(
    config: TrainingConfig, path: str | Path, *, resume: bool = False, overwrite: bool = False
) -> bool:
    """Runs a manifest's run again and prints what came out equal; True: all hashes and figures are.

    Args:
        config: the manifest's settings (`settings_to_repeat`) with another output folder.
        path: the `manifest.json`.

    Raises:
        UsageError: the output folder is the manifest's own.
        MismatchError: the base model is another file.
    """
    before, output = read_manifest(path), Path(config.output_dir)
    if output.resolve() in Path(path).resolve().parents:
        raise UsageError(f"{path} is of the run in {output}", "choose another folder with --output")
    base = config.llama_cpp_model_path
    if base and Path(base).is_file() and (found := sha256(base)) != before["hashes"][BASE]:
        raise MismatchError(
            f"the base model {base} is another file: its SHA-256 is {found[:12]}..., "
            f"the manifest's {before['hashes'][BASE][:12]}...",
            "give the same file with --model-path",
        )
    creator = AutoLoRACreator(config, parse_tools(before["tools"], str(path)))
    final, _ = await creator.create_adapter(resume=resume, overwrite=overwrite)
    differences = compare_manifests(before, read_json(final / "manifest.json"))
    console = creator.reporter.console
    console.print(comparison_table(differences))
    different = [d for d in differences if not d.equal and d.kind != "version"]
    counted = [d for d in differences if d.kind != "version"]
    console.print(
        f"{len(counted) - len(different)} of {len(counted)} hashes and figures are equal.", highlight=False
    )
    return same_run(differences)


def export_directory(config: TrainingConfig, directory: str | Path) -> Path:
    """Writes `adapter.gguf` beside a PEFT adapter."""
    folder = Path(directory)
    base = config.llama_cpp_model_path or base_of(folder) or config.model_name
    return export_adapter(folder, base, folder / "adapter.gguf")


async def serve_directory(config: TrainingConfig, directory: str | Path) -> None:
    """Serves base, adapter and chat template until cancelled (Ctrl-C)."""
    folder = AdapterFolder(config, Path(directory))
    async with folder.server("serve", folder.adapter, 1) as client:
        Reporter().say(f"serving {folder.path} at {client.url}/v1 (Ctrl-C stops)")
        await client.wait()


class AdapterFolder:
    """An adapter folder as it is served: base GGUF, adapter and the template it was trained with."""

    def __init__(self, config: TrainingConfig, path: Path) -> None:
        self.config, self.path = config, path
        self.adapter = path / "adapter.gguf"
        if not self.adapter.is_file():
            raise ExportError(f"{path} holds no adapter.gguf", f"write it with --export {path}")
        self.base = config.llama_cpp_model_path or base_of(path)
        beside = [path / "chat_template.jinja", path.parent / "chat_template.jinja"]
        self.template = next((p for p in beside if p.is_file()), None)
        if self.base is None or not Path(self.base).is_file():
            converted = path.parent / "base.gguf"
            if not converted.is_file():
                raise ExportError(
                    f"{path} names the base {self.base}, which is no GGUF file", "give it with --model-path"
                )
            self.base = str(converted)
        self.command = serve_command(self.base, path, 8192)

    def server(self, name: str, adapter: Path | None, parallel: int, context: int = 8192) -> LlamaCppClient:
        """A client that starts the server of this folder, with the adapter or without."""
        return LlamaCppClient(
            self.base,
            adapter_path=adapter,
            chat_template_file=self.template,
            context=context,
            parallel=parallel,
            port=self.config.port,
            timeout=self.config.request_timeout,
            log_path=self.path / f"server_{name.replace(' ', '')}.log",
        )


def base_of(folder: Path) -> str | None:
    """The base model an adapter folder names, None when it names none."""
    path = folder / "adapter_config.json"
    return read_json(path).get("base_model_name_or_path") if path.is_file() else None
