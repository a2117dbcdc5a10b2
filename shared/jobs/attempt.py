"""One attempt at a job: its process is started and listened to, its lease renewed, its deadline kept."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from shared.events.envelope import now
from shared.job_launcher import PAST_DEADLINE, CannotStart, Launched, Launcher
from shared.job_protocol import JobProgress, Order, Refusal, Result, read_line
from shared.jobs.job import Job, JobState
from shared.jobs.table import JobTable

LEASE = timedelta(seconds=60)
SILENT_SECONDS = 600.0
"""A job that reports nothing for longer is named in the log, once each time. It may well be at work."""
LAST_NEWS_SECONDS = 5.0
log = logging.getLogger(__name__)

OnProgress = Callable[[Job, JobProgress], Awaitable[None]]


class TakenOver(Exception):
    """Somebody else is at work on the job, or has finished it: our lease had run out."""


@dataclass(frozen=True)
class Crash:
    """The process ended without an answer. The next one may do better."""

    reason: str


class Attempt:
    """`job` is the row as it was last written. Whatever ends the attempt, no process of ours is left over."""

    def __init__(
        self,
        job: Job,
        order: Order,
        deadline: timedelta,
        launcher: Launcher,
        table: JobTable,
        on_progress: OnProgress,
        progressed: dict[str, float],
    ) -> None:
        self.job = job
        self._order, self._deadline, self._launcher, self._table = order, deadline, launcher, table
        self._on_progress, self._progressed = on_progress, progressed
        self._launched: Launched | None = None
        self._untold: deque[JobProgress] = deque(
            maxlen=100
        )  # news: of too many at once the oldest are dropped
        self._news = asyncio.Event()
        self._is_over = self._is_silent = self._is_over_elsewhere = False
        self._cancelled: asyncio.Future[Refusal] = asyncio.get_running_loop().create_future()

    def cancel(self, why: str) -> None:
        """It answers with a refusal now, whatever its process is busy with."""
        if not self._cancelled.done():
            self._cancelled.set_result(Refusal(refused=why))

    async def answer(self) -> Result | Refusal | Crash:
        """Raises TakenOver. The process is left to a successor if that or anything else cuts this short, and
        ended if the job is over elsewhere.
        """
        self._progressed[self.job.job_id] = time.monotonic()
        listening = asyncio.create_task(self._listen())
        renewing = asyncio.create_task(self._renew_lease())
        telling = asyncio.create_task(self._tell())
        tasks = (listening, renewing, telling)
        ends: set[asyncio.Future[Any]] = {listening, renewing, self._cancelled}
        has_answer = False
        try:
            await asyncio.wait(
                ends,
                timeout=self._deadline.total_seconds(),
                return_when=asyncio.FIRST_COMPLETED,
            )
            if self._cancelled.done():
                answer: Result | Refusal | Crash = self._cancelled.result()
            else:
                if renewing.done():
                    renewing.result()
                answer = listening.result() if listening.done() else self._too_long()
            has_answer = True
            self._is_over = True
            self._news.set()
            await asyncio.wait({telling}, timeout=LAST_NEWS_SECONDS)
            return answer
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            del self._progressed[self.job.job_id]
            if not has_answer and self._launched is not None:
                await (self._launched.stop() if self._is_over_elsewhere else self._launched.leave())

    async def clear_away(self) -> None:
        """To be called once the answer is stored: until then a successor could still find it."""
        if self._launched is not None:
            await self._launched.stop()

    async def _listen(self) -> Result | Refusal | Crash:
        answer: Result | Refusal | None = None
        strays = 0
        try:
            self._launched = launched = await self._launcher.start(self._order, self._deadline)
        except CannotStart as error:
            return Refusal(refused=f"{self.job.kind} cannot be started: {error}")
        async for line in launched.lines():
            said = read_line(self.job.job_id, line)
            if isinstance(said, JobProgress):
                self._hear(said)
            elif said is not None:
                answer = said
            elif line.strip():
                strays += 1
        if strays:  # how many and not what: a library may print what it works on
            log.info("%s job %s: %d stray lines ignored", self.job.kind, self.job.job_id, strays)
        ending = await launched.ending()
        if ending == PAST_DEADLINE:
            return self._too_long()
        if ending is not None:
            return Crash(f"the process ended with {ending}")
        return answer or Crash("the process ended without an answer")

    def _too_long(self) -> Refusal:
        hours = self._deadline.total_seconds() / 3600
        return Refusal(refused=f"{self.job.kind} took longer than its deadline of {hours:.3g} hours")

    def _hear(self, progress: JobProgress) -> None:
        self._progressed[self.job.job_id] = time.monotonic()
        self._is_silent = False
        self._untold.append(progress)
        self._news.set()

    async def _tell(self) -> None:
        """Beside the listening, so that a slow broker does not hold up the job."""
        while not self._is_over or self._untold:
            await self._news.wait()
            self._news.clear()
            while self._untold:
                progress = self._untold.popleft()
                try:
                    await self._on_progress(self.job, progress)
                except Exception as error:  # watchers see it late or never; the work itself needs no watcher
                    log.warning("%s job %s: progress not told: %r", self.job.kind, self.job.job_id, error)

    async def _renew_lease(self) -> None:
        while True:
            await asyncio.sleep(LEASE.total_seconds() / 3)
            self._note_silence()
            try:
                await self._renew_once()
            except TakenOver:
                raise
            except Exception as error:  # if this goes on, the lease runs out and another owner may take over
                log.warning("%s job %s: lease not renewed: %r", self.job.kind, self.job.job_id, error)

    async def _renew_once(self) -> None:
        stored = await self._table.get(self.job.job_id)
        if stored is not None and stored.state is not JobState.WANTED:
            self._is_over_elsewhere = True
            raise TakenOver
        if stored is None or stored.lease_owner != self.job.lease_owner:
            raise TakenOver
        self.job = replace(self.job, lease_until=now() + LEASE, revision=stored.revision + 1)
        await self._table.keep(self.job)

    def _note_silence(self) -> None:
        silent_seconds = time.monotonic() - self._progressed[self.job.job_id]
        if silent_seconds > SILENT_SECONDS and not self._is_silent:
            self._is_silent = True
            log.warning(
                "%s job %s has reported nothing for %.0f s; its deadline is %s",
                self.job.kind, self.job.job_id, silent_seconds, self.job.deadline,
            )  # fmt: skip
