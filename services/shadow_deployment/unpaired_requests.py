"""Which logged predictions the shadow answers next: SQL on what `prediction_logging` publishes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from services.shadow_deployment.clickhouse_times import to_the_millisecond
from shared.clickhouse import ClickHouse
from shared.events import CandidateEvaluated
from shared.times import utc

CLOCKS_DIFFER = timedelta(hours=1)
"""Requests after the cutoff arrive after it, but by this much where an app's clock is ahead."""
SETTLED = timedelta(minutes=5)
"""So long what arrived may take to be seen; only what is older is not looked at again."""


@dataclass(frozen=True)
class Request:
    """A logged prediction that waits for the candidate's answer."""

    prediction_id: str
    predicted_at: datetime
    input: str
    answer: str
    confidence: float


class UnpairedRequests:
    """It remembers how far each run has looked."""

    def __init__(self, clickhouse: ClickHouse) -> None:
        self._clickhouse = clickhouse
        self._looked_until: dict[str, datetime] = {}
        """Run → before this arrival every request has its pair, or wants none. Lost, it is found again."""
        self._not_shown: dict[str, set[str]] = defaultdict(set)
        """Run → ids that arrived with this champion's answer, and another content had come first."""

    async def first(
        self,
        candidate: CandidateEvaluated,
        champion: str,
        limit: int,
        now: datetime,
        *,
        skipped: Collection[str] = (),
    ) -> list[Request]:
        """The first requests to arrive after the cutoff that this champion answered and no pair holds yet.

        In the order in which they were made. Asked again, it goes on from where it found nothing to do.
        """
        since = self._looked_until.get(candidate.run_id, candidate.cutoff - CLOCKS_DIFFER)
        arrived = await self._clickhouse.rows(
            """SELECT prediction_id, arrived_at FROM arrivals_v1
            WHERE workload = {workload:String} AND arrived_at >= {since:DateTime64(6, 'UTC')}
              AND adapter = {champion:String} AND predicted_at > {cutoff:DateTime64(3, 'UTC')}
              AND prediction_id NOT IN {skipped:Array(String)}
              AND prediction_id NOT IN (
                SELECT prediction_id FROM pairs
                WHERE workload = {workload:String} AND run_id = {run_id:String}
              )
            ORDER BY arrived_at, predicted_at LIMIT {most:UInt32} SETTINGS max_threads = 1""",
            workload=candidate.workload,
            champion=champion,
            since=since.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f"),
            cutoff=to_the_millisecond(candidate.cutoff),
            run_id=candidate.run_id,
            most=2 * limit,  # what is stored again stands there again
            skipped=sorted({*skipped, *self._not_shown[candidate.run_id]}),
        )
        first = utc(arrived[0]["arrived_at"]) if arrived else now
        self._looked_until[candidate.run_id] = max(since, min(first, now - SETTLED))
        ids = list(dict.fromkeys(str(row["prediction_id"]) for row in arrived))[:limit]
        requests = await self._requests(candidate.workload, champion, ids)
        self._not_shown[candidate.run_id] |= set(ids) - {request.prediction_id for request in requests}
        return requests

    async def _requests(self, workload: str, champion: str, prediction_ids: list[str]) -> list[Request]:
        if not prediction_ids:
            return []
        rows = await self._clickhouse.rows(
            """SELECT prediction_id, predicted_at, input, answer, confidence FROM predictions_v1
            WHERE workload = {workload:String} AND prediction_id IN {ids:Array(String)}
                AND adapter = {champion:String}
            ORDER BY predicted_at, prediction_id
            SETTINGS max_threads = 1, optimize_move_to_prewhere_if_final = 1""",
            workload=workload,
            champion=champion,
            ids=prediction_ids,
        )
        return [
            Request(
                str(row["prediction_id"]),
                utc(row["predicted_at"]),
                row["input"],
                row["answer"],
                row["confidence"],
            )
            for row in rows
        ]
