"""All consumers of one process: one for state, one for live watchers, and one for each service."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from shared.consumer.assigned import AssignedConsumer, Followed, MakeWorker
from shared.consumer.dead_letters import DeadLetters, Skips
from shared.consumer.group import GroupConsumer
from shared.consumer.invalid_limit import NO_LIMIT
from shared.consumer.metrics import ConsumerMetrics
from shared.consumer.ownership import Ownership
from shared.consumer.records import Sample
from shared.consumer.settings import ConsumerSettings
from shared.consumer.unknown_workload import UnknownWorkloads
from shared.consumer.worker import Flow, TopicWorker
from shared.events.envelope import Event
from shared.kafka import Kafka
from shared.producer import Producer
from shared.service import Service


class ProcessConsumers:
    """Puts them together from what the services consume."""

    def __init__(
        self,
        services: Sequence[Service],
        ownerships: Mapping[str, Ownership],
        producer: Producer,
        kafka: Kafka,
        metrics: ConsumerMetrics,
        settings: ConsumerSettings,
    ) -> None:
        self._services, self._metrics = services, metrics
        self._groups = [
            GroupConsumer(
                service.name,
                {kind: handler for kind, handler in service.consumes.items() if not kind.is_state},
                UnknownWorkloads(service.workloads),
                DeadLetters(producer, service.name, metrics),
                settings,
                metrics,
                ownerships[service.name],
                kafka,
            )
            for service in services
            if not service.consumes_from_now and not all(kind.is_state for kind in service.consumes)
        ]
        self._state = AssignedConsumer(
            "state",
            self._followed(lambda service, kind: kind.is_state),
            kafka,
            from_now=False,
            on_handled=self._state_changed,
        )
        self._live = AssignedConsumer(
            "live events",
            self._followed(lambda service, kind: service.consumes_from_now and not kind.is_state),
            kafka,
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

    def _followed(self, wanted: Callable[[Service, type[Event]], bool]) -> list[Followed]:
        """What is read without a group, and by whom."""
        makers: dict[type[Event], list[MakeWorker]] = {}
        sampled: dict[type[Event], bool] = {}
        for service in self._services:
            for kind, handler in service.consumes.items():
                if wanted(service, kind):
                    makers.setdefault(kind, []).append(partial(self._worker, service, kind))
                    sampled[kind] = sampled.get(kind, True) and isinstance(handler, Sample)
        return [Followed(kind, each, sampled[kind]) for kind, each in makers.items()]

    def _worker(self, service: Service, kind: type[Event], flow: Flow) -> TopicWorker:
        return TopicWorker(
            service.name,
            kind,
            service.consumes[kind],
            UnknownWorkloads(None),
            Skips(service.name, self._metrics),
            NO_LIMIT,
            self._metrics,
            flow,
        )
