"""Argument values of one's own domain, and a writer of one's own.

A sampler gives a value and how a person would write it. A writer words planned calls; what it writes
is kept only if every argument can be found in it, otherwise the built-in writer takes over.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from auto_lora import SyntheticDataGenerator, ToolDefinition, TrainingConfig
from auto_lora.dialogues import PlannedCall, Written

METAR = ToolDefinition(
    name="get_metar",
    description="Current weather report of an airport.",
    parameters={
        "type": "object",
        "properties": {"station": {"type": "string", "pattern": "^[A-Z]{4}$"}},
        "required": ["station"],
    },
)
AIRPORTS = ["EGLL", "EDDF", "LFPG", "KJFK", "KSFO", "RJTT", "YSSY", "LSZH", "LOWW", "EHAM", "LEMD", "LIRF"]


def station(rng: random.Random) -> tuple[str, str]:
    """An ICAO code; people say it as it is written."""
    code = rng.choice(AIRPORTS)
    return code, code


class RadioWriter:
    """Words every request as a pilot would."""

    name = "radio writer"

    def write(self, calls: Sequence[PlannedCall], *, chain: bool = False) -> Written | None:
        said = [f"request weather at {call.values['station'].surface}" for call in calls]
        return Written(", then ".join(said), shape="radio")


def main() -> list[str]:
    config = TrainingConfig(category_shares={"single": 1.0})
    generator = SyntheticDataGenerator(
        [METAR], config, writer=RadioWriter(), samplers={"get_metar.station": station}
    )
    return [conversation.prompt for conversation in generator.generate(5, "train")]


if __name__ == "__main__":
    print("\n".join(main()))
