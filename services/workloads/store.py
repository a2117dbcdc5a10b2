"""Revisions, cycles, rounds, and what is known of failures and corrections, in ClickHouse."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from services.workloads.dead_letters import DeadLetter, Decision
from services.workloads.round_progress import Kind, Round, Stage
from shared.clickhouse import ClickHouse
from shared.events import (
    CycleStarted,
    PredictionCorrected,
    PredictionFlagged,
    TrainingRequested,
    WorkloadAdded,
)

# Times are bound in milliseconds: as DateTime parameters they would lose what is below a second.
_AT = "fromUnixTimestamp64Milli({%s:Int64}, 'UTC')"
CUTOFF, SINCE = _AT % "cutoff", _AT % "since"


@dataclass(frozen=True)
class CorrectionsSince:
    """A workload's last cycles, and how many corrections came after each."""

    last_cutoff: datetime | None
    """Of the last cycle, however it ended."""
    since_last: int
    since_promoted: int
    """Since the cutoff of the last cycle that brought a champion: what none has learnt from yet."""


class WorkloadStore:
    """All SQL on this service's own tables."""

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
        return rows[0] | {"cutoff": _utc(rows[0]["cutoff"])} if rows else None

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

    async def keep_suspicions(self, events: Iterable[PredictionFlagged]) -> None:
        fields = {"prediction_id", "workload", "predicted_at", "answer", "flagged_at"}
        await self._clickhouse.insert(
            "suspected_predictions",
            [event.model_dump(include=fields) | {"reason": event.reason.value} for event in events],
        )

    async def keep_corrections(self, events: Iterable[PredictionCorrected]) -> None:
        fields = {"prediction_id", "workload", "predicted_at", "answer", "right_answer", "corrected_at"}
        await self._clickhouse.insert(
            "corrected_predictions", [event.model_dump(include=fields) for event in events]
        )

    async def corrections_since(self, workload: str) -> CorrectionsSince:
        """How many predictions were corrected since the last cycle, and the last that brought a champion."""
        (row,) = await self._clickhouse.rows(
            """WITH
                (SELECT max(cutoff) FROM workload_cycles WHERE workload = {workload:String}) AS last,
                (SELECT max(cutoff) FROM cycles_v1
                 WHERE workload = {workload:String} AND outcome = 'promoted') AS promoted
            SELECT
                toUnixTimestamp64Milli(last) AS last_cutoff,
                uniqExactIf(prediction_id, corrected_at > last) AS since_last,
                uniqExactIf(prediction_id, corrected_at > promoted) AS since_promoted
            FROM corrected_predictions WHERE workload = {workload:String}""",
            workload=workload,
        )
        last = datetime.fromtimestamp(row["last_cutoff"] / 1000, UTC) if row["last_cutoff"] else None
        return CorrectionsSince(last, row["since_last"], row["since_promoted"])

    async def corrections_at(self, workload: str, cutoff: datetime) -> list[dict[str, str]]:
        """Every correction known at the cutoff, the newest of each prediction, ordered by prediction."""
        rows = await self._clickhouse.rows(
            f"""SELECT prediction_id, predicted_at, right_answer FROM corrected_predictions FINAL
            WHERE workload = {{workload:String}} AND corrected_at <= {CUTOFF}
            ORDER BY prediction_id, corrected_at DESC LIMIT 1 BY prediction_id""",
            workload=workload,
            cutoff=_milliseconds(cutoff),
        )
        return [
            {
                "prediction_id": row["prediction_id"],
                "predicted_at": _utc(row["predicted_at"]).isoformat(timespec="milliseconds"),
                "right_answer": row["right_answer"],
            }
            for row in rows
        ]

    async def failures_at(self, workload: str, since: datetime, cutoff: datetime) -> list[dict[str, str]]:
        """The failures known at the cutoff among predictions made after `since`, ordered by prediction.

        `right_answer` is empty where a failure is only suspected.
        """
        rows = await self._clickhouse.rows(
            f"""WITH
                corrected AS (
                    SELECT
                        prediction_id, any(predicted_at) AS made, argMax(answer, corrected_at) AS said,
                        argMax(right_answer, corrected_at) AS should_say
                    FROM corrected_predictions
                    WHERE workload = {{workload:String}} AND corrected_at <= {CUTOFF}
                        AND predicted_at > {SINCE}
                    GROUP BY prediction_id)
            SELECT prediction_id, made, toString(said) AS answer,
                toString(should_say) AS right_answer
            FROM corrected WHERE said != should_say
            UNION ALL
            SELECT prediction_id, any(predicted_at) AS made, toString(any(answer)) AS answer,
                '' AS right_answer
            FROM suspected_predictions
            WHERE workload = {{workload:String}} AND flagged_at <= {CUTOFF} AND predicted_at > {SINCE}
                AND prediction_id NOT IN (SELECT prediction_id FROM corrected)
            GROUP BY prediction_id""",
            workload=workload,
            since=_milliseconds(since),
            cutoff=_milliseconds(cutoff),
        )
        failures = [
            {
                "prediction_id": row["prediction_id"],
                "predicted_at": _utc(row["made"]).isoformat(timespec="milliseconds"),
                "answer": row["answer"],
                "right_answer": row["right_answer"],
            }
            for row in rows
        ]
        return sorted(failures, key=lambda failure: failure["prediction_id"])

    async def decided_dead_letters(self) -> list[str]:
        """The ids of those that were replayed or dropped."""
        rows = await self._clickhouse.rows("SELECT dead_letter_id FROM dead_letter_decisions FINAL")
        return [row["dead_letter_id"] for row in rows]

    async def keep_decisions(
        self, letters: Iterable[DeadLetter], decision: Decision, by: str, reason: str, at: datetime
    ) -> None:
        await self._clickhouse.insert(
            "dead_letter_decisions",
            [
                {
                    "dead_letter_id": letter.id,
                    "topic": letter.topic,
                    "service": letter.service,
                    "decision": decision.value,
                    "decided_by": by,
                    "reason": reason,
                    "decided_at": at,
                }
                for letter in letters
            ],
        )


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
