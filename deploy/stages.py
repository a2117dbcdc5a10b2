"""Progress in the terminal: one line per stage while it runs, one sentence per stage when all is done."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column, Table


@dataclass
class Stage:
    """One step on the way. `sentence` is what remains of it."""

    name: str
    progress: Progress
    task: TaskID
    sentence: str = ""
    started: float = field(default_factory=time.monotonic)
    seconds: float = 0.0

    def show(self, words: str, done: float | None = None, total: float | None = None) -> None:
        """Says what is happening now, and how far it is where that is known."""
        self.progress.update(self.task, words=words, completed=done, total=total)

    def step(self, count: int = 1) -> None:
        self.progress.advance(self.task, count)


class Stages:
    """The stages of one command: live on a terminal, elsewhere a line when each begins and ends."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.done: list[Stage] = []
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("[bold]{task.description}", table_column=Column(min_width=10, no_wrap=True)),
            BarColumn(bar_width=16, table_column=Column(min_width=16)),
            TextColumn("{task.percentage:>3.0f}%", table_column=Column(min_width=4)),
            TimeElapsedColumn(table_column=Column(min_width=7)),
            TextColumn(
                "{task.fields[words]}", table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis")
            ),
            expand=True,
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> Stages:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    @contextmanager
    def stage(self, name: str, words: str = "") -> Iterator[Stage]:
        stage = Stage(name, self._progress, self._progress.add_task(name, total=None, words=words))
        self._print(f"{name}: {words}" if words else name)
        yield stage
        stage.seconds = time.monotonic() - stage.started
        self._progress.update(stage.task, words=stage.sentence, completed=1, total=1)
        self.done.append(stage)
        self._print(f"{name}: {stage.sentence}  ({stage.seconds:.0f} s)")

    def summary(self) -> Table:
        table = Table.grid(padding=(0, 2), expand=False)
        table.add_column(style="bold", no_wrap=True)
        table.add_column(overflow="fold")
        table.add_column(justify="right", style="dim", no_wrap=True)
        for stage in self.done:
            table.add_row(f" {stage.name}", stage.sentence, f"{stage.seconds:.0f} s")
        return table

    def _print(self, line: str) -> None:
        if not self.console.is_terminal:
            self.console.print(line, soft_wrap=True, highlight=False, markup=False)
