"""What a launcher promises, wherever it runs a job's process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Protocol

from shared.job_protocol.lines import Order

PAST_DEADLINE = "its deadline"
"""The ending of a process that ran for as long as it may."""


class CannotStart(Exception):
    """No process can be started for this order, and trying again would not help. Says why."""


class Launched(Protocol):
    """A job's process under way."""

    def lines(self) -> AsyncIterator[bytes]:
        """Its standard output, line by line, until it has ended. May begin anew after an interruption."""
        ...

    async def ending(self) -> str | None:
        """How it ended, once it has: None is well, else how not ("signal SIGKILL")."""
        ...

    async def stop(self) -> None:
        """Ends it if it still runs, and clears away what is left of it."""
        ...

    async def leave(self) -> None:
        """Gives it up to whoever takes the job over: a child process ends, a Kubernetes Job goes on."""
        ...


class Launcher(Protocol):
    async def start(self, order: Order, deadline: timedelta) -> Launched:
        """Starts the order's process, or finds it where it still runs. Raises CannotStart.

        The process is ended once it has run for `deadline`, even if nobody is left to stop it, where the
        launcher can see to that.
        """
        ...
