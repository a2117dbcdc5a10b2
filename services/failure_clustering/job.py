"""Groups a cycle's failures, as a child process: `python -m services.failure_clustering.job`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from typing import Any

from services.failure_clustering.clustering import Clustering
from services.failure_clustering.store import FailureStore
from services.failure_clustering.task import Task
from shared.addresses import Addresses
from shared.clickhouse import connect
from shared.files import JOB_PATIENCE_SECONDS, Files
from shared.job_protocol import JobProgress, Order, Report, run_job


def work(order: Order, report: Report) -> Mapping[str, Any]:
    """Does what a task says."""
    return asyncio.run(_cluster(Task.read(order.task), Addresses(), report))


async def _cluster(task: Task, addresses: Addresses, report: Report) -> dict[str, Any]:
    files = Files(
        addresses.files_uri, addresses.state_folder / "cache", patience_seconds=JOB_PATIENCE_SECONDS
    )
    clickhouse = await connect(addresses.clickhouse_url)

    def progress(phase: str, done: int, total: int) -> None:
        report(JobProgress(phase=phase, done=done, total=total))

    try:
        clustered = await Clustering(task, files, FailureStore(clickhouse), progress).run()
    finally:
        await clickhouse.close()
    return clustered.model_dump(mode="json")


if __name__ == "__main__":
    sys.exit(run_job(work))
