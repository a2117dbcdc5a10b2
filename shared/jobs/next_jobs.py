"""Which jobs begin now: in the order they were submitted, one of a workload at a time, so many at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.jobs.job import Job

GLANCE = timedelta(seconds=5)
"""How often to look at a lease that is waited for: its owner may give it back, and cannot tell us."""


@dataclass(frozen=True)
class Next:
    begin: Sequence[Job]
    look_at: datetime | None
    """When a lease runs out or a pause ends. None: only news can change anything."""


def next_jobs(
    jobs: Sequence[Job],
    under_way: Mapping[str, str],
    pauses: Mapping[str, datetime],
    at_once: int,
    owner: str,
    at: datetime,
) -> Next:
    """What `owner` begins at this moment.

    `jobs` are those of the workloads it owns, in order. `under_way` is job id → workload of what it has begun
    already, `pauses` job id → when a job that failed may be tried again. A job that waits, for its pause or
    for somebody's lease, holds up the later ones of its workload and no others.
    """
    begin: list[Job] = []
    moments: list[datetime] = []
    busy = set(under_way.values())
    for job in jobs:
        if job.job_id in under_way or job.workload in busy:
            continue
        busy.add(job.workload)
        pause_ends = pauses.get(job.job_id, at)
        if pause_ends > at:
            moments.append(pause_ends)
        elif job.leased_elsewhere(owner, at):
            assert job.lease_until is not None
            moments.append(min(job.lease_until, at + GLANCE))
        elif len(under_way) + len(begin) < at_once:
            begin.append(job)
    return Next(begin, min(moments, default=None))
