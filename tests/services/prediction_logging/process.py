"""The handlers of one process on real tables, with a list in the broker's place and a clock the test sets."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from prometheus_client import CollectorRegistry

from services.prediction_logging.handlers import Handlers
from services.prediction_logging.metrics import Metrics
from services.prediction_logging.store import PredictionStore
from shared.clickhouse import ClickHouse
from shared.consumer import ConsumerRecord, Invalid
from shared.events import Event, FeedbackGiven, PredictionFlagged, PredictionLogged, WorkloadAdded
from shared.lots import Lots
from shared.projections import Workloads
from tests.services.prediction_logging.conftest import workload_added

LOTS = Lots.of("a secret of the tests")


@dataclass
class Process:
    """Of prediction_logging; it knows the workload "tickets"."""

    clickhouse: ClickHouse
    time: datetime
    published: list[Event] = field(default_factory=list)
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    offset: int = 0

    def __post_init__(self) -> None:
        workloads = Workloads()
        workloads.apply(workload_added())
        self.metrics, self.store = Metrics(self.registry), PredictionStore(self.clickhouse)
        self.handlers = Handlers(self.store, self._publish, lambda: self.time, workloads, self.metrics, LOTS)

    async def apply(self, *events: Event, offset: int | None = None) -> list[Invalid]:
        """As one batch of one partition, from `offset` on or after what came before."""
        start = self.offset if offset is None else offset
        self.offset = start + len(events)
        batch: list[ConsumerRecord[Any]] = [
            ConsumerRecord(event, 0, start + number) for number, event in enumerate(events)
        ]
        match events[0]:
            case WorkloadAdded():
                await self.handlers.on_workload_added(events[0])
            case PredictionLogged():
                return await self.handlers.on_prediction_logged(batch)
            case FeedbackGiven():
                await self.handlers.on_feedback_given(batch)
        return []

    def flags(self) -> list[tuple[str, str, str]]:
        """Workload, prediction and reason of every flag that was published."""
        flags = (event for event in self.published if isinstance(event, PredictionFlagged))
        return [(flag.workload, flag.prediction_id, flag.reason.value) for flag in flags]

    def shown(self, metric: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(metric, labels)

    async def _publish(self, *events: Event) -> None:
        self.published.extend(events)
