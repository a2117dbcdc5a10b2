"""Runs a service's jobs: begins them, starts crashed ones again, and publishes what has come of them.

A killed process is started again and resumes from its own scratch folder; a killed service finds its
unfinished jobs in the table. What a finished job has to publish is published again until it is marked so.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import socket
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from shared.backoff import pause_seconds
from shared.events.envelope import now
from shared.job_launcher import Launcher
from shared.job_protocol import Order, Refusal, Result
from shared.jobs.attempt import LEASE, Attempt, Crash, OnProgress, TakenOver
from shared.jobs.gpus import Gpus, leased_by_others
from shared.jobs.job import Job, JobState
from shared.jobs.metrics import JobMetrics
from shared.jobs.next_jobs import NO_GPUS, next_jobs
from shared.jobs.table import JobTable
from shared.service import ServiceContext

MOST_ATTEMPTS = 3
MOST_STARTS = 10
"""A job that was begun so often and never came to an end, not even a crash, takes its service down."""
RETRY_SECONDS = 2.0  # after the first crash, and as much more after each further one
GIVING_BACK_SECONDS = 3.0
HAND_OVER = timedelta(seconds=15)
"""For so long a job runs on whose partition was taken away. Often it comes back at once, as when Kafka was
restarted, and until then the lease keeps others off."""
log = logging.getLogger(__name__)

OnDone = Callable[[Job], Awaitable[None]]


@dataclass(frozen=True)
class JobLimits:
    """What an operator may set: how many jobs run at once, and how long one attempt may take, by kind."""

    at_once: int
    deadlines: Mapping[str, timedelta]
    gpus: Gpus = NO_GPUS
    """Of this host, each for one job at a time."""

    def deadline_of(self, kind: str) -> timedelta:
        """A kind that is not known, wanted by another version of the service, gets the longest."""
        return self.deadlines.get(kind) or max(self.deadlines.values())


@dataclass(frozen=True)
class _UnderWay:
    workload: str
    gpus: tuple[str, ...]
    task: asyncio.Task[None]


class JobRunner:
    """Runs the jobs of those workloads whose Kafka partition this process owns (`owns`).

    The lease in a job's row says who is at work on it. ClickHouse has no compare-and-set, so the lease alone
    excludes nobody: the partition's ownership does, and around a rebalance, or after a pause of a whole
    machine, two may be at work on one job for a while. That is harmless: ids derive from causes, so what both
    publish is the same event, and whoever finds an answer stored already goes on with that one.
    """

    def __init__(
        self,
        table: JobTable,
        launcher: Launcher,
        folder: Path,
        limits: JobLimits,
        metrics: JobMetrics,
        on_progress: OnProgress,
        on_done: OnDone,
        owns: Callable[[str], bool] = lambda workload: True,
        owner: str = "",
    ) -> None:
        """`owner` names this process in leases: by the same name, once started again, it waits for none."""
        self._table, self._launcher, self._folder, self._limits = table, launcher, folder, limits
        self._metrics, self._on_progress, self._on_done, self._owns = metrics, on_progress, on_done, owns
        self._owner = owner or f"{socket.gethostname()}:{folder}"
        self._wake = asyncio.Event()
        self._under_way: dict[str, _UnderWay] = {}
        self._attempts: dict[str, Attempt] = {}
        self._ending = asyncio.Lock()  # a job is answered or cancelled here, never both
        self._pauses: dict[str, datetime] = {}
        self._failures: dict[str, int] = {}
        self._lost: dict[str, datetime] = {}
        """Job id → since when its workload is no longer ours, for what is under way."""

    async def submit(self, job_id: str, kind: str, workload: str, task: Mapping[str, Any]) -> None:
        """Adds a job, once; the jobs of a workload run in the order in which they were submitted."""
        await self._table.submit(job_id, kind, workload, task)
        self.look_again()

    async def cancel(self, job_id: str, why: str) -> None:
        """Ends a job with `why` as its error, and its process at once if it runs here.

        Where another process is at work on it, that one notices when it renews its lease. A job that is over,
        or that nobody has submitted, stays as it is.
        """
        async with self._ending:
            is_cancelled = await self._table.cancel(job_id, why)
        if is_cancelled and (attempt := self._attempts.get(job_id)) is not None:
            attempt.cancel(why)
        self.look_again()

    def look_again(self) -> None:
        """To be called when this process owns other partitions than before."""
        self._wake.set()

    async def run_for_ever(self) -> None:
        """Looks at the table when there is news, or when a lease or a pause ends. Gives all up in the end."""
        failures = 0
        try:
            while True:
                self._wake.clear()
                try:
                    pause = await self._look()
                    failures = 0
                except Exception as error:  # what runs goes on: only the table could not be read
                    failures += 1
                    pause = pause_seconds(failures)
                    log.warning("the table of jobs cannot be read: %r; again in %.1f s", error, pause)
                try:
                    async with asyncio.timeout(pause):
                        await self._wake.wait()
                except TimeoutError:
                    continue
        finally:
            await self._give_up(set(self._under_way))

    async def _look(self) -> float | None:
        """Begins what can begin; gives the seconds to the next look, None if only news matters."""
        await self._give_up(self._handed_over(now()))
        under_way = {key: one.workload for key, one in self._under_way.items()}
        everybodys = await self._table.unpublished()
        jobs = [job for job in everybodys if self._owns(job.workload)]
        # What ended while the table was read may still stand in it as it was: that counts as under way, too.
        under_way |= {key: one.workload for key, one in self._under_way.items()}
        at = now()
        following = next_jobs(
            jobs,
            under_way,
            self._pauses,
            self._limits.at_once,
            self._owner,
            at,
            self._limits.gpus,
            ours={gpu for one in self._under_way.values() for gpu in one.gpus},
            theirs=leased_by_others(everybodys, self._owner, at),
        )
        for job in following.begin:
            task = asyncio.create_task(self._carry_out(job))
            task.add_done_callback(partial(self._ended, job.job_id))
            self._under_way[job.job_id] = _UnderWay(job.workload, job.gpus, task)
        self._metrics.waiting.set(sum(job.job_id not in self._under_way for job in jobs))
        moments = [since + HAND_OVER for since in self._lost.values()]
        if following.look_at is not None:
            moments.append(following.look_at)
        return max(0.0, (min(moments) - at).total_seconds()) if moments else None

    def _handed_over(self, at: datetime) -> set[str]:
        """What is under way and has been somebody else's for long enough."""
        for job_id, one in self._under_way.items():
            if self._owns(one.workload):
                self._lost.pop(job_id, None)
            else:
                self._lost.setdefault(job_id, at)
        return {job_id for job_id, since in self._lost.items() if at - since >= HAND_OVER}

    async def _give_up(self, job_ids: Collection[str]) -> None:
        tasks = [self._under_way[job_id].task for job_id in job_ids]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _carry_out(self, job: Job) -> None:
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
        except Exception as error:
            failures = self._failures[job.job_id] = self._failures.get(job.job_id, 0) + 1
            pause = pause_seconds(failures)
            self._pauses[job.job_id] = now() + timedelta(seconds=pause)
            log.warning(
                "%s job %s cannot go on: %r; again in %.1f s",
                job.kind, job.job_id, error, pause, exc_info=failures in (1, 10),
            )  # fmt: skip

    def _ended(self, job_id: str, _: asyncio.Task[None]) -> None:
        del self._under_way[job_id]
        self._lost.pop(job_id, None)
        self._wake.set()

    async def _run(self, job: Job) -> Job:
        if job.attempts >= MOST_STARTS:
            return await self._finish(
                job, Refusal(refused=f"{job.kind} was begun {job.attempts} times and never came to an end")
            )
        deadline = self._limits.deadline_of(job.kind)
        job = replace(
            job,
            attempts=job.attempts + 1,
            lease_owner=self._owner,
            lease_until=now() + LEASE,
            deadline=now() + deadline,
            revision=job.revision + 1,
        )
        folder = str(self._folder / job.job_id)
        order = Order(
            job_id=job.job_id, kind=job.kind, task=dict(job.task), folder=folder, gpus=list(job.gpus)
        )
        attempt = self._attempts[job.job_id] = Attempt(
            job, order, deadline, self._launcher, self._table, self._on_progress, self._metrics.progressed
        )
        try:
            # Whoever cancels it from now on finds the attempt; whoever did before has written it down.
            if (stored := await self._table.get(job.job_id)) and stored.state is not JobState.WANTED:
                return stored
            await self._table.keep(job)
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
        self._pauses[job.job_id] = now() + timedelta(seconds=RETRY_SECONDS * job.attempts)
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


def runner_for(
    service: str,
    context: ServiceContext,
    table: JobTable,
    launcher: Launcher,
    limits: JobLimits,
    on_progress: OnProgress,
    on_done: OnDone,
) -> JobRunner:
    """The runner of a service's jobs in its own context; it follows the partitions that the process owns."""
    runner = JobRunner(
        table,
        launcher,
        context.state_folder,
        limits,
        JobMetrics(context.registry, service),
        on_progress,
        on_done,
        owns=context.owns,
    )
    context.on_ownership_change(runner.look_again)
    return runner
