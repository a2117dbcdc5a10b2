"""How long a phase will take still, at its pace so far."""

from __future__ import annotations

from dataclasses import dataclass, field

from shared.job_protocol.lines import JobProgress


@dataclass(frozen=True)
class Mark:
    """So much was done at a moment, in seconds of any clock."""

    done: int
    at: float


def seconds_left(first: Mark, last: Mark, total: int) -> float | None:
    """At the mean pace between two marks; None where that is none. Never less than 0."""
    done, seconds = last.done - first.done, last.at - first.at
    if done <= 0 or seconds <= 0:
        return None
    return max(0.0, (total - last.done) * seconds / done)


@dataclass
class TimeLeft:
    """Adds to each progress how long the phase will take still.

    What was done before this attempt took time in another, and the first step takes what loading takes: the
    pace is that since the first that this attempt did.
    """

    _first: dict[str, Mark] = field(default_factory=dict)

    def added(self, progress: JobProgress, at: float) -> JobProgress:
        mark = Mark(progress.done, at)
        if progress.done == 0:
            return progress
        first = self._first.setdefault(progress.phase, mark)
        return progress.model_copy(update={"seconds_left": seconds_left(first, mark, progress.total)})
