"""Which GPUs of its host a job gets: those that no lease names, each to one job at a time."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from shared.jobs.job import Job, JobState


class TooFewGpus(Exception):
    """A job is to get more GPUs than this host has. Says which setting to change."""


@dataclass(frozen=True)
class Gpus:
    """The GPUs of a host, by the names CUDA gives them, and how many a job of each kind gets.

    Without any a job gets none, and takes what it finds: the cores, or what Kubernetes gave its pod.
    """

    here: tuple[str, ...] = ()
    each: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raises TooFewGpus."""
        most = max(self.each.values(), default=0)
        if self.here and most > len(self.here):
            raise TooFewGpus(
                f"a run is to have {most} GPUs, and there are {len(self.here)} here. "
                "Lower RETRAINING_GPUS_PER_RUN."
            )

    def at_once(self) -> int:
        """How many jobs of the kind that takes most fit here beside each other; one where there are none."""
        most = max(self.each.values(), default=0)
        return max(1, len(self.here) // most) if most else 1

    def given(self, kind: str, taken: Collection[str]) -> tuple[str, ...] | None:
        """Those that a job gets now, none if it needs none; None if too few are free."""
        wanted = self.each.get(kind, 0) if self.here else 0
        free = [gpu for gpu in self.here if gpu not in taken]
        return tuple(free[:wanted]) if wanted <= len(free) else None


def leased_by_others(jobs: Iterable[Job], owner: str, at: datetime) -> set[str]:
    """GPUs of this host that jobs of other processes have. An owner is named by host and folder."""
    host = owner.partition(":")[0]
    return {
        gpu
        for job in jobs
        if job.state is JobState.WANTED
        and job.leased_elsewhere(owner, at)
        and job.lease_owner.partition(":")[0] == host
        for gpu in job.gpus
    }
