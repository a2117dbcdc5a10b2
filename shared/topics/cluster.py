"""A Kafka cluster as it answers: its brokers, and the topics there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Existing:
    """A topic of the cluster."""

    replicas: Sequence[Sequence[int]]
    """Of each partition the brokers that keep it."""
    settings: Mapping[str, str] | None = None
    """None: we may not read them."""

    @property
    def fewest_replicas(self) -> int:
        return min(map(len, self.replicas), default=0)


@dataclass(frozen=True)
class Cluster:
    brokers: frozenset[int]
    """Those that run."""
    topics: Mapping[str, Existing]

    @property
    def known_brokers(self) -> frozenset[int]:
        """Those that run, and those that keep something and do not."""
        kept = (
            broker for topic in self.topics.values() for replicas in topic.replicas for broker in replicas
        )
        return self.brokers | frozenset(kept)
