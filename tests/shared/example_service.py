"""A service for tests, which runs example jobs: `python -m … CLICKHOUSE_URL FOLDER`."""

import asyncio
import sys
from datetime import timedelta
from pathlib import Path

from prometheus_client import CollectorRegistry

from shared.clickhouse import ClickHouse, connect
from shared.job_launcher import ChildProcess, Launcher
from shared.job_protocol import JobProgress
from shared.jobs import Gpus, Job, JobLimits, JobMetrics, JobRunner, JobTable


class ExampleService:
    """`done` and `progress` are what the runner has told it."""

    def __init__(
        self,
        clickhouse: ClickHouse,
        folder: Path,
        *,
        at_once: int = 2,
        deadline_seconds: float = 60,
        launcher: Launcher | None = None,
        gpus: tuple[str, ...] = (),
    ) -> None:
        self.registry = CollectorRegistry()
        self.table = JobTable(clickhouse, "retraining")
        self.owned: set[str] | None = None
        """The workloads whose partition it owns; None is all of them."""
        self.done: list[Job] = []
        self.progress: list[str] = []
        self.failed_to_publish = 0
        self.cannot_publish: set[str] = set()
        self.runner = JobRunner(
            self.table,
            launcher or ChildProcess("tests.shared.example_job"),
            folder,
            JobLimits(at_once, {"example": timedelta(seconds=deadline_seconds)}, Gpus(gpus, {"example": 1})),
            JobMetrics(self.registry, "retraining"),
            self.on_progress,
            self.on_done,
            owns=lambda workload: self.owned is None or workload in self.owned,
        )

    async def on_progress(self, job: Job, progress: JobProgress) -> None:
        self.progress.append(progress.phase)

    async def on_done(self, job: Job) -> None:
        if job.job_id in self.cannot_publish:
            self.failed_to_publish += 1
            raise ConnectionError("the broker is away")
        self.done.append(job)


async def main() -> None:
    clickhouse = await connect(sys.argv[1], patience_seconds=30)
    await ExampleService(clickhouse, Path(sys.argv[2])).runner.run_for_ever()


if __name__ == "__main__":
    asyncio.run(main())
