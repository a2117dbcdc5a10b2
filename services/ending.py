"""How a process comes to its end: stage after stage, each with a deadline, and a last one for all of them."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Awaitable

LAST_ANSWERS_SECONDS = 3  # what is open after SIGTERM, a long poll or a page, may end by then
STOP_SECONDS = 5.0  # of a service's own `stop`, of all of them together
CONSUMERS_END_SECONDS = 7.0  # handlers end, what they handled is committed, the groups are left
CLOSE_SECONDS = 2.0  # of each connection
THREADS_SECONDS = 2.0  # for threads, when everything else has ended well
END_SECONDS = 20.0  # from SIGTERM on, whatever hangs: below what Kubernetes waits before it kills (30 s)

log = logging.getLogger(__name__)


async def in_time(what: str, work: Awaitable[object], seconds: float) -> None:
    """Waits for it so long, and then no longer; what fails is said, and the end goes on."""
    task = asyncio.ensure_future(work)
    done, _ = await asyncio.wait({task}, timeout=seconds)
    if not done:
        task.cancel()
        log.warning("%s has not ended within %.0f s; going on without it", what, seconds)
    elif not task.cancelled() and (error := task.exception()) is not None:
        log.warning("%s ended badly: %s: %s", what, type(error).__name__, error)


def end_at_the_latest(seconds: float = END_SECONDS, code: int = 1) -> None:
    """A thread that waits for a server can be neither cancelled nor left behind: then the process goes."""

    def end() -> None:
        log.warning("a thread still waits for a server that does not answer; this process ends without it")
        logging.shutdown()
        os._exit(code)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
