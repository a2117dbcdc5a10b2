"""A piece of work and how far it has come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


class JobState(StrEnum):
    WANTED = "wanted"
    FINISHED = "finished"  # it has a result; its events may not have been published yet
    PUBLISHED = "published"


@dataclass(frozen=True)
class Job:
    """One piece of work. `task` is all its process is told, `result` all it answers, both JSON objects."""

    job_id: str
    kind: str
    workload: str
    """Whose work it is: jobs of one workload run one after the other, where its partition is owned. Empty for
    a job that version 0.1 wanted."""
    task: Mapping[str, Any]
    wanted_at: datetime
    state: JobState = JobState.WANTED
    attempts: int = 0
    result: Mapping[str, Any] | None = None
    error: str | None = None
    """Why there is no result: the work failed for good. A job has either a result or an error."""
    lease_owner: str = ""
    lease_until: datetime | None = None
    """Until then the owner may be taken to be at work; it renews the lease while it is."""
    deadline: datetime | None = None
    """When the attempt under way has taken too long."""
    gpus: tuple[str, ...] = ()
    """Those of its owner's host that the attempt under way has, by the names that CUDA gives them."""
    revision: int = 0

    def leased_elsewhere(self, owner: str, at: datetime) -> bool:
        """Whether somebody else is at work on it."""
        return self.lease_owner not in ("", owner) and self.lease_until is not None and self.lease_until > at
