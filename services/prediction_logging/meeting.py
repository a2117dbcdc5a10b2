"""Feedback and its prediction come in either order, and some feedback never meets one.

Whoever stores first and then looks for the other side cannot miss it: of two that come at once, at least one
sees the other.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import IntEnum

from services.prediction_logging.first_writes import Key
from shared.events import FeedbackGiven


class State(IntEnum):
    """The highest that was ever noted holds."""

    WAITING = 0
    ELSEWHERE = 1  # the prediction of that id is another workload's
    MET = 2


@dataclass(frozen=True)
class Waiting:
    """Feedback whose prediction was not here when it came."""

    prediction_id: str
    workload: str
    feedback_id: str
    is_negative: bool
    given_at: datetime
    state: State = State.WAITING
    elsewhere: str = ""
    """The workload that has a prediction of that id."""

    @property
    def key(self) -> Key:
        return self.workload, self.prediction_id

    @classmethod
    def of(cls, event: FeedbackGiven, elsewhere: str | None) -> Waiting:
        return cls(
            prediction_id=event.prediction_id,
            workload=event.workload,
            feedback_id=event.feedback_id,
            is_negative=event.is_negative,
            given_at=event.given_at,
            state=State.ELSEWHERE if elsewhere else State.WAITING,
            elsewhere=elsewhere or "",
        )


def met(waiting: Iterable[Waiting], here: Collection[Key]) -> list[Waiting]:
    """Those whose predictions are here, noted so."""
    return [replace(one, state=State.MET) for one in waiting if one.key in here]


def found_elsewhere(waiting: Iterable[Waiting], workload_of: Mapping[str, str]) -> list[Waiting]:
    """Those whose ids are other workloads' (id → workload), noted so."""
    return [
        replace(one, state=State.ELSEWHERE, elsewhere=workload_of[one.prediction_id])
        for one in waiting
        if workload_of.get(one.prediction_id, one.workload) != one.workload
    ]
