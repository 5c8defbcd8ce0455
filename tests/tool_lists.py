"""Tools written down as developers do, and what is asked of them: shared by the tests of the writer."""

from __future__ import annotations

from auto_lora._settings import TrainingConfig
from auto_lora.catalog import ToolDefinition
from auto_lora.dialogues import SyntheticDataGenerator


def text(description="", **more):
    return {"type": "string", "description": description, **more}


def many(description=""):
    return {"type": "array", "items": {"type": "string"}, "description": description}


def tool(name, description, required=(), /, **properties):
    return ToolDefinition(
        name, description, {"type": "object", "properties": properties, "required": list(required)}
    )


WEATHER = tool("get_weather", "Get the weather.", ["city"], city=text("City."))


def asked(tool, count=90):
    """(prompt, arguments) of the calls written for one tool beside another."""
    made = SyntheticDataGenerator([tool, WEATHER], TrainingConfig(seed=3)).generate(
        2 * count, "train", shares={"single": 0.5, "optional": 0.5}
    )
    calls = [(c.prompt, c.scored_turns()[0].expected[0]) for c in made]
    found = [(prompt, dict(call.arguments)) for prompt, call in calls if call.name == tool.name]
    assert len(found) > count / 3
    return found
