"""Work that fails is tried again, after growing pauses; what is waited for is said, less and less often."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from shared.backoff import SaysSeldom, pause_seconds

AGAIN_SECONDS = 1.0
WELL_SECONDS = 60.0  # what ran so long before it failed was well again

WaitsFor = Callable[[str, str], None]
"""Told what is waited for, and why it is not there."""

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


async def until_it_answers(what: str, work: Callable[[], Awaitable[None]], waits_for: WaitsFor) -> None:
    """Tries again every second while `work` raises TimeoutError, whose message says what is waited for."""
    waits_for(what, "it has not answered yet")
    said, began = SaysSeldom(), time.monotonic()
    while True:
        try:
            await work()
        except TimeoutError as away:
            waits_for(what, str(away))
            if said.is_due(str(away), time.monotonic()):
                log.warning("waiting for %s, for %.0f s now: %s", what, time.monotonic() - began, away)
            await asyncio.sleep(AGAIN_SECONDS)
        else:
            return
