"""Who is looking at what right now, so that two reviewers of a workload do not judge an item unasked.

It is kept in memory only: lost, an item may be judged once more than wanted, and nothing worse.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from services.human_review.items import OpenItem


@dataclass(frozen=True)
class Claimant:
    principal: str
    reviewer: str
    """The name that reviews are kept under: without keys, one principal has many."""


@dataclass(frozen=True)
class _Hold:
    since: datetime
    judged: bool = False
    lapsed: bool = False
    """It keeps the item from nobody any more: its principal went on to others."""


@dataclass
class Claims:
    """Items of one workload that were shown or judged within `lifetime`.

    A judgement counts here until the queue itself knows of it. A principal keeps at most `most_open` items
    from others, those it was shown last: whoever asks and asks leaves the others something to do.
    """

    lifetime: timedelta
    most_open: int
    _holds: dict[str, dict[str, _Hold]] = field(default_factory=dict)
    """Prediction id → reviewer → hold."""
    _open: dict[str, dict[tuple[str, str], None]] = field(default_factory=lambda: defaultdict(dict))
    """Principal → prediction and reviewer of what it holds and has not judged, the oldest first."""
    _cleared: datetime | None = None

    def choose(self, items: Iterable[OpenItem], claimant: Claimant, at: datetime) -> OpenItem | None:
        """Claims and returns the first item that still lacks a reviewer and was not shown to this one.

        When there is none, what this reviewer was shown and did not judge comes again, the longest ago first,
        unless others hold it meanwhile.
        """
        self._clear(at)
        shown: list[tuple[datetime, int, OpenItem]] = []
        for place, item in enumerate(items):
            holds = self._current(self._holds.get(item.prediction_id, {}), at)
            own = holds.pop(claimant.reviewer, None)
            if claimant.reviewer in item.reviewers or (own is not None and own.judged):
                continue
            others = {who for who, hold in holds.items() if not hold.lapsed}
            if own is not None and not own.lapsed:
                shown.append((own.since, place, item))
            elif len(item.reviewers | others) >= item.reviews_wanted:
                continue
            elif own is not None:
                shown.append((own.since, place, item))
            else:
                return self._claimed(item, claimant, at)
        return self._claimed(min(shown)[2], claimant, at) if shown else None

    def judged(self, prediction_id: str, claimant: Claimant, at: datetime) -> None:
        """This reviewer is done with the item."""
        self._hold(prediction_id, claimant, _Hold(at, judged=True))

    def _claimed(self, item: OpenItem, claimant: Claimant, at: datetime) -> OpenItem:
        self._hold(item.prediction_id, claimant, _Hold(at))
        is_open = self._open[claimant.principal]
        is_open[item.prediction_id, claimant.reviewer] = None
        if len(is_open) > self.most_open:
            prediction_id, reviewer = next(iter(is_open))
            del is_open[prediction_id, reviewer]
            holds = self._holds.get(prediction_id, {})
            if reviewer in holds:  # else it is long over
                holds[reviewer] = replace(holds[reviewer], lapsed=True)
        return item

    def _hold(self, prediction_id: str, claimant: Claimant, hold: _Hold) -> None:
        self._open[claimant.principal].pop((prediction_id, claimant.reviewer), None)
        self._holds.setdefault(prediction_id, {})[claimant.reviewer] = hold

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
