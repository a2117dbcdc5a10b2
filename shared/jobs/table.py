"""A service's jobs as rows of its own table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from shared.clickhouse import ClickHouse
from shared.events.envelope import now
from shared.jobs.job import Job, JobState
from shared.times import utc

NO_TIME = datetime.fromtimestamp(0, UTC)
PAST_RENEWALS = 1000
"""By so much a cancelled job's revision leaps: whoever renews its lease at that moment writes a lower one."""


class JobTable:
    """The table `<service>_jobs`. The row with the highest revision holds."""

    def __init__(self, clickhouse: ClickHouse, service: str) -> None:
        self._clickhouse, self._table = clickhouse, f"{service}_jobs"

    async def submit(self, job_id: str, kind: str, workload: str, task: Mapping[str, Any]) -> None:
        """Adds a job. Submitting the same id again changes nothing."""
        if await self.get(job_id) is None:
            await self.keep(Job(job_id, kind, workload, task, now()))

    async def get(self, job_id: str) -> Job | None:
        rows = await self._clickhouse.rows(
            f"SELECT * FROM {self._table} FINAL WHERE job_id = {{job_id:String}}", job_id=job_id
        )
        return _job(rows[0]) if rows else None

    async def cancel(self, job_id: str, why: str) -> bool:
        """Ends a job that is wanted still: `why` becomes its error. False if it was not."""
        job = await self.get(job_id)
        if job is None or job.state is not JobState.WANTED:
            return False
        revision = job.revision + PAST_RENEWALS
        await self.keep(replace(job, state=JobState.FINISHED, error=why, revision=revision))
        return True

    async def unpublished(self) -> list[Job]:
        """The jobs that are not over, in the order in which they were submitted."""
        rows = await self._clickhouse.rows(
            f"SELECT * FROM {self._table} FINAL WHERE state != 'published' ORDER BY wanted_at, job_id"
        )
        return [_job(row) for row in rows]

    async def keep(self, job: Job) -> None:
        row = {
            "job_id": job.job_id,
            "kind": job.kind,
            "workload": job.workload,
            "task": json.dumps(job.task),
            "wanted_at": job.wanted_at,
            "state": job.state.value,
            "attempts": min(job.attempts, 255),
            "result": "" if job.result is None else json.dumps(job.result),
            "error": job.error or "",
            "lease_owner": job.lease_owner,
            "lease_until": job.lease_until or NO_TIME,
            "deadline": job.deadline or NO_TIME,
            "gpus": list(job.gpus),
            "revision": job.revision,
            "changed_at": now(),
        }
        await self._clickhouse.insert(self._table, [row])


def _job(row: Mapping[str, Any]) -> Job:
    return Job(
        job_id=row["job_id"],
        kind=row["kind"],
        workload=row["workload"],
        task=json.loads(row["task"]),
        wanted_at=utc(row["wanted_at"]),
        state=JobState(row["state"]),
        attempts=row["attempts"],
        result=json.loads(row["result"]) if row["result"] else None,
        error=row["error"] or None,
        lease_owner=row["lease_owner"],
        lease_until=_moment(row["lease_until"]),
        deadline=_moment(row["deadline"]),
        gpus=tuple(row["gpus"]),
        revision=row["revision"],
    )


def _moment(stored: datetime) -> datetime | None:
    moment = utc(stored)
    return None if moment == NO_TIME else moment
