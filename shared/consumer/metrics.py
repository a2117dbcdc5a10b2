"""What consuming says of itself, each figure once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from shared.consumer.retention import Age, retention_used

Lag = tuple[str, str, int, int]
"""Service, topic, partition, records behind."""


class ConsumerMetrics:
    """Of all services in one process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        of = ("service", "topic")
        self.consumed = Counter(
            "tuneloop_consumed_records",
            "Records that were handled or set aside, and whose offsets may be committed",
            of,
            registry=registry,
        )
        self.handler_seconds = Histogram(
            "tuneloop_handler_seconds",
            "Time that one call of a handler took, of one event or of a batch, failed calls included",
            of,
            registry=registry,
            buckets=(0.001, 0.01, 0.1, 0.5, 1, 5, 20, 60),
        )
        self.handler_failures = Counter(
            "tuneloop_handler_failures",
            "Calls of a handler that raised or took too long; their records wait and are handled again",
            of,
            registry=registry,
        )
        self.paused = Gauge(
            "tuneloop_paused_partitions",
            "Partitions handled apart from the others: they failed, or wait for a workload to be known",
            of,
            registry=registry,
        )
        self.commit_failures = Counter(
            "tuneloop_commit_failures",
            "Commits that Kafka refused or did not answer; they are tried again",
            ("service",),
            registry=registry,
        )
        self.dead_letters = Counter(
            "tuneloop_dead_letters",
            "Records set aside as invalid in <topic>-dead-letter",
            of,
            registry=registry,
        )
        self.skipped = Counter(
            "tuneloop_skipped_records",
            "Invalid records of state or of live events, without which a process went on",
            of,
            registry=registry,
        )
        self._lag = _LagCollector()
        registry.register(self._lag)

    def watch_lag(self, of: Callable[[], Iterable[Lag]]) -> None:
        """`of` is asked at every scrape."""
        self._lag.sources.append(of)

    def watch_age(self, of: Callable[[], Iterable[Age]]) -> None:
        """`of` is asked at every scrape."""
        self._lag.ages.append(of)


class _LagCollector(Collector):
    def __init__(self) -> None:
        self.sources: list[Callable[[], Iterable[Lag]]] = []
        self.ages: list[Callable[[], Iterable[Age]]] = []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        lag = GaugeMetricFamily(
            "tuneloop_consumer_lag_records",
            "Records of a partition that are not handled yet, as of the last answer from Kafka",
            labels=("service", "topic", "partition"),
        )
        for source in self.sources:
            for service, topic, partition, behind in source():
                lag.add_metric((service, topic, str(partition)), behind)
        yield lag
        oldest = GaugeMetricFamily(
            "tuneloop_consumer_oldest_record_seconds",
            "For how long the oldest record that is here has waited to be handled; 0 if none waits",
            labels=("service", "topic"),
        )
        used = GaugeMetricFamily(
            "tuneloop_consumer_retention_used",
            "The same as a share of the topic's retention: at 1 Kafka deletes what was not handled",
            labels=("service", "topic"),
        )
        for ages in self.ages:
            for service, of, seconds in ages():
                oldest.add_metric((service, of.name), seconds)
                used.add_metric((service, of.name), retention_used(of, seconds))
        yield from (oldest, used)
