"""Predictions, feedback and flags in ClickHouse: all SQL of this service."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from shared.clickhouse import ClickHouse
from shared.consumer import ConsumerRecord
from shared.events import Event, FeedbackGiven, PredictionFlagged, PredictionLogged, derived_id

IDS_IN_ONE_QUERY = 500  # parameters travel in the request's address

Key = tuple[str, str]
"""Workload and prediction id."""


@dataclass(frozen=True)
class Stored:
    """What a flag tells about its prediction."""

    prediction_id: str
    workload: str
    predicted_at: datetime
    adapter: str
    answer: str
    confidence: float


class PredictionStore:
    def __init__(self, clickhouse: ClickHouse) -> None:
        self._clickhouse = clickhouse

    async def keep_predictions(self, consumed: Sequence[ConsumerRecord[PredictionLogged]]) -> None:
        for slice_ in _slices(consumed):
            rows = [_prediction_row(one) for one in slice_]
            await self._clickhouse.insert("predictions", rows, token=_token(slice_))

    async def keep_feedback(self, consumed: Sequence[ConsumerRecord[FeedbackGiven]]) -> None:
        for slice_ in _slices(consumed):
            rows = [_feedback_row(one) for one in slice_]
            await self._clickhouse.insert("feedback", rows, token=_token(slice_))

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

    async def disliked(self, keys: Iterable[Key]) -> set[Key]:
        """Those of the predictions that have negative feedback."""
        sql = """SELECT DISTINCT workload, prediction_id FROM feedback FINAL
            WHERE is_negative AND workload IN {workloads:Array(String)}
                AND prediction_id IN {ids:Array(String)}"""
        return {(row["workload"], row["prediction_id"]) for row in await self._of(sql, keys)}

    async def stored(self, keys: Iterable[Key]) -> list[Stored]:
        """Those of the predictions that are here."""
        wanted = set(keys)
        sql = """SELECT workload, prediction_id, predicted_at, adapter, answer, confidence
            FROM predictions FINAL
            WHERE workload IN {workloads:Array(String)} AND prediction_id IN {ids:Array(String)}"""
        return [
            Stored(
                prediction_id=row["prediction_id"],
                workload=row["workload"],
                predicted_at=_utc(row["predicted_at"]),
                adapter=row["adapter"],
                answer=row["answer"],
                confidence=row["confidence"],
            )
            for row in await self._of(sql, wanted)
            if (row["workload"], row["prediction_id"]) in wanted
        ]

    async def _of(self, sql: str, keys: Iterable[Key]) -> list[dict[str, Any]]:
        ordered = sorted(set(keys))
        rows: list[dict[str, Any]] = []
        for start in range(0, len(ordered), IDS_IN_ONE_QUERY):
            some = ordered[start : start + IDS_IN_ONE_QUERY]
            workloads = sorted({workload for workload, _ in some})
            rows += await self._clickhouse.rows(sql, workloads=workloads, ids=[name for _, name in some])
        return rows


def _slices(consumed: Sequence[ConsumerRecord[Any]]) -> Iterator[list[ConsumerRecord[Any]]]:
    """One block for each partition, so that the same records make the same block again."""
    by_partition: dict[int, list[ConsumerRecord[Any]]] = defaultdict(list)
    for one in consumed:
        by_partition[one.partition].append(one)
    yield from by_partition.values()


def _token(slice_: Sequence[ConsumerRecord[Event]]) -> str:
    """Place and content. The place alone would drop other rows in silence: a record that was set aside the
    first time, or a topic that was made anew and counts from 0 again."""
    first, last = slice_[0], slice_[-1]
    content = derived_id(*(one.event.event_id for one in slice_))
    return f"{first.event.topic.name}/{first.partition}/{first.offset}-{last.offset}/{content}"


def _prediction_row(consumed: ConsumerRecord[PredictionLogged]) -> Mapping[str, Any]:
    event = consumed.event
    return {
        "prediction_id": event.prediction_id,
        "workload": event.workload,
        "predicted_at": event.predicted_at,
        "adapter": event.adapter,
        "input": event.input,
        "answer": event.answer,
        "confidence": event.confidence,
        "probabilities": event.probabilities,
        "latency_ms": event.latency_ms,
        "tokens_in": event.tokens_in,
        "attributes": event.attributes,
        "subject_id": event.subject_id or "",
        "group_id": event.group_id or "",
        "kafka_partition": consumed.partition,
        "kafka_offset": consumed.offset,
    }


def _feedback_row(consumed: ConsumerRecord[FeedbackGiven]) -> Mapping[str, Any]:
    event = consumed.event
    return {
        "feedback_id": event.feedback_id,
        "prediction_id": event.prediction_id,
        "workload": event.workload,
        "thumb": event.thumb.value if event.thumb else "",
        "score": event.score,
        "comment": event.comment or "",
        "subject_id": event.subject_id or "",
        "group_id": event.group_id or "",
        "is_negative": event.is_negative,
        "given_at": event.given_at,
        "kafka_partition": consumed.partition,
        "kafka_offset": consumed.offset,
    }


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
