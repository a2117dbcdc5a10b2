"""Revisions, cycles, trainings that somebody asked for, and rounds, in ClickHouse."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from services.workloads.round_progress import Kind, Round, Stage
from shared.clickhouse import ClickHouse
from shared.events import CycleStarted, TrainingRequested, WorkloadAdded
from shared.times import utc


class WorkloadStore:
    """SQL on what this service decides, and on how far each round has come."""

    def __init__(self, clickhouse: ClickHouse) -> None:
        self._clickhouse = clickhouse

    async def keep_revision(self, added: WorkloadAdded, *, is_published: bool) -> None:
        row = {
            "workload": added.name,
            "revision": added.revision,
            "event": added.model_dump_json(),
            "added_at": added.added_at,
            "is_published": int(is_published),
        }
        await self._clickhouse.insert("workload_revisions", [row])

    async def revisions(self, workload: str) -> list[WorkloadAdded]:
        """All revisions, from the oldest to the newest."""
        rows = await self._clickhouse.rows(
            "SELECT event FROM workload_revisions FINAL WHERE workload = {workload:String} ORDER BY revision",
            workload=workload,
        )
        return [WorkloadAdded.model_validate_json(row["event"]) for row in rows]

    async def knows_revision(self, workload: str, revision: int) -> bool:
        return bool(
            await self._clickhouse.rows(
                """SELECT 1 FROM workload_revisions
                WHERE workload = {workload:String} AND revision = {revision:Int64} LIMIT 1""",
                workload=workload,
                revision=revision,
            )
        )

    async def newest_revisions(self) -> list[WorkloadAdded]:
        """Of every workload the newest."""
        rows = await self._clickhouse.rows(
            "SELECT event FROM workload_revisions FINAL ORDER BY revision DESC LIMIT 1 BY workload"
        )
        return [WorkloadAdded.model_validate_json(row["event"]) for row in rows]

    async def unpublished_revisions(self) -> list[WorkloadAdded]:
        rows = await self._clickhouse.rows(
            "SELECT event FROM workload_revisions FINAL WHERE is_published = 0 ORDER BY workload, revision"
        )
        return [WorkloadAdded.model_validate_json(row["event"]) for row in rows]

    async def keep_cycle(self, started: CycleStarted, *, is_published: bool) -> None:
        row = {
            "cycle_id": started.cycle_id,
            "workload": started.workload,
            "cutoff": started.cutoff,
            "reason": started.reason,
            "requested_by": started.requested_by,
            "event": started.model_dump_json(),
            "started_at": started.started_at,
            "is_published": int(is_published),
        }
        await self._clickhouse.insert("workload_cycles", [row])

    async def unpublished_cycles(self) -> list[CycleStarted]:
        rows = await self._clickhouse.rows(
            "SELECT event FROM workload_cycles FINAL WHERE is_published = 0 ORDER BY started_at, cycle_id"
        )
        return [CycleStarted.model_validate_json(row["event"]) for row in rows]

    async def knows_cycle(self, workload: str, cycle_id: str) -> bool:
        return bool(
            await self._clickhouse.rows(
                """SELECT 1 FROM workload_cycles
                WHERE workload = {workload:String} AND cycle_id = {cycle_id:String} LIMIT 1""",
                workload=workload,
                cycle_id=cycle_id,
            )
        )

    async def last_cycle(self, workload: str) -> dict[str, Any] | None:
        rows = await self._clickhouse.rows(
            """SELECT cycle_id, cutoff, reason, requested_by, state, outcome, outcome_reason FROM cycles_v1
            WHERE workload = {workload:String} ORDER BY cutoff DESC LIMIT 1""",
            workload=workload,
        )
        return rows[0] | {"cutoff": utc(rows[0]["cutoff"])} if rows else None

    async def keep_training(self, requested: TrainingRequested, *, is_published: bool) -> None:
        row = {
            "request_id": requested.request_id,
            "workload": requested.workload,
            "event": requested.model_dump_json(),
            "requested_at": requested.requested_at,
            "is_published": int(is_published),
        }
        await self._clickhouse.insert("training_requests", [row])

    async def trainings(self, workload: str) -> list[TrainingRequested]:
        """Those that somebody asked for, the newest first; of every workload where the name is empty."""
        rows = await self._clickhouse.rows(
            "SELECT event FROM training_requests FINAL "
            "WHERE workload = {workload:String} OR {workload:String} = '' ORDER BY requested_at DESC",
            workload=workload,
        )
        return [TrainingRequested.model_validate_json(row["event"]) for row in rows]

    async def unpublished_trainings(self) -> list[TrainingRequested]:
        rows = await self._clickhouse.rows(
            "SELECT event FROM training_requests FINAL WHERE is_published = 0 "
            "ORDER BY requested_at, request_id"
        )
        return [TrainingRequested.model_validate_json(row["event"]) for row in rows]

    async def keep_round(self, round_: Round) -> None:
        await self._clickhouse.insert(
            "workload_rounds",
            [asdict(round_) | {"kind": round_.kind.value, "stage": round_.stage.value}],
        )

    async def rounds(self) -> list[Round]:
        """Every round there ever was, in the order in which they last changed."""
        rows = await self._clickhouse.rows("SELECT * FROM workload_rounds FINAL ORDER BY version, dataset_id")
        return [Round(**row | {"kind": Kind(row["kind"]), "stage": Stage(row["stage"])}) for row in rows]
