"""What operators watch: requests, latency, the model server's part, the outbox, the alias switches."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from shared.outbox import Delivery

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 30.0)


class Metrics:
    def __init__(self, registry: CollectorRegistry, delivery: Delivery) -> None:
        self.requests = Counter(
            "tuneloop_gateway_requests", "Requests for an answer", ("workload", "status"), registry=registry
        )
        self.repeats = Counter(
            "tuneloop_gateway_repeated_answers",
            "Answers given again to the same request",
            ("workload",),
            registry=registry,
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
        self.switches = Counter(
            "tuneloop_gateway_alias_switches",
            "What became of a new champion: switched, refused (files, contract, signature), or late",
            ("workload", "outcome"),
            registry=registry,
        )
        self.switch_seconds = Histogram(
            "tuneloop_gateway_alias_switch_seconds",
            "From consuming a champion's event to its first possible answer",
            ("workload",),
            registry=registry,
            buckets=_SECONDS,
        )
        self.unrecorded = Counter(
            "tuneloop_gateway_unrecorded_answers",
            "Answers that were given without a record, because the outbox was full or its disk refused",
            ("workload",),
            registry=registry,
        )
        backlog = Gauge(
            "tuneloop_gateway_outbox_backlog_bytes", "Records not yet in Kafka", registry=registry
        )
        backlog.set_function(lambda: delivery.backlog_bytes)
        oldest = Gauge(
            "tuneloop_gateway_outbox_oldest_seconds",
            "How long the oldest record has waited for Kafka",
            registry=registry,
        )
        oldest.set_function(lambda: delivery.oldest_seconds)
