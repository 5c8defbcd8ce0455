"""What the served base answered, kept in the run folder: a resumed run need not ask it the frozen test again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from auto_lora._conversation import Conversation
from auto_lora._runs import read_json, write_json
from auto_lora._toolcall import ToolCall
from auto_lora.score import CaseResult, Evaluation, Metric, score_turn
from auto_lora.score_forgetting import PlainAnswer
from auto_lora.score_pair import Answers


def keep_answers(
    path: Path, served: Mapping[str, Any], answers: Answers, plain: Sequence[PlainAnswer]
) -> None:
    """Writes the answers as they came; they are scored again when they are read.

    Args:
        served: what answered, as JSON: the server's build, the weights.
        plain: answers to ordinary prompts.
    """
    cases = [
        {
            "id": case.conversation.id,
            "turns": [
                {"calls": [c.to_json() for c in turn.predicted], "raw": turn.raw, "error": turn.error}
                for turn in case.turns
            ],
        }
        for case in answers.test.cases
    ]
    kept = {
        "served": dict(served),
        "name": answers.test.name,
        "seconds": answers.test.seconds,
        "speed": answers.test.speed,
        "cases": cases,
        "closing": answers.closing,
        "plain": [asdict(answer) for answer in plain],
    }
    write_json(path, kept)


def kept_answers(
    path: Path,
    served: Mapping[str, Any],
    test: Sequence[Conversation],
    metrics: Mapping[str, Metric] | None,
) -> tuple[Answers, list[PlainAnswer]] | None:
    """The answers that `keep_answers` wrote, scored; None where there are none of this base, server and test."""
    kept = read_json(path) if path.is_file() else {}
    if kept.get("served") != dict(served) or [c["id"] for c in kept["cases"]] != [c.id for c in test]:
        return None
    cases = []
    for conversation, case in zip(test, kept["cases"], strict=True):
        turns = tuple(
            score_turn(turn.expected, [ToolCall(**c) for c in said["calls"]], said["raw"], said["error"])
            for turn, said in zip(conversation.scored_turns(), case["turns"], strict=True)
        )
        cases.append(CaseResult(conversation, turns))
    scored = Evaluation(kept["name"], cases, kept["seconds"], dict(metrics or {}), kept["speed"])
    plain = [PlainAnswer(**{**answer, "messages": tuple(answer["messages"])}) for answer in kept["plain"]]
    return Answers(scored, kept["closing"]), plain
