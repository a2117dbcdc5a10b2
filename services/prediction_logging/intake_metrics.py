"""What the intake was sent, and what waits for Kafka on its disk."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge

from services.prediction_logging.intake import Judged
from shared.outbox import Delivery


class IntakeMetrics:
    def __init__(self, registry: CollectorRegistry, delivery: Delivery) -> None:
        lines = Counter(
            "tuneloop_intake_lines", "Lines that apps sent", ("kind", "outcome"), registry=registry
        )
        self._good = {kind: lines.labels(kind, "good") for kind in ("prediction", "feedback")}
        self._wrong = {kind: lines.labels(kind, "wrong") for kind in ("prediction", "feedback")}
        self.refused = Counter(
            "tuneloop_intake_not_accepted",
            "Requests that neither Kafka nor the disk took for sure",
            registry=registry,
        )
        backlog = Gauge(
            "tuneloop_intake_outbox_backlog_bytes", "Records on disk that wait for Kafka", registry=registry
        )
        backlog.set_function(lambda: delivery.backlog_bytes)
        oldest = Gauge(
            "tuneloop_intake_outbox_oldest_seconds",
            "How long the oldest record has waited for Kafka",
            registry=registry,
        )
        oldest.set_function(lambda: delivery.oldest_seconds)

    def count(self, kind: str, judged: Judged) -> None:
        self._good[kind].inc(len(judged.ids))
        if judged.errors:
            self._wrong[kind].inc(len({error.line for error in judged.errors}))
