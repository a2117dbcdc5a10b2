"""What an operator sees of a service's jobs."""

from __future__ import annotations

import time
from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Gauge


class JobMetrics:
    """`progressed` holds, for each job that runs here, when it last reported (`time.monotonic`)."""

    def __init__(self, registry: CollectorRegistry, service: str) -> None:
        self.progressed: dict[str, float] = {}
        self.waiting = Gauge(
            f"tuneloop_{service}_jobs_waiting",
            "Jobs of workloads whose partition this process owns that are wanted and do not run",
            registry=registry,
        )
        running = Gauge(f"tuneloop_{service}_jobs_running", "Jobs that run", registry=registry)
        running.set_function(lambda: len(self.progressed))
        silent = Gauge(
            f"tuneloop_{service}_job_silent_seconds",
            "Since the last progress of the running job that has been silent longest; 0 when none runs. "
            "A silent job is not stopped before its deadline",
            registry=registry,
        )
        silent.set_function(lambda: _longest_silence(self.progressed))


def _longest_silence(progressed: Mapping[str, float]) -> float:
    return max((time.monotonic() - moment for moment in list(progressed.values())), default=0.0)
