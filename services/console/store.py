"""All that the console reads: views that other services publish. It writes nothing."""

from __future__ import annotations

from datetime import datetime, timedelta

from services.console.candidate_views import CandidateViews
from services.console.cycle_status import Snapshot
from services.console.cycle_views import CycleViews
from services.console.prediction_views import PredictionViews
from services.console.views import Views
from shared.clickhouse import ClickHouse
from shared.workload import Workload


class ConsoleStore:
    def __init__(self, clickhouse: ClickHouse) -> None:
        views = Views(clickhouse)
        self.predictions = PredictionViews(views)
        self.cycles = CycleViews(views)
        self.candidates = CandidateViews(views)

    async def snapshot(
        self, definition: Workload, champion: str, champion_since: datetime | None, now: datetime
    ) -> Snapshot:
        """All that the first page and the candidates are drawn from."""
        name = definition.name
        return Snapshot(
            definition=definition,
            champion=champion,
            champion_since=champion_since,
            champion_lost=await self.candidates.lost_champion(name),
            traffic=await self.predictions.traffic(
                name, now - timedelta(days=1), definition.review.doubt_below
            ),
            reviewing=await self.cycles.reviewing(name),
            cycle=await self.cycles.last_cycle(name),
            clusters=await self.cycles.clusters(name),
            datasets=await self.cycles.datasets(name),
            refusal=await self.cycles.last_refusal(name),
            runs=await self.candidates.runs(name),
            evaluations=await self.candidates.evaluations(name),
            pairs=await self.candidates.pairs(name),
            waits=await self.candidates.waits(name),
            verdicts=await self.candidates.verdicts(name),
            revisions=await self.candidates.revisions(name),
            audited=await self.predictions.audited(name, champion),
        )
