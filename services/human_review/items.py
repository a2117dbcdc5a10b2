"""What stands in the queue: why a prediction wants a reviewer, and what the reviewer is shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from shared.workload import Workload


class Kind(StrEnum):
    """Why a prediction is in the queue; of several reasons the strongest holds."""

    PAIR = "pair"  # champion and candidate differ on it: the evidence for or against a candidate
    DISLIKED = "disliked"
    DOUBTED = "doubted"
    AUDIT = "audit"

    @property
    def strength(self) -> int:
        return {Kind.PAIR: 4, Kind.DISLIKED: 3, Kind.DOUBTED: 2, Kind.AUDIT: 1}[self]


@dataclass(frozen=True)
class QueuedItem:
    """One reason to look at one prediction. A pair has options and hides which model said what."""

    prediction_id: str
    workload: str
    predicted_at: datetime
    kind: Kind
    options: Sequence[str]
    adapter: str
    answer: str
    confidence: float
    priority: float
    reviews_wanted: int
    queued_at: datetime


@dataclass(frozen=True)
class OpenItem:
    """An item as one reviewer may get it, with its text. `reviewers` have judged it already."""

    prediction_id: str
    predicted_at: datetime
    kind: Kind
    options: Sequence[str]
    answer: str
    confidence: float
    reviewers: frozenset[str]
    reviews_wanted: int
    text: str
    probabilities: Mapping[str, float]

    def under_present_names(self, workload: Workload) -> OpenItem:
        """With each label's name of now. What was answered with a removed label still shows it."""
        present_name = workload.present_name
        return replace(
            self,
            options=tuple(map(present_name, self.options)),
            answer=present_name(self.answer),
            probabilities={present_name(label): share for label, share in self.probabilities.items()},
        )
