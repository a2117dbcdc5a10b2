"""Carries a job out: attempts under a lease until there is an answer, which is stored and then published."""

from __future__ import annotations

import asyncio
import logging
import random
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from shared.backoff import pause_seconds
from shared.events.envelope import now
from shared.job_launcher import Launcher
from shared.job_protocol import Order, Refusal, Result
from shared.jobs.attempt import LEASE, Attempt, Crash, OnProgress, TakenOver
from shared.jobs.gpus import leased_by_others
from shared.jobs.job import Job, JobState
from shared.jobs.limits import JobLimits
from shared.jobs.table import JobTable

MOST_ATTEMPTS = 3
MOST_STARTS = 10
"""A job that was begun so often and never came to an end, not even a crash, takes its service down."""
RETRY_SECONDS = 2.0  # after the first crash, and as much more after each further one
GIVING_BACK_SECONDS = 3.0
APART_SECONDS = 1.0
"""Within it two processes that took the same GPU look again, by chance one of them sooner."""
log = logging.getLogger(__name__)

OnDone = Callable[[Job], Awaitable[None]]


class GpuTaken(Exception):
    """Another process of this host has leased a GPU that this one took at the same moment."""


class JobExecution:
    """`owner` names this process in leases. `pauses` is job id → when one that failed may be tried again."""

    def __init__(
        self,
        table: JobTable,
        launcher: Launcher,
        folder: Path,
        limits: JobLimits,
        progressed: dict[str, float],
        on_progress: OnProgress,
        on_done: OnDone,
        owner: str,
    ) -> None:
        self.owner = owner
        self.pauses: dict[str, datetime] = {}
        self._table, self._launcher, self._folder, self._limits = table, launcher, folder, limits
        self._progressed, self._on_progress, self._on_done = progressed, on_progress, on_done
        self._attempts: dict[str, Attempt] = {}
        self._ending = asyncio.Lock()  # a job is answered or cancelled here, never both
        self._failures: dict[str, int] = {}

    async def cancel(self, job_id: str, why: str) -> None:
        """Stores `why` as its error, unless it is over, and ends its process at once if it runs here."""
        async with self._ending:
            is_cancelled = await self._table.cancel(job_id, why)
        if is_cancelled and (attempt := self._attempts.get(job_id)) is not None:
            attempt.cancel(why)

    async def carry_out(self, job: Job) -> None:
        try:
            if job.state is JobState.WANTED:
                job = await self._run(job)
            if job.state is JobState.FINISHED:
                await self._on_done(job)
                await self._table.keep(replace(job, state=JobState.PUBLISHED, revision=job.revision + 1))
                await asyncio.to_thread(shutil.rmtree, self._folder / job.job_id, ignore_errors=True)
            self._failures.pop(job.job_id, None)
        except TakenOver:
            log.warning("%s job %s: another process has taken it over", job.kind, job.job_id)
        except GpuTaken:
            self.pauses[job.job_id] = now() + timedelta(seconds=random.uniform(0, APART_SECONDS))
            log.info("%s job %s: another process was given its GPU too; again soon", job.kind, job.job_id)
        except Exception as error:
            failures = self._failures[job.job_id] = self._failures.get(job.job_id, 0) + 1
            pause = pause_seconds(failures)
            self.pauses[job.job_id] = now() + timedelta(seconds=pause)
            log.warning(
                "%s job %s cannot go on: %r; again in %.1f s",
                job.kind, job.job_id, error, pause, exc_info=failures in (1, 10),
            )  # fmt: skip

    async def _run(self, job: Job) -> Job:
        if job.attempts >= MOST_STARTS:
            return await self._finish(
                job, Refusal(refused=f"{job.kind} was begun {job.attempts} times and never came to an end")
            )
        deadline = self._limits.deadline_of(job.kind)
        job = replace(
            job,
            attempts=job.attempts + 1,
            lease_owner=self.owner,
            lease_until=now() + LEASE,
            deadline=now() + deadline,
            revision=job.revision + 1,
        )
        folder = str(self._folder / job.job_id)
        order = Order(
            job_id=job.job_id, kind=job.kind, task=dict(job.task), folder=folder, gpus=list(job.gpus)
        )
        attempt = self._attempts[job.job_id] = Attempt(
            job, order, deadline, self._launcher, self._table, self._on_progress, self._progressed
        )
        try:
            # Whoever cancels it from now on finds the attempt; whoever did before has written it down.
            if (stored := await self._table.get(job.job_id)) and stored.state is not JobState.WANTED:
                return stored
            await self._table.keep(job)
            await self._has_its_gpus_alone(job)
            answer = await attempt.answer()
        except TakenOver:
            raise
        except BaseException:
            await self._give_back(attempt.job)
            raise
        finally:
            del self._attempts[job.job_id]
        if not isinstance(answer, Crash):
            job = await self._finish(attempt.job, answer)
            await attempt.clear_away()
            return job
        await attempt.clear_away()
        return await self._crashed(attempt.job, answer.reason)

    async def _has_its_gpus_alone(self, job: Job) -> None:
        """To be called once its lease is written: of two that took the same GPU the later one finds out, or
        both do, and whoever does gives back. Raises GpuTaken.
        """
        if job.gpus and leased_by_others(await self._table.unpublished(), self.owner, now()) & {*job.gpus}:
            raise GpuTaken

    async def _finish(self, job: Job, answer: Result | Refusal) -> Job:
        """Stores the answer, unless there is one, of another process or of who cancelled it: then that one
        counts.
        """
        async with self._ending:
            stored = await self._table.get(job.job_id)
            if stored is not None and stored.state is not JobState.WANTED:
                return stored
            finished = replace(
                job,
                state=JobState.FINISHED,
                result=answer.result if isinstance(answer, Result) else None,
                error=answer.refused if isinstance(answer, Refusal) else None,
                revision=max(job.revision, stored.revision if stored else 0) + 1,
            )
            await self._table.keep(finished)
            return finished

    async def _crashed(self, job: Job, reason: str) -> Job:
        if job.attempts >= MOST_ATTEMPTS:
            return await self._finish(
                job, Refusal(refused=f"{job.kind} failed {job.attempts} times: {reason}")
            )
        log.warning("%s job %s: %s; starting it again", job.kind, job.job_id, reason)
        self.pauses[job.job_id] = now() + timedelta(seconds=RETRY_SECONDS * job.attempts)
        await self._table.keep(replace(job, lease_until=None, revision=job.revision + 1))
        return job

    async def _give_back(self, job: Job) -> None:
        """An attempt that was cut short in good order counts for nothing, and a successor need not wait."""
        given_back = replace(
            job, attempts=job.attempts - 1, lease_owner="", lease_until=None, revision=job.revision + 1
        )
        try:
            async with asyncio.timeout(GIVING_BACK_SECONDS):
                await self._table.keep(given_back)
        except Exception as error:
            log.warning("%s job %s: its lease was not given back: %r", job.kind, job.job_id, error)
