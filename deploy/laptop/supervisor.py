"""Starts children in order, keeps them running, stops them in reverse order, and leaves none behind."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from deploy.laptop.log_files import keep_in_bounds, last_line, open_log
from deploy.laptop.restarts import ASK_SECONDS, MOST_UNANSWERED, deaths_in_a_row, pause_seconds

PROBE_SECONDS = 0.1
STOP_SECONDS = 10.0
LOG_SECONDS = 10.0
"""How often the size of a log is looked at."""
SOURCES = Path(__file__).resolve().parents[2]

OnStep = Callable[[str, str], None]
"""Told a child's name and, in words, what happens to it; or NOTE, and what a person should read."""
NOTE = "note"


@dataclass(frozen=True)
class Child:
    """A program to keep running."""

    name: str
    command: Sequence[str]
    """Starts with the path of an executable."""
    is_ready: Callable[[], Awaitable[bool]]
    """Asked again and again after a start, until it says yes; of a watched child, from then on, too. Raises
    nothing."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Besides the supervisor's own."""
    stops_with_stdin: bool = False
    """Stops when its standard input ends. Every other child is sent SIGTERM, and dies with the supervisor."""
    patience_seconds: float = 180.0
    """How long it may take to be ready."""
    is_watched: bool = False
    """One that no longer answers is killed and started again. For what loses nothing by a kill -9."""


class ChildFailed(Exception):
    """A child did not become ready. The message says why, with its last line and where the rest is."""


class Supervisor:
    """Children write to `logs`/NAME.log. The lock on `held` lasts until the last of them has ended."""

    def __init__(self, logs: Path, held: TextIO, on_step: OnStep) -> None:
        self._logs, self._held, self._on_step = logs, held, on_step
        self._running: list[_Running] = []

    async def start(self, child: Child) -> None:
        """Returns when the child is ready; from then on it is started again whenever it dies.

        Raises ChildFailed when it ends or is not ready in time. Cancelled or failed, it is stopped by `stop`.
        """
        running = _Running(child, self._logs / f"{child.name}.log", self._held, self._on_step)
        self._running.append(running)
        await running.start()

    def pids(self) -> dict[str, int]:
        """Process ids by name of those that run at this moment."""
        return {running.child.name: pid for running in self._running if (pid := running.pid) is not None}

    async def stop(self) -> None:
        """Stops the last started first, each before the next. One that does not stop in 10 s is killed."""
        while self._running:
            await self._running[-1].stop()
            self._running.pop()


class _Running:
    def __init__(self, child: Child, log: Path, held: TextIO, on_step: OnStep) -> None:
        self.child = child
        self._log, self._held, self._on_step = log, held, on_step
        self._process: asyncio.subprocess.Process | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._bounding: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        alive = self._process is not None and self._process.returncode is None
        return self._process.pid if self._process is not None and alive else None

    async def start(self) -> None:
        process = await self._start_and_wait()
        self._bounding = asyncio.create_task(self._bound_log())
        self._keeping = asyncio.create_task(self._keep_running(process), name=self.child.name)

    async def stop(self) -> None:
        if ending := {task for task in (self._keeping, self._bounding) if task is not None}:
            for task in ending:
                task.cancel()
            await asyncio.wait(ending)
        process = self._process
        if process is None or process.returncode is not None:
            return
        if process.stdin is not None:
            process.stdin.close()
        else:
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), STOP_SECONDS)
        except TimeoutError:
            await _kill(process)

    async def _keep_running(self, process: asyncio.subprocess.Process) -> None:
        loop, deaths = asyncio.get_running_loop(), 0
        while True:
            since = loop.time()
            reason = await self._end_of(process)
            deaths = deaths_in_a_row(deaths, loop.time() - since)
            ready = False
            while not ready:
                pause = pause_seconds(deaths)
                self._on_step(self.child.name, f"{reason}; starting it again in {pause:.1f} s")
                await asyncio.sleep(pause)
                try:
                    process = await self._start_and_wait()
                    ready = True
                except ChildFailed as failure:
                    reason, deaths = str(failure), deaths + 1
            self._on_step(self.child.name, "is back")

    async def _bound_log(self) -> None:
        while True:
            await asyncio.sleep(LOG_SECONDS)
            with suppress(OSError):  # a full disk: what is there stays
                await asyncio.to_thread(keep_in_bounds, self._log)

    async def _end_of(self, process: asyncio.subprocess.Process) -> str:
        """Waits for it, or for a watched child's silence. Says how it ended; then it has."""
        unanswered = 0
        while unanswered < MOST_UNANSWERED:
            try:
                async with asyncio.timeout(ASK_SECONDS if self.child.is_watched else None):
                    return f"ended with {_ending(await process.wait())}"
            except TimeoutError:
                unanswered = 0 if await self.child.is_ready() else unanswered + 1
        await _kill(process)
        return f"did not answer {unanswered} times in a row and was killed"

    async def _start_and_wait(self) -> asyncio.subprocess.Process:
        child = self.child
        with open_log(self._log) as log:
            process = await asyncio.create_subprocess_exec(
                *child.command if child.stops_with_stdin else dying_with_us(child.command),
                cwd=SOURCES,  # python -m finds our packages, whatever lies in the user's folder
                env={**os.environ, **child.environment},
                stdin=asyncio.subprocess.PIPE if child.stops_with_stdin else asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(self._held.fileno(),),
                start_new_session=True,  # Ctrl-C reaches the supervisor alone, which stops in order
            )
        self._process = process
        try:
            async with asyncio.timeout(child.patience_seconds):
                while not await child.is_ready():
                    if process.returncode is not None:
                        break
                    await asyncio.sleep(PROBE_SECONDS)
        except TimeoutError:
            await _kill(process)
            raise self._failed(f"was not ready after {child.patience_seconds:.0f} s") from None
        if process.returncode is not None:
            raise self._failed(f"ended with {_ending(process.returncode)}")
        return process

    def _failed(self, what: str) -> ChildFailed:
        said = last_line(self._log) or "it wrote nothing"
        return ChildFailed(f"{what}: {said} (all of it: {self._log})")


def dying_with_us(command: Sequence[str]) -> list[str]:
    """The command as a child that Linux kills when this process is gone, however it went."""
    return [sys.executable, "-m", "deploy.laptop.die_with_parent", str(os.getpid()), *command]


async def _kill(process: asyncio.subprocess.Process) -> None:
    process.kill()
    await process.wait()


def _ending(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"
