"""Tools from an MCP server, asked through the official SDK (package `mcp`)."""

from __future__ import annotations

import asyncio
import os
import shlex
import tempfile
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from typing import Any, TextIO

from auto_lora._errors import MissingPartError, ToolsError
from auto_lora.catalog.definition import ToolDefinition
from auto_lora.catalog.schemas import strip

_PATIENCE = 60.0  # seconds for the start and the list: `npx` and `uvx` download first


def tools_of_server(source: str) -> list[ToolDefinition]:
    """The tools that a server lists.

    Args:
        source: `mcp:stdio COMMAND ...`, started here and ended again, or the http(s) URL of a server.

    Raises:
        ToolsError: it does not start or answer (its last words are quoted), or lists an invalid tool.
        MissingPartError: the package mcp is not installed.
    """
    if find_spec("mcp") is None:
        raise MissingPartError(f"asking {source} takes the package mcp", 'pip install "mcp>=2"')
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as words:
        try:
            listed = _in_a_thread(_listed(source, words))
        except ToolsError:
            raise
        except Exception as error:  # the SDK raises whatever its transports raise, in groups
            words.seek(0)
            said = "".join(f"; it said: {line.strip()}" for line in list(words)[-1:] if line.strip())
            raise ToolsError(
                f"the MCP server {source} gave no tools: {_innermost(error)}{said}", "start it by hand"
            ) from None
    return [_tool(tool, f"{source}, tool {i}") for i, tool in enumerate(listed, 1)]


def _in_a_thread(listing: Coroutine[Any, Any, list[Any]]) -> list[Any]:
    """What is listed; in a thread of its own, as this may be called where an event loop runs. Ctrl-C ends it at once."""
    begun: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[list[Any]]]] = []

    async def ask() -> list[Any]:
        task = asyncio.ensure_future(listing)
        begun.append((asyncio.get_running_loop(), task))
        return await task

    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(asyncio.run, ask())
        try:
            return answer.result()
        except KeyboardInterrupt:
            for loop, task in begun:
                loop.call_soon_threadsafe(task.cancel)
            raise


async def _listed(source: str, words: TextIO) -> list[Any]:
    from mcp import Client, StdioServerParameters, stdio_client

    server: Any = source
    if not source.startswith(("http://", "https://")):
        command = shlex.split(source.removeprefix("mcp:stdio"), posix=os.name == "posix")
        if not command:
            raise ToolsError("mcp:stdio names no command", "as in: mcp:stdio python server.py")
        parameters = StdioServerParameters(command=command[0], args=command[1:], env=dict(os.environ))
        server = stdio_client(parameters, errlog=words)
    found: list[Any] = []

    async def ask() -> None:
        async with Client(server) as client:
            cursor = None
            while True:
                page = await client.list_tools(cursor=cursor)
                found.extend(page.tools)
                cursor = page.next_cursor
                if not cursor:
                    return

    await asyncio.wait_for(ask(), _PATIENCE)
    return found


def _tool(tool: Any, where: str) -> ToolDefinition:
    def clean(schema: Any) -> Any:
        return strip(schema, lambda keyword: keyword in ("title", "$schema"))

    try:
        return ToolDefinition(
            tool.name,
            tool.description or tool.title or tool.name.replace("_", " "),
            clean(tool.input_schema),
            clean(tool.output_schema) if tool.output_schema else None,
        )
    except ToolsError as error:
        raise ToolsError(f"{where}: {error.message}", error.hint) from None


def _innermost(error: BaseException) -> str:
    while getattr(error, "exceptions", None):
        error = error.exceptions[0]  # type: ignore[attr-defined]
    if isinstance(error, TimeoutError):
        return f"no answer in {_PATIENCE:.0f} s"
    return f"{type(error).__name__}: {str(error) or 'no reason given'}"
