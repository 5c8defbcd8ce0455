"""What is handed to a writer, and what it gives back."""

from __future__ import annotations

from dataclasses import dataclass

from auto_lora.catalog import ToolDefinition
from auto_lora.dialogues.definitions.frames import Frame
from auto_lora.dialogues.values.surfaces import Value


@dataclass(frozen=True)
class PlannedCall:
    """A tool and its arguments with their surfaces, in schema order.

    `hidden` are arguments whose value comes from an earlier result, so no words give it. `frame` is the sentence
    that the arguments were chosen for, None when any will do. `casual`: typed without capitals. `crowded`: another tool
    of the list has this one's topic, so its words would not tell the two apart.
    """

    tool: ToolDefinition
    values: dict[str, Value]
    hidden: frozenset[str] = frozenset()
    frame: Frame | None = None
    casual: bool = False
    crowded: bool = False

    def arguments(self) -> dict[str, object]:
        return self.tool.order_arguments({name: value.json for name, value in self.values.items()})

    def shown(self) -> dict[str, Value]:
        return {n: v for n, v in self.values.items() if n not in self.hidden}


@dataclass(frozen=True)
class Written:
    """A prompt and the shape it was made after (frame names joined by `+`)."""

    text: str
    shape: str
