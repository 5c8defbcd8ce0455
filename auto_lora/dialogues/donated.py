"""What the user has beside the tools: own cases, own prompts, a public data set; what of it is used, and why the rest is not."""

from __future__ import annotations

import importlib
import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from auto_lora._conversation import Conversation
from auto_lora._errors import DataError, MissingPartError, UsageError
from auto_lora._settings import TrainingConfig, split_mix
from auto_lora.catalog import ToolDefinition, parse_tools
from auto_lora.dialogues.reader import Reader, lines_of, parse_line
from auto_lora.dialogues.verify import Duplicates, NearPrompts
from auto_lora.dialogues.wording.style import FEWEST, Style

NEAR_TEST = "like a case of the test file"
MIX_HINT = 'a line is {"messages": [...], "tools": [...]} in the OpenAI format'
_JSON_TEXT = ("messages", "tools")  # hub sets often hold them as JSON text


@dataclass(frozen=True)
class Donated:
    """What a user gave beside the tools.

    Attributes:
        test: their own cases, to be asked with the run's tools.
        test_writer: who wrote them, for the headline.
        seeds: their prompts with calls, to be trained on.
        mix: conversations of a public data set with its own tools, in the order in which they are used.
        share: of the mix among the training data.
        style: how their prompts are typed, None where there are too few.
        dropped: how many lines were not used, by reason.
        notes: a sentence a file, for the log.
        near_test: the prompts that must not be trained on.
    """

    test: tuple[Conversation, ...] = ()
    test_writer: str = ""
    seeds: tuple[Conversation, ...] = ()
    mix: tuple[Conversation, ...] = ()
    share: float = 0.0
    style: Style | None = None
    dropped: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    near_test: NearPrompts = field(default_factory=lambda: NearPrompts(()))

    @classmethod
    def of(cls, config: TrainingConfig, tools: Sequence[ToolDefinition]) -> Donated:
        """Reads the files that the settings name.

        Raises:
            UsageError: a file or a line of it is wrong; names the line.
            MissingPartError, DataError: the mix is on the hub and cannot be had.
        """
        reader, config = Reader(tools, config.system_prompt), config.for_tools(tools)
        made = cls()
        if config.test_file:
            test = tuple(reader.cases(config.test_file))
            near = NearPrompts(text for case in test for text in said(case))
            made = cls(test, own_cases(config.test_file), near_test=near)
        if config.seed_prompts:
            made = made._with_prompts(*reader.prompts(config.seed_prompts), config.seed_prompts)
        if config.mix:
            made = made._with_mix(config)
        return made

    def is_near_test(self, conversation: Conversation) -> bool:
        return any(text in self.near_test for text in said(conversation))

    def beside(self, before: Sequence[Conversation], new: Sequence[Conversation]) -> list[Conversation]:
        """What a round trains on beside the conversations written for it, if it is not in the rounds before."""
        there = {c.id for c in before}
        mixed = {c.id for c in self.mix}
        seeds = [c for c in self.seeds if c.id not in there]
        own = sum(c.id not in mixed for c in before) + len(new) + len(seeds)
        fresh = [c for c in self.mix[: _beside(own, self.share)] if c.id not in there]
        return [*seeds, *fresh]

    def _with_mix(self, config: TrainingConfig) -> Donated:
        """With as many verified conversations of the data set as the run can use, and none near the test."""
        name, share = split_mix(config.mix)
        dropped: Counter[str] = Counter()
        rows = mix_conversations(mix_rows(name, config.seed), name, dropped)
        first = _beside(config.num_synthetic_examples + len(self.seeds), share)
        most = _beside(config.num_synthetic_examples * config.num_iterations + len(self.seeds), share)
        kept: list[Conversation] = []
        for conversation in rows:
            if self.is_near_test(conversation):
                dropped[NEAR_TEST] += 1
            else:
                kept.append(conversation)
            if len(kept) == most:
                break
        if not kept:
            why = "; ".join(dropped) or "it is empty"
            raise UsageError(f"{name} holds no conversation that can be trained on ({why})", MIX_HINT)
        short = f", fewer than the {first} of a share of {share:g}" if len(kept) < first else ""
        note = f"{name}: {len(kept)} conversations at hand{short}"
        note += "".join(f"; {n} dropped: {reason}" for reason, n in dropped.most_common(3))
        # Counted together: a public set has as many reasons as tools.
        near = dropped.pop(NEAR_TEST, 0)
        counted = Counter({f"mix: {NEAR_TEST}": near, "mix: cannot be verified": dropped.total()})
        counted = Counter(self.dropped) + counted
        return replace(self, mix=tuple(kept), share=share, dropped=counted, notes=(*self.notes, note))

    def _with_prompts(
        self, seeds: list[Conversation], prompts: list[str], dropped: Counter[str], path: str
    ) -> Donated:
        """With a file's prompts, without those that are near the test or come twice."""
        new = Duplicates()
        kept = []
        for seed in seeds:
            reason = (
                NEAR_TEST
                if self.is_near_test(seed)
                else ""
                if new.is_new(seed.prompt)
                else "duplicate prompt"
            )
            if reason:
                dropped[f"seed prompt: {reason}"] += 1
            else:
                kept.append(seed)
        donors = [p for p in prompts if p not in self.near_test]
        style = Style.of(donors)
        learned = "typed like them" if style else f"a style needs {FEWEST} prompts"
        note = f"{path}: {len(donors)} prompts ({learned}), {len(kept)} of them trained on"
        note += "".join(f"; {n} dropped: {reason}" for reason, n in dropped.items())
        return replace(self, seeds=tuple(kept), style=style, dropped=dropped, notes=(*self.notes, note))


def _beside(own: int, share: float) -> int:
    """How many conversations beside `own` make up `share` of all."""
    return round(own * share / (1 - share))


def own_cases(path: str) -> str:
    """Who wrote a test file, for the headline."""
    return f"{path}, the user's own cases"


def said(conversation: Conversation) -> Iterator[str]:
    """What the user says in a conversation."""
    return (str(m["content"]) for m in conversation.messages if m["role"] == "user")


def mix_rows(name: str, seed: int) -> Iterator[Any]:
    """The rows of a data set in an order that the seed gives: of a JSONL file, or of the hub's `train` split.

    Raises:
        UsageError: no such file, or a line that is not JSON.
        MissingPartError: it is on the hub, and the package `datasets` is not installed.
        DataError: the hub does not give it.
    """
    if not Path(name).is_file() and re.fullmatch(r"[\w-]+/[\w.-]+(?<!\.jsonl)(?<!\.json)", name):
        yield from _hub_rows(name, seed)
        return
    numbered = list(lines_of(name))
    random.Random(seed).shuffle(numbered)
    for number, text in numbered:
        try:
            yield parse_line(text)
        except ValueError as error:
            raise UsageError(f"{name}, line {number}: {error}", "mend or remove that line") from None


def _hub_rows(name: str, seed: int) -> Iterator[Any]:
    try:
        datasets = importlib.import_module("datasets")
    except ImportError:
        raise MissingPartError(
            f"the data set {name} needs the package datasets", "pip install datasets, or give a JSONL file"
        ) from None
    try:
        yield from datasets.load_dataset(name, split="train", streaming=True).shuffle(seed=seed)
    except Exception as error:  # whatever the hub, the network or the set's own format does
        reason = " ".join(str(error).split())[:200]
        raise DataError(f"the data set {name} cannot be read: {reason}", "give a JSONL file") from None


def mix_conversations(rows: Iterable[Any], writer: str, dropped: Counter[str]) -> Iterator[Conversation]:
    """Rows of `messages` and `tools` (JSON text or values) as conversations with their own tools.

    Args:
        dropped: counts the rows that cannot be verified, by reason.
    """
    for number, row in enumerate(rows):
        try:
            if not isinstance(row, Mapping):
                raise ValueError("it is no object")
            row = {k: parse_line(v) if k in _JSON_TEXT and isinstance(v, str) else v for k, v in row.items()}
            tools = parse_tools(row.get("tools") or [], "it")
            yield Reader(tools).conversation(row, f"mix-{number:06d}", writer)
        except Exception as error:  # public sets hold tools of every kind of wrong
            dropped[str(error)] += 1
