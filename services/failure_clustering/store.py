"""Failures, cycles and clusters in ClickHouse; texts are read from the predictions' view."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from services.failure_clustering.failure import Failure
from shared.clickhouse import ClickHouse
from shared.events import CycleRequested, FailureClustersFound, PredictionCorrected, PredictionFlagged

IDS_AT_ONCE = 500  # ClickHouse takes no parameter above 128 KiB, and an id may be 128 characters long

# Times are bound in milliseconds: as DateTime parameters they would lose what is below a second.
_AT = "fromUnixTimestamp64Milli({%s:Int64}, 'UTC')"
CUT, SINCE = _AT % "cut", _AT % "since"


@dataclass(frozen=True)
class News:
    """What came after a time: predictions that are or seem to be wrong, and corrections of any kind."""

    failures: int
    corrections: int


class FailureStore:
    """All SQL of this service."""

    def __init__(self, clickhouse: ClickHouse) -> None:
        self._clickhouse = clickhouse

    async def keep_suspicions(self, events: Iterable[PredictionFlagged]) -> None:
        rows = [event.model_dump(exclude={"adapter", "confidence"}) for event in events]
        await self._clickhouse.insert(
            "failure_suspicions", [row | {"reason": row["reason"].value} for row in rows]
        )

    async def keep_corrections(self, events: Iterable[PredictionCorrected]) -> None:
        left_out = {"adapter", "confidence", "reviewers", "review_ids"}
        await self._clickhouse.insert(
            "failure_corrections", [event.model_dump(exclude=left_out) for event in events]
        )

    async def keep_cycle(self, event: CycleRequested) -> None:
        await self._clickhouse.insert("cycles", [event.model_dump()])

    async def knows_cycle(self, event: CycleRequested) -> bool:
        return bool(
            await self._clickhouse.rows(
                """SELECT 1 FROM cycles
                WHERE workload = {workload:String} AND cycle_id = {cycle_id:String} LIMIT 1""",
                workload=event.workload,
                cycle_id=event.cycle_id,
            )
        )

    async def last_cut(self, workload: str) -> datetime | None:
        """The latest cut of all cycles of the workload."""
        rows = await self._clickhouse.rows(
            "SELECT cut FROM cycles WHERE workload = {workload:String} ORDER BY cut DESC LIMIT 1",
            workload=workload,
        )
        return _utc(rows[0]["cut"]) if rows else None

    async def news(self, workload: str, since: datetime) -> News:
        """What is known now and was not known at that time."""
        (row,) = await self._clickhouse.rows(
            f"""WITH
                corrected AS (
                    SELECT prediction_id, argMax(answer != right_answer, corrected_at) AS wrong
                    FROM failure_corrections
                    WHERE workload = {{workload:String}} AND corrected_at > {SINCE} GROUP BY prediction_id),
                suspected AS (
                    SELECT DISTINCT prediction_id FROM failure_suspicions
                    WHERE workload = {{workload:String}} AND flagged_at > {SINCE} AND prediction_id NOT IN (
                        SELECT prediction_id FROM failure_corrections WHERE workload = {{workload:String}}))
            SELECT
                (SELECT countIf(wrong) FROM corrected) + (SELECT count() FROM suspected) AS failures,
                (SELECT count() FROM corrected) AS corrections""",
            workload=workload,
            since=_milliseconds(since),
        )
        return News(row["failures"], row["corrections"])

    async def corrections_at(self, workload: str, cut: datetime) -> list[dict[str, str]]:
        """Every correction known at the cut, the newest of each prediction, ordered by prediction."""
        rows = await self._clickhouse.rows(
            f"""SELECT prediction_id, predicted_at, right_answer FROM failure_corrections FINAL
            WHERE workload = {{workload:String}} AND corrected_at <= {CUT}
            ORDER BY prediction_id, corrected_at DESC LIMIT 1 BY prediction_id""",
            workload=workload,
            cut=_milliseconds(cut),
        )
        return [
            {
                "prediction_id": row["prediction_id"],
                "predicted_at": _utc(row["predicted_at"]).isoformat(timespec="milliseconds"),
                "right_answer": row["right_answer"],
            }
            for row in rows
        ]

    async def failures_at(self, workload: str, since: datetime, cut: datetime) -> list[Failure]:
        """The failures known at the cut among predictions made after `since`, ordered by prediction."""
        rows = await self._clickhouse.rows(
            f"""WITH
                corrected AS (
                    SELECT
                        prediction_id, argMax(answer, corrected_at) AS said,
                        argMax(right_answer, corrected_at) AS should_say
                    FROM failure_corrections
                    WHERE workload = {{workload:String}} AND corrected_at <= {CUT} AND predicted_at > {SINCE}
                    GROUP BY prediction_id)
            SELECT prediction_id, toString(said) AS answer, toString(should_say) AS right_answer
            FROM corrected WHERE said != should_say
            UNION ALL
            SELECT prediction_id, toString(any(answer)) AS answer, '' AS right_answer
            FROM failure_suspicions
            WHERE workload = {{workload:String}} AND flagged_at <= {CUT} AND predicted_at > {SINCE}
                AND prediction_id NOT IN (SELECT prediction_id FROM corrected)
            GROUP BY prediction_id""",
            workload=workload,
            since=_milliseconds(since),
            cut=_milliseconds(cut),
        )
        failures = [Failure(row["prediction_id"], row["answer"], row["right_answer"]) for row in rows]
        return sorted(failures, key=lambda failure: failure.prediction_id)

    async def texts(self, workload: str, prediction_ids: Sequence[str]) -> dict[str, str]:
        """Prediction id → text, for those that are still kept."""
        texts: dict[str, str] = {}
        for start in range(0, len(prediction_ids), IDS_AT_ONCE):
            rows = await self._clickhouse.rows(
                """SELECT prediction_id, input FROM predictions_v1
                WHERE workload = {workload:String} AND prediction_id IN {ids:Array(String)}""",
                workload=workload,
                ids=list(prediction_ids[start : start + IDS_AT_ONCE]),
            )
            texts |= {str(row["prediction_id"]): row["input"] for row in rows}
        return texts

    async def keep_found(self, found: FailureClustersFound, members: Iterable[dict[str, Any]]) -> None:
        """The clusters and who belongs to them; `members` are the rows of `found.failures`."""
        cycle = {"workload": found.workload, "cycle_id": found.cycle_id, "cut": found.cutoff}
        await self._clickhouse.insert(
            "clusters",
            [cycle | cluster.model_dump() | {"found_at": found.found_at} for cluster in found.clusters],
        )
        await self._clickhouse.insert(
            "cluster_members",
            [
                cycle | {"prediction_id": member["prediction_id"], "cluster_id": member["cluster_id"] or ""}
                for member in members
            ],
        )


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
