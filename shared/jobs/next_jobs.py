"""Which jobs begin now: in the order they were submitted, one of a workload at a time, so many at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared.jobs.gpus import Gpus
from shared.jobs.job import Job, JobState

NO_GPUS = Gpus()
GLANCE = timedelta(seconds=5)
"""How often to look at a lease that is waited for: its owner may give it back, and cannot tell us."""


@dataclass(frozen=True)
class Next:
    begin: Sequence[Job]
    """Each with the GPUs that it gets."""
    look_at: datetime | None
    """When a lease runs out, a pause ends, or GPUs that somebody else has may be free. None: only news can
    change anything.
    """


def next_jobs(
    jobs: Sequence[Job],
    under_way: Mapping[str, str],
    pauses: Mapping[str, datetime],
    at_once: int,
    owner: str,
    at: datetime,
    gpus: Gpus = NO_GPUS,
    ours: Collection[str] = (),
    theirs: Collection[str] = (),
) -> Next:
    """What `owner` begins at this moment.

    `jobs` are those of the workloads it owns, in order. `under_way` is job id → workload of what it has begun
    already, `pauses` job id → when a job that failed may be tried again. A job that waits, for its pause, for
    somebody's lease or for GPUs, holds up the later ones of its workload and no others. One that has its
    answer needs no place: it is only published. Of this host's GPUs what is under way has `ours`, and jobs of
    other processes have `theirs`.
    """
    begin: list[Job] = []
    moments: list[datetime] = []
    busy, taken = set(under_way.values()), {*ours, *theirs}
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
        elif job.state is JobState.FINISHED:  # or cancelled: all that is left is to say so
            begin.append(replace(job, gpus=()))
        elif len(under_way) + len(begin) < at_once:
            given = gpus.given(job.kind, taken)
            if given is None:
                moments += [at + GLANCE] if theirs else []
                continue
            taken.update(given)
            begin.append(replace(job, gpus=given))
    return Next(begin, min(moments, default=None))
