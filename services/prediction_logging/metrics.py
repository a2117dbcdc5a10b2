"""How much is stored and flagged, by workload."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter

from shared.events import PredictionFlagged, PredictionLogged


class Metrics:
    """Counts what this process handled; a batch that comes again counts again. The tables have the truth."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._predictions = Counter(
            "tuneloop_predictions_stored", "Predictions stored", ("workload",), registry=registry
        )
        self._flags = Counter(
            "tuneloop_predictions_flagged", "Predictions flagged", ("workload", "reason"), registry=registry
        )

    def count_predictions(self, predictions: Iterable[PredictionLogged]) -> None:
        for prediction in predictions:
            self._predictions.labels(prediction.workload).inc()

    def count_flags(self, flags: Iterable[PredictionFlagged]) -> None:
        for flag in flags:
            self._flags.labels(flag.workload, flag.reason.value).inc()
