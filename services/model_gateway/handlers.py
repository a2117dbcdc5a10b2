"""State events move the alias; its adapter is loaded beside, so that consuming never waits for a model."""

from __future__ import annotations

from dataclasses import dataclass

from services.model_gateway.alias_switch import AliasSwitch
from services.model_gateway.champion_alias import ChampionAlias
from shared.events import ModelPromoted, ModelRolledBack, WorkloadAdded


@dataclass(frozen=True)
class Handlers:
    alias: ChampionAlias
    alias_switch: AliasSwitch

    async def on_workload_added(self, event: WorkloadAdded) -> None:
        if self.alias.workloads.apply(event):
            await self.alias.keep()
            self.alias_switch.look_again()

    async def on_model_promoted(self, event: ModelPromoted) -> None:
        self.alias_switch.apply(event)

    async def on_model_rolled_back(self, event: ModelRolledBack) -> None:
        self.alias_switch.apply(event)
