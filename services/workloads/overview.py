"""How a workload stands: its own tables and what other services publish, put together for whoever asks."""

from __future__ import annotations

from dataclasses import dataclass

from services.workloads.published_views import PublishedViews
from services.workloads.replies import Figure, LastCycle, RoundState, Status, WorkloadState, stage_in_words
from services.workloads.round_progress import Round
from services.workloads.rounds import Rounds
from services.workloads.store import WorkloadStore
from shared.events import WorkloadAdded


@dataclass(frozen=True)
class Overview:
    store: WorkloadStore
    views: PublishedViews
    rounds: Rounds

    async def state(self, added: WorkloadAdded) -> WorkloadState:
        champion = await self.views.champion(added.name)
        accuracy = await self.views.accuracy(added.name, champion.adapter) if champion else None
        return WorkloadState(
            name=added.name,
            title=added.definition.title,
            revision=added.revision,
            labels=list(added.definition.labels),
            is_retired=added.is_retired,
            champion=champion.adapter if champion else None,
            champion_since=champion.since if champion else None,
            champion_lost=await self.views.lost_champion(added.name),
            accuracy=Figure.of(accuracy),
            stage=stage_in_words(self.rounds.latest(added.name)),
        )

    async def status(self, added: WorkloadAdded) -> Status:
        state, name = await self.state(added), added.name
        audited = await self.views.audited(name, state.champion) if state.champion else None
        cycle, latest = await self.store.last_cycle(name), self.rounds.latest(name)
        return Status(
            **state.model_dump(),
            audited=Figure.of(audited),
            agreement=Figure.of(await self.views.agreement(name)),
            predictions=await self.views.predictions(name),
            feedback=await self.views.count("feedback_v1", name),
            unmatched_feedback=await self.views.count("unmatched_feedback_v1", name),
            corrections=await self.views.count("corrections_v1", name),
            open_reviews=await self.views.count("review_items_v1", name, "state = 'open'"),
            last_cycle=LastCycle(**cycle) if cycle else None,
            round=self.round_state(latest) if latest else None,
        )

    def round_state(self, round_: Round) -> RoundState:
        rounds = self.rounds
        return RoundState.of(round_, rounds.progress(round_), rounds.waits(round_), rounds.version(round_))
