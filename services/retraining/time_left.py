"""Since when the pace of each phase counts."""

from __future__ import annotations

from dataclasses import dataclass, field

from shared.job_protocol.lines import JobProgress
from shared.time_left import Mark, seconds_left


@dataclass
class TimeLeft:
    """Adds to each progress how long the phase will take still.

    What was done before this attempt took time in another, and the first step takes what loading takes: the
    pace is that since the first that this attempt did.
    """

    _first: dict[str, Mark] = field(default_factory=dict)

    def added(self, progress: JobProgress, at: float) -> JobProgress:
        mark = Mark(progress.done, at)
        if progress.done == 0 or progress.waits_since is not None:
            return progress
        first = self._first.setdefault(progress.phase, mark)
        return progress.model_copy(update={"seconds_left": seconds_left(first, mark, progress.total)})
