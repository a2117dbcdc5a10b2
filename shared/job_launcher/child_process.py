"""A job as a child process of its service, which dies with it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta

from shared.die_with_parent import die_with_parent
from shared.job_launcher.command import command, environment
from shared.job_protocol import Order

LONGEST_LINE_BYTES = 1 << 26


@dataclass(frozen=True)
class ChildProcess:
    """Runs `python -m MODULE`; the order goes to its standard input.

    A job that was given GPUs sees these alone, and runs in as many processes.
    """

    module: str

    async def start(self, order: Order, deadline: timedelta) -> LaunchedChild:
        """The deadline is the service's to keep: the child does not outlive it. Raises CannotStart."""
        said = order.model_dump_json()
        process = await asyncio.create_subprocess_exec(
            *command(sys.executable, self.module, len(order.gpus)),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=LONGEST_LINE_BYTES,
            env=os.environ | environment(said, order.gpus), preexec_fn=_behind_the_service,
        )  # fmt: skip
        assert process.stdin is not None
        process.stdin.write(said.encode())
        process.stdin.close()  # after what was written; a child that is dead by then tells by its exit code
        return LaunchedChild(process)


@dataclass(frozen=True)
class LaunchedChild:
    process: Process

    async def lines(self) -> AsyncIterator[bytes]:
        assert self.process.stdout is not None
        while True:
            try:
                line = await self.process.stdout.readline()
            except ValueError:  # longer than the limit, so none of the protocol's; asyncio has thrown it away
                continue
            if not line:
                return
            yield line

    async def ending(self) -> str | None:
        code = await self.process.wait()
        if code == 0:
            return None
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"

    async def stop(self) -> None:
        if self.process.returncode is None:
            self.process.kill()
            await self.process.wait()

    async def leave(self) -> None:
        await self.stop()


def _behind_the_service() -> None:
    """The child dies when the service does, and lets live traffic go first."""
    die_with_parent()
    os.nice(10)
