"""A llama.cpp server that runs already (here or on another machine) instead of a started one.

python examples/own_server.py http://127.0.0.1:8080 "turn the kitchen lights on"
"""

from __future__ import annotations

import asyncio
import sys

from auto_lora import LlamaCppClient, ToolCall, ToolDefinition

LIGHT = ToolDefinition(
    name="set_light",
    description="Switch the lights of a room on or off.",
    parameters={
        "type": "object",
        "properties": {"room": {"type": "string"}, "state": {"type": "string", "enum": ["on", "off"]}},
        "required": ["room", "state"],
    },
)


async def ask(url: str, prompt: str) -> tuple[ToolCall, ...]:
    """The calls of one answer; empty when the model answered in words."""
    async with LlamaCppClient(url=url) as client:
        reply = await client.chat([{"role": "user", "content": prompt}], [LIGHT.to_openai()], max_tokens=64)
    return reply.calls


if __name__ == "__main__":
    print(asyncio.run(ask(*sys.argv[1:3])))
