"""Work that runs as long as the process: what fails is started again, after growing pauses."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from shared.backoff import pause_seconds

WELL_SECONDS = 60.0  # what ran so long before it failed was well again

log = logging.getLogger(__name__)


async def keep_running(name: str, work: Callable[[], Awaitable[None]]) -> None:
    """Until it returns or is cancelled. Failures count as in a row unless it ran well for a while between."""
    failures = 0
    while True:
        since = time.monotonic()
        try:
            await work()
        except Exception as error:
            failures = failures_in_a_row(failures, time.monotonic() - since)
            pause = pause_seconds(failures)
            log.warning(
                "%s: background work failed (%s); again in %.1f s",
                name,
                type(error).__name__,
                pause,
                exc_info=failures in (1, 10),
            )
            await asyncio.sleep(pause)
        else:
            return


def failures_in_a_row(before: int, ran_seconds: float) -> int:
    """With this one."""
    return 1 if ran_seconds >= WELL_SECONDS else before + 1
