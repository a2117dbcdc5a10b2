"""All consumers of one process: one for state, one for live watchers, and one for each service."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from shared.consumer.assigned import AssignedConsumer, MakeWorker
from shared.consumer.dead_letters import DeadLetters
from shared.consumer.group import GroupConsumer
from shared.consumer.metrics import ConsumerMetrics
from shared.consumer.ownership import Ownership
from shared.consumer.unknown_workload import UnknownWorkloads
from shared.consumer.worker import Flow, TopicWorker
from shared.events.envelope import Event
from shared.producer import Producer
from shared.service import Service


class ProcessConsumers:
    """Puts them together from what the services consume."""

    def __init__(
        self,
        services: Sequence[Service],
        ownerships: Mapping[str, Ownership],
        producer: Producer,
        bootstrap_servers: str,
        metrics: ConsumerMetrics,
    ) -> None:
        self._services, self._producer, self._metrics = services, producer, metrics
        self._groups = [
            GroupConsumer(
                service.name,
                {kind: handler for kind, handler in service.consumes.items() if not kind.is_state},
                UnknownWorkloads(service.workloads),
                DeadLetters(producer, service.name, metrics),
                metrics,
                ownerships[service.name],
                bootstrap_servers,
            )
            for service in services
            if not service.consumes_from_now and not all(kind.is_state for kind in service.consumes)
        ]
        self._state = AssignedConsumer(
            "state",
            self._readers(lambda service, kind: kind.is_state),
            bootstrap_servers,
            from_now=False,
            on_handled=self._state_changed,
        )
        self._live = AssignedConsumer(
            "live events",
            self._readers(lambda service, kind: service.consumes_from_now and not kind.is_state),
            bootstrap_servers,
            from_now=True,
        )

    @property
    def state(self) -> AssignedConsumer:
        """To be run first, and until it has caught up; then all the others."""
        return self._state

    @property
    def others(self) -> Sequence[AssignedConsumer | GroupConsumer]:
        return (self._live, *self._groups)

    def _state_changed(self) -> None:
        for group in self._groups:
            group.known_workloads_changed()

    def _readers(self, wanted: Callable[[Service, type[Event]], bool]) -> dict[str, list[MakeWorker]]:
        """By topic, whoever reads it."""
        readers: dict[str, list[MakeWorker]] = {}
        for service in self._services:
            for kind in service.consumes:
                if wanted(service, kind):
                    readers.setdefault(kind.topic.name, []).append(partial(self._worker, service, kind))
        return readers

    def _worker(self, service: Service, kind: type[Event], flow: Flow) -> TopicWorker:
        letters = DeadLetters(self._producer, service.name, self._metrics)
        return TopicWorker(
            service.name, kind, service.consumes[kind], UnknownWorkloads(None), letters, self._metrics, flow
        )
