"""Stage 9, the story: tools in; data, training, export, scoring, error study; then again; the best adapter out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from auto_lora._errors import ToolsError
from auto_lora._processes import Processes
from auto_lora._progress import Reporter
from auto_lora._settings import TrainingConfig
from auto_lora.catalog import ToolDefinition, check_names, load_tools
from auto_lora.training_jobs import follow
from auto_lora.triage import Round, RoundPlan
from auto_lora.whole_run import Extensions, Run


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
            # Within a training nobody hears: the launcher ends the others when this process ends.
            if processes.others_hear:
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
            if done.within_error and number < self.config.num_iterations:
                self.reporter.say(
                    f"Iteration {number} gained no more on validation than its error bar; stopping here."
                )
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
            self.config.for_tools(self.tools),
            self.tools,
            self.reporter,
            self.extensions,
            processes,
            resume=resume,
            overwrite=overwrite,
        )
