"""The dead letter of a prediction whose id had another content before: a reference to where it stands."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from services.prediction_logging.first_writes import ANOTHER_CAME_FIRST
from shared.events import PredictionLogged, derived_id
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
    """Its value is empty: the record itself is in the topic still, at the place that the headers name."""
    topic = PredictionLogged.topic
    place = (topic.name, str(conflict.partition), str(conflict.offset))
    return Record(
        topic=topic.dead_letters,
        key=conflict.prediction_id.encode(),
        value=b"",
        headers={
            "ce_id": derived_id("dead-letter", SERVICE, *place),
            "dead_letter_reason": ANOTHER_CAME_FIRST,
            "dead_letter_service": SERVICE,
            "dead_letter_topic": place[0],
            "dead_letter_partition": place[1],
            "dead_letter_offset": place[2],
            "dead_letter_truncated": "true",
            "dead_letter_at": moment.isoformat(),
        },
    )
