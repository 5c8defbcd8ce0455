"""Does studying the errors pay? The loop's rounds against training on as many more fresh conversations.

Round 1 is shared. From then on two adapters are trained a round, each as a run does it: from the adapter before, at half the rate,
on its new conversations and as many of the earlier ones. The *loop*'s new ones are what `plan_next_round` asks for after its served
adapter was scored on validation, the *control*'s as many of the usual mixture. Both are measured on the same held-out conversations,
of which the plan has seen none: every token of the calls the arg-max, teacher-forced; where none is due, that none begins; and how
far ordinary answers are from the base's (KL). An adapter that is in DIR is not trained again, its data are read from there.

    python benchmarks/error_loop.py                                    # the demo's tools, 800 conversations, 2 rounds
    python benchmarks/error_loop.py --tools tools.json --examples 2400 --rounds 3 --out DIR   # DIR keeps adapters and data
    python benchmarks/error_loop.py --tools belts/hwu/tools.json --examples 2400 --set activated=true --set batch_size=8 --out DIR
    python benchmarks/error_loop.py --anew       # both arms' data so far, also from the base, with one epoch for everything

The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from real_prompts import forced, settings

import auto_lora
from auto_lora import (
    Conversation,
    LlamaCppClient,
    LoRATrainer,
    SyntheticDataGenerator,
    ToolCallEvaluator,
    ToolCallingDataset,
    ToolDefinition,
    load_tools,
)
from auto_lora._base_model import load_base
from auto_lora._conversation import read_conversations, write_conversations
from auto_lora._intervals import paired_test, proportion
from auto_lora._runs import write_json, write_text
from auto_lora.encode import ChatTemplate
from auto_lora.gguf_export import export_adapter
from auto_lora.rehearsal import rehearse
from auto_lora.score import Evaluation
from auto_lora.score_forgetting import PlainAnswer, adapter_drift, answer_plainly, ordinary_prompts
from auto_lora.triage import RoundPlan, analyse, next_lesson, plan_next_round

DEMO = Path(auto_lora.__file__).parent / "demo" / "tools.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tools", type=Path, default=DEMO)
    parser.add_argument("--examples", type=int, default=800)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--validation", type=int, default=100, help="cases the plan is made from, served")
    parser.add_argument("--held-out", type=int, default=400, help="cases both are measured on")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="another setting")
    parser.add_argument(
        "--anew", action="store_true", help="train all data of each arm from the base as well"
    )
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(Experiment(args, args.out or Path(folder)).run()))


class Experiment:
    """Both arms from one first round.

    Args:
        args: the command line's.
        folder: gets `round_N_ARM/` with adapter and data.
    """

    def __init__(self, args: argparse.Namespace, folder: Path) -> None:
        self.args, self.folder = args, folder
        self.config = settings(args.set, seed=args.seed, num_synthetic_examples=args.examples)
        self.tools: list[ToolDefinition] = load_tools(args.tools)
        self.generator = SyntheticDataGenerator(self.tools, self.config)
        validation = self.generator.generate(args.validation + args.held_out, "validation")
        self.validation, self.held_out = validation[: args.validation], validation[args.validation :]
        self.base = load_base(self.config)
        self.template = ChatTemplate(self.base.tokenizer)
        self.rows: list[dict[str, Any]] = []
        self.answers: list[PlainAnswer] = []
        entries = [t.to_openai() for t in self.tools]
        prompts = [turn.history for c in self.validation for turn in c.scored_turns()]
        self.longest = max(
            len(self.template.encode(self.template.render(p, entries, prompt=True))) for p in prompts
        )

    def run(self) -> dict[str, Any]:
        self.answers = asyncio.run(self.ordinary_answers())
        first = self.generator.training(self.args.examples)
        train = {"loop": first, "control": first}
        exact = dict.fromkeys(train, self.measure(1, "loop", first))
        before = dict.fromkeys(train, self.folder / "round_1_loop")
        tests = []
        for number in range(2, self.args.rounds + 1):
            seed, known = self.config.seed + number, len(train["loop"])
            loop = self.kept(number, "loop") or self.asked_for(number, train["loop"], seed)
            more = len(loop) - known
            control = [*train["control"], *self.generator.training(more, train["control"], seed=seed)]
            train = {"loop": loop, "control": self.kept(number, "control") or control}
            for arm, conversations in train.items():
                exact[arm] = self.measure(number, arm, conversations, before[arm])
                before[arm] = self.folder / f"round_{number}_{arm}"
                if self.args.anew:
                    self.measure(number, f"anew_{arm}", conversations)
            pairs = list(zip(exact["control"], exact["loop"], strict=True))
            test = paired_test(sum(b and not a for a, b in pairs), sum(a and not b for a, b in pairs))
            tests.append({"round": number, **test})
            print(f"round {number}, loop against control: {test}", flush=True)
        return {"examples": self.args.examples, "seed": self.args.seed, "rows": self.rows, "tests": tests}

    def kept(self, number: int, arm: str) -> list[Conversation]:
        """The data of an adapter that is already there: a served plan does not come out the same twice."""
        folder = self.folder / f"round_{number}_{arm}"
        return (
            list(read_conversations(folder / "train.jsonl")) if (folder / "training.json").is_file() else []
        )

    def asked_for(self, number: int, before: list[Conversation], seed: int) -> list[Conversation]:
        """The data so far, and what the errors of the round before ask for."""
        plan = self.plan(number - 1)
        for reason in plan.reasons:
            print(f"  {reason}", flush=True)
        new = self.generator.training(
            plan.new_examples, before, shares=plan.shares, focus=plan.focus, seed=seed
        )
        return [*before, *new]

    def measure(
        self,
        number: int,
        arm: str,
        conversations: list[Conversation],
        start: Path | None = None,
    ) -> list[bool]:
        """Trains an adapter on the conversations; whether each held-out case is exact.

        Args:
            start: folder of the adapter to go on from; None: from the base, on all conversations.
        """
        folder, started = self.folder / f"round_{number}_{arm}", time.monotonic()
        data = folder / "train.jsonl"
        if (folder / "training.json").is_file():
            if [c.to_json() for c in read_conversations(data)] != [c.to_json() for c in conversations]:
                raise SystemExit(f"{folder} holds an adapter of other data: give another --out")
        else:
            write_conversations(data, conversations)
            own = rehearse(self.base, self.template, self.config, self.folder / "own_answers.json")
            config, lesson = self.config, tuple(conversations)
            if start:
                first = self.folder / "round_1_loop"
                config, lesson = next_lesson(config, number, conversations, first, start)
            splits = [[*lesson, *own], self.validation]
            datasets = [
                ToolCallingDataset(split, self.template, activated=self.config.activated) for split in splits
            ]
            LoRATrainer(config, self.base).train(datasets[0], datasets[1], folder)
        seconds = time.monotonic() - started
        turns = [turn for c in self.held_out for turn in scored_turns(c)]
        verdicts = forced(self.config, self.base, str(folder), turns, self.template)
        right_turns = {t.id: bool(v["exact"]) for t, v in zip(turns, verdicts, strict=True)}
        exact = [all(right_turns[t.id] for t in scored_turns(c)) for c in self.held_out]
        of, right = (
            Counter(c.category for c, keep in zip(self.held_out, keeps, strict=True) if keep)
            for keeps in ([True] * len(exact), exact)
        )
        drift = adapter_drift(self.base.model, folder, self.template, self.answers)["1.0"]
        row = {
            "round": number, "arm": arm, "conversations": len(conversations), "seconds": round(seconds, 1), "kl": drift,
            "exact": proportion(sum(exact), len(exact)), "by_category": {c: [right[c], n] for c, n in of.items()},
        }  # fmt: skip
        self.rows.append(row)
        print(json.dumps(row), flush=True)
        return exact

    def plan(self, number: int) -> RoundPlan:
        """What follows from the served loop adapter's errors on validation."""
        folder = self.folder / f"round_{number}_loop"
        adapter = export_adapter(folder, self.config.llama_cpp_model_path, folder / "adapter.gguf")
        scored = asyncio.run(self.served(adapter))
        analysis = analyse(scored, self.tools)
        write_json(folder / "error_analysis.json", analysis)
        print(f"round {number}, served: {scored.summary()['overall']['exact']}", flush=True)
        return plan_next_round(scored, analysis, self.config)

    async def served(self, adapter: Path) -> Evaluation:
        async with self.server(adapter) as client:
            evaluator = ToolCallEvaluator(self.validation, parallel=self.config.slots, max_tokens=128)
            return await evaluator.evaluate(client, "loop")

    async def ordinary_answers(self) -> list[PlainAnswer]:
        """What the served base answers to ordinary prompts."""
        prompts = ordinary_prompts(self.config.num_forgetting_prompts, self.config.system_prompt)
        async with self.server() as client:
            return await answer_plainly(
                client, prompts, max_tokens=self.config.forgetting_tokens, parallel=self.config.slots
            )

    def server(self, adapter: Path | None = None) -> LlamaCppClient:
        template = write_text(self.folder / "chat_template.jinja", self.template.text)
        return LlamaCppClient(
            self.config.llama_cpp_model_path, adapter_path=adapter, chat_template_file=template, context=self.longest + 256,
            parallel=self.config.slots, log_path=self.folder / "server.log",
        )  # fmt: skip


def scored_turns(conversation: Conversation) -> list[Conversation]:
    """The conversation up to each turn that is scored: its calls, or the words where none is due."""
    return [
        replace(conversation, id=f"{conversation.id}/{n}", messages=(*turn.history, turn.answer))
        for n, turn in enumerate(conversation.scored_turns())
    ]


if __name__ == "__main__":
    main()
