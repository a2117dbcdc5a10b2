"""State events set the flag; its adapter is loaded beside, so that hearing never waits for a model."""

from __future__ import annotations

from dataclasses import dataclass

from services.model_gateway.flag import Flag
from services.model_gateway.flipping import Flipping
from shared.events import ModelPromoted, ModelRolledBack, WorkloadAdded


@dataclass(frozen=True)
class Handlers:
    flag: Flag
    flipping: Flipping

    async def on_workload_added(self, event: WorkloadAdded) -> None:
        if self.flag.workloads.hear(event):
            await self.flag.keep()
            self.flipping.look_again()

    async def on_model_promoted(self, event: ModelPromoted) -> None:
        self.flipping.hear(event)

    async def on_model_rolled_back(self, event: ModelRolledBack) -> None:
        self.flipping.hear(event)
