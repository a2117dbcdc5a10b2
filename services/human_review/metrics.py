"""What does not fit together, by workload."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Gauge


class Metrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self._unmatched = Gauge(
            "tuneloop_reviews_unmatched",
            "Reviewed predictions that were not logged within a day",
            ("workload",),
            registry=registry,
        )

    def show_unmatched(self, unmatched: Mapping[str, int]) -> None:
        """By workload. Whatever is not among them has none."""
        self._unmatched.clear()
        for workload, count in unmatched.items():
            self._unmatched.labels(workload).set(count)
