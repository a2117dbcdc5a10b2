"""What is known of corrections and failures, in ClickHouse: what cycles are made of."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from shared.clickhouse import ClickHouse
from shared.events import PredictionCorrected, PredictionFlagged
from shared.times import milliseconds, utc

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


class CorrectionStore:
    """SQL on predictions that were corrected, or that somebody or something suspects."""

    def __init__(self, clickhouse: ClickHouse) -> None:
        self._clickhouse = clickhouse

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
            cutoff=milliseconds(cutoff),
        )
        return [
            {
                "prediction_id": row["prediction_id"],
                "predicted_at": utc(row["predicted_at"]).isoformat(timespec="milliseconds"),
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
            since=milliseconds(since),
            cutoff=milliseconds(cutoff),
        )
        failures = [
            {
                "prediction_id": row["prediction_id"],
                "predicted_at": utc(row["made"]).isoformat(timespec="milliseconds"),
                "answer": row["answer"],
                "right_answer": row["right_answer"],
            }
            for row in rows
        ]
        return sorted(failures, key=lambda failure: failure["prediction_id"])
