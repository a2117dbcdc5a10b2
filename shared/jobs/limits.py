"""What an operator says of a service's jobs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from shared.jobs.gpus import Gpus
from shared.jobs.next_jobs import NO_GPUS


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
