"""What the console does with what it hears: it remembers the newest, the workloads and who is champion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from services.console.feed import Feed
from shared.events import ModelPromoted, ModelRolledBack, WorkloadAdded
from shared.events.envelope import Event
from shared.hearing import Heard
from shared.standing import Champions, Workloads


@dataclass(frozen=True)
class Handlers:
    feed: Feed
    workloads: Workloads
    champions: Champions

    async def on_workload_added(self, event: WorkloadAdded) -> None:
        self.workloads.hear(event)
        self.feed.hear(event)

    async def on_champion_changed(self, event: ModelPromoted | ModelRolledBack) -> None:
        self.champions.hear(event)
        self.feed.hear(event)

    async def on_event(self, event: Event) -> None:
        self.feed.hear(event)

    async def on_many(self, heard: list[Heard[Any]]) -> None:
        for one in heard:
            self.feed.hear(one.event)
