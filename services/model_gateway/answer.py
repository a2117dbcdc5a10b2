"""An answer as it is said and held."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from shared.events import PredictionLogged

UNRECORDED = "unrecorded-"
"""Before the id of an answer that is not on record."""
BYTES_EACH = 900
BYTES_A_LABEL = 60
"""What an answer takes in memory: measured, and rounded up."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What is said of a prediction, without the text that it answers."""

    prediction_id: str
    predicted_at: datetime
    label: str
    confidence: float
    probabilities: Mapping[str, float]
    adapter: str
    tokens_in: int

    @classmethod
    def of(cls, prediction: PredictionLogged) -> Answer:
        return cls(
            prediction.prediction_id,
            prediction.predicted_at,
            prediction.answer,
            prediction.confidence,
            prediction.probabilities,
            prediction.adapter,
            prediction.tokens_in,
        )

    @property
    def is_recorded(self) -> bool:
        return not self.prediction_id.startswith(UNRECORDED)

    @property
    def bytes_held(self) -> int:
        return BYTES_EACH + BYTES_A_LABEL * len(self.probabilities)
