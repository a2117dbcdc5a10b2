"""Predictions, feedback and flags in ClickHouse: what the handlers store and ask."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.prediction_logging.columns import of_feedback, of_predictions
from services.prediction_logging.first_writes import Key
from services.prediction_logging.meeting import Waiting
from shared.clickhouse import ClickHouse
from shared.consumer import ConsumerRecord
from shared.events import FeedbackGiven, PredictionFlagged, PredictionLogged
from shared.times import utc


@dataclass(frozen=True)
class Stored:
    """What a flag tells about its prediction."""

    prediction_id: str
    workload: str
    predicted_at: datetime
    credited: str
    """The adapter that it is evidence of, or empty."""
    answer: str
    confidence: float

    @property
    def key(self) -> Key:
        return self.workload, self.prediction_id


class PredictionStore:
    """One insert for a batch and a table. What is stored again replaces itself: no insert needs a token."""

    def __init__(self, clickhouse: ClickHouse) -> None:
        self._clickhouse = clickhouse

    async def keep_predictions(
        self, consumed: Sequence[ConsumerRecord[PredictionLogged]], arrival: int
    ) -> None:
        """`arrival` in nanoseconds since 1970: the earliest of an id holds."""
        if consumed:
            await self._clickhouse.insert_columns("predictions", of_predictions(consumed, arrival))

    async def keep_feedback(self, consumed: Sequence[ConsumerRecord[FeedbackGiven]]) -> None:
        if consumed:
            await self._clickhouse.insert_columns("feedback", of_feedback(consumed))

    async def keep_flags(self, flags: Sequence[PredictionFlagged]) -> None:
        rows = [
            {
                "prediction_id": flag.prediction_id,
                "workload": flag.workload,
                "reason": flag.reason.value,
                "flagged_at": flag.flagged_at,
            }
            for flag in flags
        ]
        await self._clickhouse.insert("flags", rows)

    async def keep_waiting(self, waiting: Iterable[Waiting]) -> None:
        rows = [
            {
                "prediction_id": one.prediction_id,
                "workload": one.workload,
                "feedback_id": one.feedback_id,
                "is_negative": one.is_negative,
                "given_at": one.given_at,
                "state": one.state.value,
                "elsewhere": one.elsewhere,
            }
            for one in waiting
        ]
        await self._clickhouse.insert("feedback_waiting", rows)

    async def latest_arrival(self) -> int:
        """In nanoseconds since 1970, of all that is stored or audited; 0 if nothing is."""
        (row,) = await self._clickhouse.rows(
            """SELECT toUnixTimestamp64Nano(greatest(
                (SELECT max(arrived_at) FROM arrivals), (SELECT max(audited_until) FROM audit_watermark)
            )) AS latest"""
        )
        return int(row["latest"])

    async def waiting_for(self, workloads: Iterable[str], arrival: int) -> list[Waiting]:
        """The feedback that waits for predictions of these ids, which arrived just then, of any workload."""
        rows = await self._clickhouse.rows(
            """SELECT prediction_id, workload, feedback_id, is_negative, given_at FROM feedback_waiting FINAL
            WHERE prediction_id IN (
                SELECT prediction_id FROM arrivals WHERE workload IN {workloads:Array(String)}
                    AND arrived_at = fromUnixTimestamp64Nano({arrival:Int64}, 'UTC'))
                AND state < 2""",
            workloads=sorted(workloads),
            arrival=arrival,
        )
        return [
            Waiting(
                row["prediction_id"],
                row["workload"],
                row["feedback_id"],
                row["is_negative"],
                utc(row["given_at"]),
            )
            for row in rows
        ]

    async def stored(self, keys: Iterable[Key]) -> list[Stored]:
        """Those of the predictions that are here."""
        asked = set(keys)
        if not asked:
            return []
        rows = await self._clickhouse.rows_about(
            asked,
            ("workload", "prediction_id"),
            """SELECT workload, prediction_id, predicted_at, adapter, answer, confidence
            FROM predictions FINAL
            WHERE (workload, prediction_id) IN (SELECT workload, prediction_id FROM asked)""",
        )
        return [
            Stored(
                prediction_id=row["prediction_id"],
                workload=row["workload"],
                predicted_at=utc(row["predicted_at"]),
                credited=row["adapter"],
                answer=row["answer"],
                confidence=row["confidence"],
            )
            for row in rows
        ]

    async def workloads_of(self, prediction_ids: Iterable[str], known: Iterable[str]) -> dict[str, str]:
        """Prediction id → one of the known workloads that has a prediction of that id."""
        asked = {(name,) for name in prediction_ids}
        if not asked:
            return {}
        rows = await self._clickhouse.rows_about(
            asked,
            ("prediction_id",),
            """SELECT prediction_id, min(workload) AS name FROM predictions
            WHERE workload IN {known:Array(String)} AND prediction_id IN (SELECT prediction_id FROM asked)
            GROUP BY prediction_id""",
            known=sorted(known),
        )
        return {row["prediction_id"]: row["name"] for row in rows}

    async def unmatched(self) -> dict[str, int]:
        """Workload → how much feedback has no prediction."""
        rows = await self._clickhouse.rows(
            "SELECT workload, count() AS n FROM unmatched_feedback_v1 GROUP BY workload"
        )
        return {row["workload"]: int(row["n"]) for row in rows}
