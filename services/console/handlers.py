"""What the console does with each event: it remembers the newest, the workloads and who is champion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from services.console.feed import Feed
from shared.consumer import ConsumerRecord
from shared.events import ModelPromoted, ModelRolledBack, WorkloadAdded
from shared.events.envelope import Event
from shared.projections import Champions, Workloads


@dataclass(frozen=True)
class Handlers:
    feed: Feed
    workloads: Workloads
    champions: Champions

    async def on_workload_added(self, event: WorkloadAdded) -> None:
        self.workloads.apply(event)
        self.feed.add(event)

    async def on_champion_changed(self, event: ModelPromoted | ModelRolledBack) -> None:
        self.champions.apply(event)
        self.feed.add(event)

    async def on_event(self, event: Event) -> None:
        self.feed.add(event)

    async def on_sample(self, consumed: list[ConsumerRecord[Any]]) -> None:
        for one in consumed:
            self.feed.add(one.event, unseen=one.unseen)
