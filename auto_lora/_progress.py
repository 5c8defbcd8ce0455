"""Progress that reads well on a terminal and in a log file.

On a terminal: a rich bar with rate and time left. Elsewhere: one plain line at the start, at
every tenth of the way (and at least every 30 s), and at the end.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


@dataclass
class Task:
    """One piece of long work; `advance` is called as it gets on."""

    console: Console
    name: str
    total: int
    bar: Progress | None
    done: int = 0
    before: int = 0
    started: float = field(default_factory=time.monotonic)
    _printed: float = field(default_factory=time.monotonic)
    _tenth: int = 0

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Counts steps done; `note` is shown beside them, e.g. the loss."""
        self.done += steps
        if self.bar is not None:
            self.bar.update(self.bar.task_ids[0], completed=self.done, note=note)
            return
        now = time.monotonic()
        tenth = 10 * self.done // max(self.total, 1)
        if tenth > self._tenth or now - self._printed > 30:
            self._tenth, self._printed = tenth, now
            left = (now - self.started) / max(self.done - self.before, 1) * (self.total - self.done)
            self.console.print(
                f"  {self.name} {self.done}/{self.total}  {left:.0f} s left  {note}".rstrip(), highlight=False
            )


class Reporter:
    """Where a run says what it does: sentences and progress."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(soft_wrap=True)

    def say(self, text: str) -> None:
        self.console.print(text, highlight=False, markup=False)  # a path may have brackets

    @contextmanager
    def task(self, name: str, total: int, done: int = 0) -> Iterator[Task]:
        """A bar or log lines for `total` steps of work called `name`, of which `done` are behind us."""
        if not self.console.is_terminal:
            yield Task(self.console, name, total, None, done, done)
            return
        columns = (
            TextColumn("  {task.description}"), BarColumn(), MofNCompleteColumn(),
            TimeElapsedColumn(), TimeRemainingColumn(), TextColumn("{task.fields[note]}"),
        )  # fmt: skip
        with Progress(*columns, console=self.console, transient=True) as bar:
            bar.add_task(name, total=total, completed=done, note="")
            yield Task(self.console, name, total, bar, done, done)


class Quiet(Reporter):
    """A reporter that says nothing, for use as a library."""

    def __init__(self) -> None:
        super().__init__(Console(quiet=True))
