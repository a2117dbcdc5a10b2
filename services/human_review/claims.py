"""Who is looking at what right now, so that two reviewers of a workload do not judge an item unasked.

It is kept in memory only: lost, an item may be judged once more than wanted, and nothing worse.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from services.human_review.items import OpenItem


@dataclass(frozen=True)
class _Hold:
    since: datetime
    judged: bool


@dataclass
class Claims:
    """Items of one workload that were shown or judged within `lifetime`.

    A judgement counts here until the queue itself knows of it.
    """

    lifetime: timedelta
    _holds: dict[str, dict[str, _Hold]] = field(default_factory=dict)
    _cleared: datetime | None = None

    def choose(self, items: Iterable[OpenItem], reviewer: str, at: datetime) -> OpenItem | None:
        """Claims and returns the first item that still lacks a reviewer and was not shown to this one.

        When there is none, what this reviewer was shown and did not judge comes again, the longest ago first.
        """
        self._clear(at)
        shown: list[tuple[datetime, int, OpenItem]] = []
        for place, item in enumerate(items):
            holds = self._current(self._holds.get(item.prediction_id, {}), at)
            own = holds.get(reviewer)
            if reviewer in item.reviewers or (own is not None and own.judged):
                continue
            if own is not None:
                shown.append((own.since, place, item))
            elif len(item.reviewers | holds.keys()) < item.reviews_wanted:
                self._hold(item.prediction_id, reviewer, _Hold(at, judged=False))
                return item
        if not shown:
            return None
        item = min(shown)[2]
        self._hold(item.prediction_id, reviewer, _Hold(at, judged=False))
        return item

    def judged(self, prediction_id: str, reviewer: str, at: datetime) -> None:
        """This reviewer is done with the item."""
        self._hold(prediction_id, reviewer, _Hold(at, judged=True))

    def _hold(self, prediction_id: str, reviewer: str, hold: _Hold) -> None:
        self._holds.setdefault(prediction_id, {})[reviewer] = hold

    def _clear(self, at: datetime) -> None:
        if self._cleared is not None and at - self._cleared < self.lifetime / 60:
            return
        self._cleared = at
        self._holds = {
            prediction_id: current
            for prediction_id, holds in self._holds.items()
            if (current := self._current(holds, at))
        }

    def _current(self, holds: dict[str, _Hold], at: datetime) -> dict[str, _Hold]:
        return {who: hold for who, hold in holds.items() if at - hold.since < self.lifetime}
