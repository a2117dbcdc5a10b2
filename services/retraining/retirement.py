"""Which runs end with their workload's retirement, in whatever order both come."""

from __future__ import annotations

from collections.abc import Iterable

from shared.events import WorkloadAdded

RETIRED = "cancelled: the workload is retired"


def is_ended(revision: int, revisions: Iterable[WorkloadAdded]) -> bool:
    """Whether the workload was retired in, or after, the revision that a run goes by.

    Bringing the workload back brings back none of its runs, and those of then are not ended by a retirement
    of before, which every process reads again at its start.
    """
    return any(one.is_retired and one.revision >= revision for one in revisions)
