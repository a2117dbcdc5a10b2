"""Progress in the terminal: one line per stage while it runs, one sentence per stage when all is done."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Column, Table
from rich.text import Text

NARROW = 80
"""Columns below which bars go, and sentences stand below their stage's name."""


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
        self._is_live = console.is_terminal and not console.is_dumb_terminal
        self._progress = Progress(
            *_columns(console.width), expand=True, console=console, transient=True, disable=not self._is_live
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

    def summary(self) -> RenderableType:
        """What remains of every stage: its sentence beside its name, on a narrow terminal below it."""
        if self.console.width < NARROW:
            return Group(*(line for stage in self.done for line in self._stacked(stage)))
        table = Table.grid(padding=(0, 2), expand=False)
        table.add_column(style="bold", no_wrap=True)
        table.add_column(overflow="fold")
        table.add_column(justify="right", style="dim", no_wrap=True)
        for stage in self.done:
            table.add_row(f" {stage.name}", Text(stage.sentence), f"{stage.seconds:.0f} s")
        return table

    def _stacked(self, stage: Stage) -> tuple[RenderableType, RenderableType]:
        name = Text.assemble((f" {stage.name}", "bold"), (f"  {stage.seconds:.0f} s", "dim"))
        return name, Padding(Text(stage.sentence, overflow="fold"), (0, 0, 0, 3), expand=False)

    def _print(self, line: str) -> None:
        if not self._is_live:
            self.console.print(line, soft_wrap=True, highlight=False, markup=False)


def _columns(width: int) -> list[ProgressColumn]:
    """What a stage's line is made of: the narrower the terminal, the fewer."""
    name = TextColumn("{task.description}", style="bold", table_column=Column(min_width=10, no_wrap=True))
    bar = BarColumn(bar_width=16, table_column=Column(min_width=16))
    share = _Share(table_column=Column(min_width=4, justify="right"))
    time_taken = TimeElapsedColumn(table_column=Column(min_width=7))
    columns = [SpinnerColumn(), name, bar, share, time_taken]
    if width < NARROW:
        columns.remove(bar)
    taken = sum((column.get_table_column().min_width or 1) + 1 for column in columns)
    return [*columns, _Words(width - taken, table_column=Column(ratio=1, overflow="fold"))]


class _Share(ProgressColumn):
    """How far it is, in percent, where that is known."""

    def render(self, task: Task) -> Text:
        return Text("" if task.total is None else f"{task.percentage:.0f}%")


class _Words(ProgressColumn):
    """What happens now, whole. What has ended shows its sentence where one line holds it, and else waits for
    the summary: lines past the terminal's height would hide what happens now."""

    def __init__(self, room: int, table_column: Column) -> None:
        super().__init__(table_column)
        self._room = room

    def render(self, task: Task) -> Text:
        words = str(task.fields["words"])
        return Text("" if task.finished and len(words) > self._room else words)
