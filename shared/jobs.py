"""Work that takes longer than a second: a child process whose state is a row.

A killed child is started again and resumes from its own scratch folder; a killed service finds its unfinished
jobs in the table. What a finished job has to publish is published again until it is marked so.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from shared.clickhouse import ClickHouse
from shared.events.envelope import now

MOST_ATTEMPTS = 3
RETRY_SECONDS = 2.0  # after the first crash, and as much more after each further one
log = logging.getLogger(__name__)


class JobState(StrEnum):
    WANTED = "wanted"
    FINISHED = "finished"  # it has a result; its events may not have been published yet
    PUBLISHED = "published"


@dataclass(frozen=True)
class Job:
    """One piece of work. `task` is all the child is told, `result` all it answers, both JSON objects."""

    job_id: str
    kind: str
    task: Mapping[str, Any]
    state: JobState = JobState.WANTED
    attempts: int = 0
    result: Mapping[str, Any] | None = None
    error: str | None = None
    """Why there is no result: the child failed for good. A job has either a result or an error."""
    revision: int = 0


Progress = Callable[[Job, Mapping[str, Any]], Awaitable[None]]
Done = Callable[[Job], Awaitable[None]]


class JobTable:
    """A service's jobs in its own table `<service>_jobs`."""

    def __init__(self, clickhouse: ClickHouse, service: str) -> None:
        self._clickhouse, self._table = clickhouse, f"{service}_jobs"

    async def want(self, job_id: str, kind: str, task: Mapping[str, Any]) -> None:
        """Adds a job. Wanting the same id again changes nothing."""
        if not await self._clickhouse.rows(
            f"SELECT 1 FROM {self._table} WHERE job_id = {{job_id:String}} LIMIT 1", job_id=job_id
        ):
            await self.keep(Job(job_id, kind, task))

    async def unpublished(self) -> list[Job]:
        rows = await self._clickhouse.rows(
            f"SELECT * FROM {self._table} FINAL WHERE state != 'published' ORDER BY changed_at, job_id"
        )
        return [
            Job(
                row["job_id"], row["kind"], json.loads(row["task"]), JobState(row["state"]), row["attempts"],
                json.loads(row["result"]) if row["result"] else None, row["error"] or None, row["revision"],
            )
            for row in rows
        ]  # fmt: skip

    async def keep(self, job: Job) -> None:
        row = {
            "job_id": job.job_id,
            "kind": job.kind,
            "task": json.dumps(job.task),
            "state": job.state.value,
            "attempts": job.attempts,
            "result": "" if job.result is None else json.dumps(job.result),
            "error": job.error or "",
            "revision": job.revision,
            "changed_at": now(),
        }
        await self._clickhouse.insert(self._table, [row])


class JobRunner:
    """Runs a service's jobs one after the other, each as `python -m services.<service>.job`.

    The child reads {"kind", "task", "folder"} as JSON from its standard input and writes JSON lines:
    {"progress": {…}} any number of times and {"result": {…}} once at the end. {"refused": "reason"} instead
    means that trying again would not help; so do three crashes. What the child writes to standard error
    appears as it is.
    """

    def __init__(
        self, table: JobTable, service: str, folder: Path, on_progress: Progress, on_done: Done
    ) -> None:
        self._table, self._service, self._folder = table, service, folder
        self._on_progress, self._on_done = on_progress, on_done
        self._wake = asyncio.Event()

    async def want(self, job_id: str, kind: str, task: Mapping[str, Any]) -> None:
        await self._table.want(job_id, kind, task)
        self._wake.set()

    async def run_for_ever(self) -> None:
        """Runs what is wanted, publishes what is finished, and waits for more."""
        while True:
            self._wake.clear()
            for job in await self._table.unpublished():
                if job.state is JobState.WANTED:
                    job = await self._run(job)
                if job.state is JobState.FINISHED:
                    await self._on_done(job)
                    await self._table.keep(replace(job, state=JobState.PUBLISHED, revision=job.revision + 1))
            try:
                await asyncio.wait_for(self._wake.wait(), timeout=5)
            except TimeoutError:
                continue

    async def _run(self, job: Job) -> Job:
        job = replace(job, attempts=job.attempts + 1, revision=job.revision + 1)
        await self._table.keep(job)
        folder = self._folder / job.job_id
        folder.mkdir(parents=True, exist_ok=True)
        answer = await self._child({"kind": job.kind, "task": job.task, "folder": str(folder)}, job)
        if "result" in answer:
            job = replace(job, state=JobState.FINISHED, result=answer["result"])
        elif "refused" in answer:
            job = replace(job, state=JobState.FINISHED, error=str(answer["refused"]))
        elif job.attempts >= MOST_ATTEMPTS:
            job = replace(
                job,
                state=JobState.FINISHED,
                error=f"{job.kind} failed {job.attempts} times: {answer['crash']}",
            )
        else:
            log.warning("%s job %s: %s; starting it again", self._service, job.job_id, answer["crash"])
            await asyncio.sleep(RETRY_SECONDS * job.attempts)
        job = replace(job, revision=job.revision + 1)
        await self._table.keep(job)
        self._wake.set()
        return job

    async def _child(self, order: Mapping[str, Any], job: Job) -> Mapping[str, Any]:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", f"services.{self._service}.job",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=1 << 26,
            preexec_fn=_dies_with_parent,
        )  # fmt: skip
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            child.stdin.write(json.dumps(order).encode())
            await child.stdin.drain()
            child.stdin.close()
            answer: Mapping[str, Any] | None = None
            async for line in child.stdout:
                said = json.loads(line)
                if "progress" in said:
                    await self._on_progress(job, said["progress"])
                else:
                    answer = said
            code = await child.wait()
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()
        if answer is not None and code == 0:
            return answer
        return {"crash": f"the process ended with {_ending(code)}"}


def _ending(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def _dies_with_parent() -> None:
    """Asks Linux to kill the child when the service dies, however it dies; and lets live traffic go first."""
    import ctypes

    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
    os.nice(10)
