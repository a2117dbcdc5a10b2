"""What other services publish about a workload: champion, figures, the queue, limits of training."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.workloads.progress import Waits
from shared.alias_history import standing
from shared.clickhouse import ClickHouse
from shared.events import Rate, Scorecard
from shared.intervals import wilson
from shared.times import utc

NO_LIMIT = 2**31


@dataclass(frozen=True)
class Champion:
    adapter: str
    since: datetime
    has_predecessor: bool
    """Whether a rollback has something to bring back."""


@dataclass(frozen=True)
class TrainingLimits:
    """What `retraining` and the model server it trains for can take."""

    lora_rank: int = NO_LIMIT


@dataclass(frozen=True)
class PublishedViews:
    clickhouse: ClickHouse

    async def champion(self, workload: str) -> Champion | None:
        rows = await self.rows(
            "SELECT adapter, kind, since FROM champions_v1 WHERE workload = {workload:String} "
            "ORDER BY revision",
            workload=workload,
        )
        if not rows:
            return None
        stands = standing((row["adapter"], row["kind"]) for row in rows)
        return Champion(rows[-1]["adapter"], utc(rows[-1]["since"]), has_predecessor=len(stands) > 1)

    async def lost_champion(self, workload: str) -> str | None:
        """Why its champion cannot be loaded any more, and what to do; None while it can."""
        row = await self._first(
            "SELECT reason FROM lost_champions_v1 WHERE workload = {workload:String}", workload=workload
        )
        return row.get("reason")

    async def accuracy(self, workload: str, adapter: str) -> Rate | None:
        """What the adapter scored on the held-out rows when it was a candidate."""
        rows = await self.rows(
            """SELECT scorecard FROM scorecards_v1
            WHERE workload = {workload:String} AND candidate = {adapter:String}
            ORDER BY evaluated_at DESC LIMIT 1""",
            workload=workload,
            adapter=adapter,
        )
        return Scorecard.model_validate(json.loads(rows[0]["scorecard"])).held_out if rows else None

    async def audited(self, workload: str, adapter: str) -> Rate:
        """How often the adapter was right on predictions drawn at random in production."""
        row = await self._first(
            """SELECT count() AS n, countIf(answer = right_answer) AS hits FROM corrections_v1
            WHERE workload = {workload:String} AND adapter = {adapter:String} AND prediction_id IN (
                SELECT prediction_id FROM flags_v1
                WHERE workload = {workload:String} AND reason = 'audit' AND prediction_id IN (
                    SELECT prediction_id FROM corrections_v1 WHERE workload = {workload:String}))""",
            workload=workload,
            adapter=adapter,
        )
        return wilson(row.get("hits", 0), row.get("n", 0))

    async def agreement(self, workload: str) -> Rate:
        row = await self._first(
            "SELECT sum(n) AS n, sum(agreed) AS agreed FROM agreement_v1 WHERE workload = {workload:String}",
            workload=workload,
        )
        return wilson(row.get("agreed", 0), row.get("n", 0))

    async def predictions(self, workload: str) -> int:
        row = await self._first(
            "SELECT sum(predictions) AS n FROM prediction_counts_v1 WHERE workload = {workload:String}",
            workload=workload,
        )
        return int(row.get("n") or 0)

    async def count(self, view: str, workload: str, condition: str = "true") -> int:
        """How many rows of a view are about a workload."""
        row = await self._first(
            f"SELECT count() AS n FROM {view} WHERE workload = {{workload:String}} AND {condition}",
            workload=workload,
        )
        return int(row.get("n", 0))

    async def pairs(self, workload: str, run_id: str) -> tuple[int, int, int]:
        """A run's shadow pairs, those that differ, and those of them that wait for a review."""
        row = await self._first(
            """SELECT count() AS pairs, countIf(differs) AS differing,
                countIf(differs AND right_answer = '') AS waiting
            FROM pairs_v1 WHERE workload = {workload:String} AND run_id = {run_id:String}""",
            workload=workload,
            run_id=run_id,
        )
        return row.get("pairs", 0), row.get("differing", 0), row.get("waiting", 0)

    async def shadow_waits(self) -> dict[str, Waits]:
        """Run id → since when its candidate waits for the model server, and why."""
        rows = await self.rows("SELECT run_id, since, why FROM shadow_waits_v1")
        return {row["run_id"]: Waits(utc(row["since"]), row["why"]) for row in rows}

    async def training_limits(self) -> TrainingLimits:
        row = await self._first("SELECT lora_rank FROM training_limits_v1")
        return TrainingLimits(row.get("lora_rank", NO_LIMIT))

    async def _first(self, sql: str, **parameters: Any) -> dict[str, Any]:
        return next(iter(await self.rows(sql, **parameters)), {})

    async def rows(self, sql: str, **parameters: Any) -> list[dict[str, Any]]:
        return await self.clickhouse.published_rows(sql, **parameters)
