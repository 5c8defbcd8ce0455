"""One conversation in the OpenAI messages format: what the stages hand to each other.

A JSONL line is `{"id", "category", "messages", "tools", "meta"}`; `messages` and `tools` are as
other trainers and the OpenAI API take them, `meta` says how the line was made.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from auto_lora._errors import DataError
from auto_lora._runs import read_jsonl, write_jsonl
from auto_lora._toolcall import AcceptedCall, ToolCall, calls_of_message

Message = dict[str, Any]


@dataclass(frozen=True)
class Turn:
    """One assistant turn: the messages before it, and the calls it must make (none: words only)."""

    history: tuple[Message, ...]
    answer: Message
    expected: tuple[ToolCall, ...]


@dataclass(frozen=True)
class Conversation:
    """Messages with the tools they may call.

    Args:
        id: unique within a run.
        category: one of `auto_lora._settings.CATEGORIES`.
        messages: OpenAI messages; `tool_calls` arguments are JSON strings in schema order.
        tools: OpenAI `tools` entries.
        meta: how it was made (`writer`, `shape`, ...); never shown to a model. `accepted`: what is right as the
            last answer, one `AcceptedCall.of` entry a call, where that is more than one form.
    """

    id: str
    category: str
    messages: tuple[Message, ...]
    tools: tuple[dict[str, Any], ...]
    meta: Mapping[str, Any] = field(default_factory=dict)

    @property
    def prompt(self) -> str:
        """The first user message's text."""
        return next(str(m["content"]) for m in self.messages if m["role"] == "user")

    def turns(self) -> Iterator[Turn]:
        """Every assistant turn in order."""
        for i, message in enumerate(self.messages):
            if message["role"] == "assistant":
                yield Turn(self.messages[:i], message, calls_of_message(message))

    def scored_turns(self) -> list[Turn]:
        """The turns that decide: after the last user message each that calls; where none does, the first."""
        asked = max(i for i, m in enumerate(self.messages) if m["role"] == "user")
        turns = [t for t in self.turns() if len(t.history) > asked]
        if "accepted" in self.meta:
            return [replace(turns[-1], expected=tuple(map(AcceptedCall.of, self.meta["accepted"])))]
        return [t for t in turns if t.expected] or turns[:1]

    def final_turn(self) -> Turn | None:
        """The closing answer after tool responses, None where no tool was called."""
        *_, last = self.turns()
        return last if not last.expected and any(m["role"] == "tool" for m in last.history) else None

    def without_closing(self) -> Conversation:
        """The same up to its last call; itself where no closing answer follows one."""
        final = self.final_turn()
        if final is None:
            return self
        end = max(i for i, m in enumerate(final.history) if m.get("tool_calls")) + 1
        return replace(self, messages=final.history[:end])

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "category": self.category,
            "messages": list(self.messages),
            "tools": list(self.tools),
            "meta": dict(self.meta),
        }

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Conversation:
        """What `to_json` gave; raises KeyError, TypeError or ValueError where it is no conversation."""
        made = cls(
            row["id"], row["category"], tuple(row["messages"]), tuple(row["tools"]), row.get("meta", {})
        )
        list(made.turns())
        return made


def read_conversations(path: str | Path) -> list[Conversation]:
    """Raises DataError naming the line that is not a conversation."""
    found = []
    for number, row in enumerate(read_jsonl(path), 1):
        try:
            found.append(Conversation.from_json(row))
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{path}, line {number} is not a conversation: {error!r}") from None
    return found


def write_conversations(path: str | Path, conversations: Iterable[Conversation]) -> Path:
    return write_jsonl(path, (c.to_json() for c in conversations))
