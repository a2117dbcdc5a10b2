"""What operators watch: requests, latency, the model server's part, the journal, the flips."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from services.model_gateway.journal import Journal

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 30.0)


class Metrics:
    def __init__(self, registry: CollectorRegistry, journal: Journal) -> None:
        self.requests = Counter(
            "tuneloop_gateway_requests", "Requests for an answer", ("workload", "status"), registry=registry
        )
        self.request_seconds = Histogram(
            "tuneloop_gateway_request_seconds",
            "From the whole request to its answer",
            ("workload",),
            registry=registry,
            buckets=_SECONDS,
        )
        self.model_seconds = Histogram(
            "tuneloop_gateway_model_seconds",
            "The model server's part of a request",
            ("workload",),
            registry=registry,
            buckets=_SECONDS,
        )
        self.flips = Counter(
            "tuneloop_gateway_flips",
            "What became of a flag: flipped, refused (its files are not what the event says), or late",
            ("workload", "outcome"),
            registry=registry,
        )
        self.flip_seconds = Histogram(
            "tuneloop_gateway_flip_seconds",
            "From hearing of a champion to its first possible answer",
            ("workload",),
            registry=registry,
            buckets=_SECONDS,
        )
        backlog = Gauge(
            "tuneloop_gateway_journal_backlog_bytes", "Records not yet in Kafka", registry=registry
        )
        backlog.set_function(lambda: journal.backlog_bytes)
