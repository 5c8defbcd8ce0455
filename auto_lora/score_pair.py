"""Base and base + adapter asked the same, and the figures that this gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from auto_lora._conversation import Conversation
from auto_lora._errors import ServerError
from auto_lora._progress import Reporter
from auto_lora._settings import TrainingConfig
from auto_lora.handover import degenerate_verdict, floor_verdict, judge_success
from auto_lora.judge import Judge
from auto_lora.llama_server import LlamaCppClient
from auto_lora.score import Evaluation, Metric, ToolCallEvaluator, mcnemar
from auto_lora.score_answers import check_answers
from auto_lora.score_forgetting import (
    PlainAnswer,
    answer_plainly,
    ordinary_prompts,
    score_forgetting,
    spread,
)


@dataclass(frozen=True)
class Answers:
    """What a served model answered: the test's cases, scored, and closing answers by conversation id."""

    test: Evaluation
    closing: dict[str, str]


class Examiner:
    """Asks base and base + adapter the same.

    Args:
        config: how many of each kind are asked, and who judges.
        test: the frozen test; all its conversations have the same tools.
        validation: conversations of which some are asked at each adapter scale; none: no scales.
        reporter: where progress goes.
        metrics: as for a ToolCallEvaluator.
    """

    def __init__(
        self,
        config: TrainingConfig,
        test: Sequence[Conversation],
        validation: Sequence[Conversation],
        reporter: Reporter,
        metrics: Mapping[str, Metric] | None = None,
    ) -> None:
        self.config, self.reporter = config, reporter
        self.test, self.validation, self.metrics = list(test), list(validation), metrics

    def evaluator(self, conversations: Sequence[Conversation]) -> ToolCallEvaluator:
        """An evaluator of these conversations, set as the test's is."""
        return ToolCallEvaluator(
            conversations,
            parallel=self.config.slots,
            max_tokens=self.config.max_new_tokens,
            reporter=self.reporter,
            metrics=self.metrics,
        )

    async def ask(self, client: LlamaCppClient, name: str) -> Answers:
        """The test, and closing answers to as many of its conversations as are compared."""
        scored = await self.evaluator(self.test).evaluate(client, name, timed=True)
        closed = spread([c for c in self.test if c.final_turn() is not None], self.config.num_final_answers)
        return Answers(scored, await self.evaluator(closed).final_answers(client, name))

    async def ask_plainly(self, client: LlamaCppClient) -> list[PlainAnswer]:
        """The served base's answers to ordinary prompts."""
        return await answer_plainly(
            client,
            ordinary_prompts(self.config.num_forgetting_prompts, self.config.system_prompt),
            max_tokens=self.config.forgetting_tokens,
            parallel=self.config.slots,
            reporter=self.reporter,
            name="ordinary prompts to base",
        )

    async def forgetting(
        self, client: LlamaCppClient, plain: Sequence[PlainAnswer], drift: dict[str, float] | None
    ) -> dict[str, Any] | None:
        """What ordinary prompts make of the served adapter, and the trade by scale; None when not asked for.

        Args:
            plain: the base's answers.
            drift: KL per token by adapter scale; None: not measured.
        """
        if not plain:
            return None
        cases = spread(self.validation, self.config.num_scale_cases)
        return await score_forgetting(
            client,
            plain,
            drift,
            tools=self.test[0].tools,
            evaluator=self.evaluator(cases) if cases else None,
            max_tokens=self.config.forgetting_tokens,
        )

    async def figures(
        self,
        base: Answers,
        adapter: Answers,
        forgetting: dict[str, Any] | None,
        serve: Callable[[str], LlamaCppClient],
    ) -> dict[str, Any]:
        """All figures of the pair; no success beyond `max_forgetting_kl` or `max_degenerate`.

        Args:
            serve: makes a server of the base, which is started only where the base itself judges.
        """
        found = compare(base.test, adapter.test)
        verdict = floor_verdict((forgetting or {}).get("kl_per_token"), self.config.max_forgetting_kl)
        verdict = verdict or degenerate_verdict(forgetting, self.config.max_degenerate)
        if found["success"] and verdict:
            found |= {"success": False, "verdict": verdict}
        closing = {"base": base.closing, "adapter": adapter.closing}
        checked = {name: check_answers(self.test, texts) for name, texts in closing.items()}
        quality = await self._judge(base.closing, adapter.closing, serve)
        return found | {
            "answers": checked if adapter.closing else None,
            "quality": quality,
            "forgetting": forgetting,
        }

    async def _judge(
        self, base: dict[str, str], adapter: dict[str, str], serve: Callable[[str], LlamaCppClient]
    ) -> dict[str, Any] | None:
        """Pairwise verdicts on the closing answers; None without a judge."""
        url = self.config.judge_url
        if not url:
            return None
        if url != "base":
            return await self._judged_by(url, self.config.judge_model, base, adapter)
        async with serve("judge") as client:
            return await self._judged_by(client.url, "base model", base, adapter)

    async def _judged_by(
        self, url: str, model: str, base: dict[str, str], adapter: dict[str, str]
    ) -> dict[str, Any]:
        judge = Judge(
            url,
            model,
            timeout=self.config.request_timeout,
            parallel=self.config.parallel_requests,
            reporter=self.reporter,
        )
        try:
            return await judge.judge(self.test, base, adapter)
        except ServerError as error:  # the calls are scored by then, and stay so
            self.reporter.say(f"  {error.message}")
            return {"judge": f"{model} at {url}", "fit": False, "error": error.message}


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
