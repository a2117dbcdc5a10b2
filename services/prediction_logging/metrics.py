"""How much is stored and flagged, and what does not fit together, by workload."""

from __future__ import annotations

from collections import Counter as Counted
from collections.abc import Iterable, Mapping, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge

from shared.consumer import ConsumerRecord, Invalid
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
        self._conflicts = Counter(
            "tuneloop_prediction_conflicts",
            "Predictions whose id had another content before",
            ("workload",),
            registry=registry,
        )
        self._unmatched = Gauge(
            "tuneloop_feedback_unmatched", "Feedback without a prediction", ("workload",), registry=registry
        )
        self._audited_until = Gauge(
            "tuneloop_predictions_audited_until_seconds",
            "Unix time up to which arrivals are audited",
            registry=registry,
        )

    def count_predictions(self, consumed: Sequence[ConsumerRecord[PredictionLogged]]) -> None:
        for workload, count in Counted([one.event.workload for one in consumed]).items():
            self._predictions.labels(workload).inc(count)

    def count_flags(self, flags: Iterable[PredictionFlagged]) -> None:
        for (workload, reason), count in Counted(
            (flag.workload, flag.reason.value) for flag in flags
        ).items():
            self._flags.labels(workload, reason).inc(count)

    def count_conflicts(self, conflicts: Iterable[Invalid]) -> None:
        for one in conflicts:
            self.count_conflict(one.consumed.event.workload)

    def count_conflict(self, workload: str) -> None:
        self._conflicts.labels(workload).inc()

    def show_unmatched(self, unmatched: Mapping[str, int]) -> None:
        """By workload; one that is not named has none."""
        self._unmatched.clear()
        for workload, count in unmatched.items():
            self._unmatched.labels(workload).set(count)

    def show_audited(self, until_ns: int) -> None:
        self._audited_until.set(until_ns / 1e9)
