"""Ctrl-C ends what runs at once: writing and training await nothing for minutes."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run`, but the first Ctrl-C raises KeyboardInterrupt where the work is.

    asyncio itself only marks the task as cancelled, which it hears at its next `await`.
    """

    async def interruptible() -> T:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, signal.default_int_handler)
        return await work

    return asyncio.run(interruptible())
