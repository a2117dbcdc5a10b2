"""An answer goes on record before it is given. When the disk takes no record, the answer comes first.

What is given without a record says so: it has another kind of id, under which nothing can be said of it.
"""

from __future__ import annotations

import logging
import time

from services.model_gateway import refusals
from services.model_gateway.answer import UNRECORDED, Answer
from services.model_gateway.metrics import Metrics
from shared.events import PredictionLogged
from shared.events.envelope import record
from shared.outbox import NotRecorded, Outbox

SOURCE = "model_gateway"
ALARM_SECONDS = 10.0

log = logging.getLogger(__name__)


class Recording:
    """`must_record`: rather no answer than one that is not on record."""

    def __init__(self, outbox: Outbox, metrics: Metrics, *, must_record: bool) -> None:
        self._outbox, self._metrics, self._must_record = outbox, metrics, must_record
        self._said_at = -ALARM_SECONDS

    async def recorded(self, prediction: PredictionLogged) -> PredictionLogged:
        """The prediction, under another id if it is not on record. Raises Problem."""
        try:
            await self._outbox.append([record(prediction, SOURCE)])
        except NotRecorded as error:
            self._alarm(error)
            if self._must_record:
                raise refusals.not_recorded() from error
            self._metrics.unrecorded.labels(prediction.workload).inc()
            return prediction.model_copy(update={"prediction_id": UNRECORDED + prediction.prediction_id})
        return prediction

    def _alarm(self, error: NotRecorded) -> None:
        if time.monotonic() - self._said_at >= ALARM_SECONDS:
            self._said_at = time.monotonic()
            given = "refused" if self._must_record else "given without a record"
            log.error("answers are %s: %s. Make room on the disk, or see why Kafka takes none", given, error)


def recorded_headers(answer: Answer) -> dict[str, str]:
    """Under which id feedback may be given on the answer, or that there is none."""
    if answer.is_recorded:
        return {"x-tuneloop-prediction-id": answer.prediction_id}
    return {"x-tuneloop-recorded": "no"}
