"""Runs a service's jobs: begins them, starts crashed ones again, and publishes what has come of them.

A killed process is started again and resumes from its own scratch folder; a killed service finds its
unfinished jobs in the table. What a finished job has to publish is published again until it is marked so.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from shared.backoff import pause_seconds
from shared.events.envelope import now
from shared.job_launcher import Launcher
from shared.jobs.attempt import OnProgress
from shared.jobs.execution import JobExecution, OnDone
from shared.jobs.gpus import leased_by_others
from shared.jobs.limits import JobLimits
from shared.jobs.metrics import JobMetrics
from shared.jobs.next_jobs import next_jobs
from shared.jobs.table import JobTable
from shared.service import ServiceContext

HAND_OVER = timedelta(seconds=15)
"""For so long a job runs on whose partition was taken away. Often it comes back at once, as when Kafka was
restarted, and until then the lease keeps others off."""
log = logging.getLogger(__name__)


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
        self._table, self._limits, self._metrics, self._owns = table, limits, metrics, owns
        self._execution = JobExecution(
            table,
            launcher,
            folder,
            limits,
            metrics.progressed,
            on_progress,
            on_done,
            owner or f"{socket.gethostname()}:{folder}",
        )
        self._wake = asyncio.Event()
        self._under_way: dict[str, _UnderWay] = {}
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
        await self._execution.cancel(job_id, why)
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
            self._execution.pauses,
            self._limits.at_once,
            self._execution.owner,
            at,
            self._limits.gpus,
            ours={gpu for one in self._under_way.values() for gpu in one.gpus},
            theirs=leased_by_others(everybodys, self._execution.owner, at),
        )
        for job in following.begin:
            task = asyncio.create_task(self._execution.carry_out(job))
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

    def _ended(self, job_id: str, _: asyncio.Task[None]) -> None:
        del self._under_way[job_id]
        self._lost.pop(job_id, None)
        self._wake.set()


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
