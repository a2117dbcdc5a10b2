"""Which workloads a process decides about: those whose partition of the service's lead topic it is assigned.

Kafka gives each partition to one process of a service at a time, so two seldom work on one workload at once.
"Seldom": at a hand-over both may for a moment, and what they do must be harmless when it is done twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from zlib import crc32

from shared.consumer.records import Place
from shared.events.envelope import Event, Topic


def partition_of(key: str, partitions: int) -> int:
    """Where librdkafka's default partitioner (`consistent_random`) puts records of this key."""
    return crc32(key.encode()) % partitions


def lead_topic(kinds: Iterable[type[Event]]) -> Topic | None:
    """The first topic that is no state and is keyed by workload."""
    return next((kind.topic for kind in kinds if not kind.is_state and kind.topic.key == "workload"), None)


class Ownership:
    """Of one service in this process. Without a lead topic it owns every workload."""

    def __init__(self) -> None:
        self._lead: Topic | None = None
        self._partitions = 0
        self._owned: set[int] = set()
        self._callbacks: list[Callable[[], None]] = []

    def owns(self, workload: str) -> bool:
        if self._lead is None:
            return True
        return bool(self._partitions) and partition_of(workload, self._partitions) in self._owned

    def on_change(self, callback: Callable[[], None]) -> None:
        """`callback` is called on the event loop whenever what is owned has changed."""
        self._callbacks.append(callback)

    def goes_by(self, lead: Topic | None) -> None:
        self._lead = lead

    def partition_count(self, partitions: int) -> None:
        """How many partitions the lead topic really has: an operator may have added some."""
        self._partitions = partitions

    def assigned(self, places: Iterable[Place]) -> None:
        self._change(self._owned | self._of_lead(places))

    def revoked(self, places: Iterable[Place]) -> None:
        self._change(self._owned - self._of_lead(places))

    def revoked_all(self) -> None:
        self._change(set())

    def _of_lead(self, places: Iterable[Place]) -> set[int]:
        return {number for topic, number in places if self._lead is not None and topic == self._lead.name}

    def _change(self, owned: set[int]) -> None:
        if owned == self._owned:
            return
        self._owned = owned
        for callback in self._callbacks:
            callback()
