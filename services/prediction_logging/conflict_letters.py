"""The dead letter of a prediction whose id had another content before: a reference to where it stands."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from services.prediction_logging.first_writes import ANOTHER_CAME_FIRST
from shared.consumer.dead_letter import dead_letter, reference
from shared.events import PredictionLogged
from shared.events.envelope import Record

SERVICE = "prediction_logging"


@dataclass(frozen=True)
class Conflict:
    """A record with another content than the first write of its id, and where it stands in the log."""

    workload: str
    prediction_id: str
    partition: int
    offset: int


def conflict_letter(conflict: Conflict, moment: datetime) -> Record:
    """The record itself is in the topic still, at the place that the headers name."""
    where = (conflict.partition, conflict.offset, ANOTHER_CAME_FIRST, moment)
    key = conflict.prediction_id.encode()
    return reference(dead_letter(PredictionLogged.topic, SERVICE, *where, None, key))
