"""The one rule for events of a workload that this process does not know yet: wait a little, then set aside.

Topics have no order among each other, so a prediction may arrive before the workload it is of, or before the
revision it was made under; for a revision that does not come, it is judged by all that is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from shared.projections import Workloads

PATIENCE_SECONDS = 10.0
MOST_NAMES = 10_000  # remembered; one that is forgotten waits once more
REASON = "its workload is not known"


@dataclass
class UnknownWorkloads:
    """How long a record still waits for its workload; `workloads` None: this service needs to know none."""

    workloads: Workloads | None
    _first_seen: dict[tuple[str, int | None], float] = field(default_factory=dict)
    """Unknown name, or revision → when a record of it was first seen: one that never comes costs one wait."""

    def all_known(self, events: Sequence[Any]) -> bool:
        """Whether for certain none of them waits: told of many at once."""
        if self.workloads is None:
            return True
        try:
            named = _named(events)
        except AttributeError:  # events of a kind that names no revision, or no workload
            return False
        held = {name: self.workloads.get(name) for name, _ in named}
        if not all(
            (of := held[name]) is not None and (revision is None or revision <= of.revision)
            for name, revision in named
        ):
            return False
        if self._first_seen:
            for name, revision in named:
                self._came(name, revision)
        return True

    def seconds_to_wait(self, event: Any, published_at: float, now: float) -> float | None:
        """None: its workload is known. Above 0: so long it may still become known. 0: it is invalid.

        It may until ten seconds after it was published (Unix time, as `now`), and after the first record of
        that workload was seen here. So may the revision that it was made under, where that is a newer one.
        """
        name = getattr(event, "workload", None)
        if self.workloads is None or name is None:
            return None
        held, revision = self.workloads.get(name), getattr(event, "revision", None)
        if held is not None and (revision is None or revision <= held.revision):
            if self._first_seen:
                self._came(name, revision)
            return None
        waits_for = (name, None if held is None else revision)
        if waits_for not in self._first_seen and len(self._first_seen) >= MOST_NAMES:
            del self._first_seen[next(iter(self._first_seen))]
        seen = self._first_seen.setdefault(waits_for, now)
        since = max(min(published_at, now), seen)
        seconds = max(0.0, since + PATIENCE_SECONDS - now)
        return seconds if held is None or seconds else None

    def _came(self, name: str, revision: int | None) -> None:
        self._first_seen.pop((name, None), None)
        self._first_seen.pop((name, revision), None)


def _named(events: Sequence[Any]) -> set[tuple[str, int | None]]:
    """The workloads and revisions that they name: of a single workload it is told in a third of the time."""
    names = {event.workload for event in events}
    if len(names) == 1:
        revisions = {event.revision for event in events}
        return {(name, revision) for name in names for revision in revisions}
    return {(event.workload, event.revision) for event in events}
