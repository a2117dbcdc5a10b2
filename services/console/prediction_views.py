"""SQL on what was predicted: how much came, how sure the model was, and how right it was at random."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from services.console import page_queries
from services.console.views import Row, Views, millis, number
from shared.events import Rate
from shared.intervals import wilson
from shared.times import utc

IS_AUDITED = """adapter != '' AND prediction_id IN (
    SELECT prediction_id FROM flags_v1 WHERE workload = {workload:String} AND reason = 'audit'
        AND prediction_id IN (SELECT prediction_id FROM corrections_v1 WHERE workload = {workload:String}))"""
"""Of a correction: an adapter's answer, drawn at random. There are many times as many flags."""
COUNTED_SECONDS = 300  # `prediction_counts_v1` counts in stretches of so long


class PredictionViews:
    """A workload's predictions, and the signals and audits of them."""

    def __init__(self, views: Views) -> None:
        self._views = views

    async def traffic(self, workload: str, since: datetime, doubt_below: float) -> page_queries.Traffic:
        predictions = await self._views.first(
            "prediction_counts_v1",
            "SELECT sum(predictions) AS n, max(last_predicted_at) AS last_at, "
            "sum(arraySum(mapValues(mapFilter((percent, n) -> percent < {doubt:Float64}, confidences)))) "
            "AS doubted "
            "FROM prediction_counts_v1 WHERE workload = {workload:String} "
            "AND made_at >= fromUnixTimestamp64Milli({since:Int64}, 'UTC')",
            workload=workload,
            doubt=round(100 * doubt_below, 4),
            since=millis(since),
        )
        feedback = await self._views.first(
            "feedback_v1",
            "SELECT count() AS n, countIf(thumb = 'down' OR ifNull(score, 1) < 0.5) AS negative "
            "FROM feedback_v1 WHERE workload = {workload:String} "
            "AND given_at >= fromUnixTimestamp64Milli({since:Int64}, 'UTC')",
            workload=workload,
            since=millis(since),
        )
        unmatched = await self._views.first(
            "unmatched_feedback_v1",
            "SELECT count() AS n FROM unmatched_feedback_v1 WHERE workload = {workload:String} "
            "AND given_at >= fromUnixTimestamp64Milli({since:Int64}, 'UTC')",
            workload=workload,
            since=millis(since),
        )
        n = number(predictions, "n")
        return page_queries.Traffic(
            n,
            number(predictions, "doubted"),
            number(feedback, "n"),
            number(feedback, "negative"),
            utc(predictions["last_at"]) if n else None,
            number(unmatched, "n"),
        )

    async def audited(self, workload: str, adapter: str) -> Rate:
        """How often an adapter was right on the predictions drawn at random that reviewers agreed on."""
        if not await self._views.has("flags_v1"):
            return wilson(0, 0)
        row = await self._views.first(
            "corrections_v1",
            "SELECT count() AS n, countIf(answer = right_answer) AS hits FROM corrections_v1 "
            f"WHERE workload = {{workload:String}} AND adapter = {{adapter:String}} AND {IS_AUDITED}",
            workload=workload,
            adapter=adapter,
        )
        return wilson(number(row, "hits"), number(row, "n"))

    async def span(self, workload: str, since: datetime) -> tuple[datetime, datetime] | None:
        """The times of the first, to five minutes, and of the last prediction since then."""
        row = await self._views.first(
            "prediction_counts_v1",
            "SELECT sum(predictions) AS n, min(made_at) AS first_at, max(last_predicted_at) AS last_at "
            "FROM prediction_counts_v1 WHERE workload = {workload:String} "
            "AND made_at >= fromUnixTimestamp64Milli({since:Int64}, 'UTC')",
            workload=workload,
            since=millis(since),
        )
        return (utc(row["first_at"]), utc(row["last_at"])) if number(row, "n") else None

    async def buckets(self, workload: str, since: datetime, width: timedelta) -> list[page_queries.Bucket]:
        """Predictions since then in stretches of `width`, in order; stretches without any are left out."""
        seconds = int(width.total_seconds())
        asked = {"workload": workload, "since": millis(since), "seconds": seconds}
        bucket = "intDiv(toUnixTimestamp(predicted_at), {seconds:Int64}) * {seconds:Int64} AS start"
        scope = (
            "WHERE workload = {workload:String} "
            "AND predicted_at >= fromUnixTimestamp64Milli({since:Int64}, 'UTC')"
        )
        is_counted = seconds % COUNTED_SECONDS == 0
        predictions = await (self._counted if is_counted else self._arrived)(**asked)
        audits: dict[int, Row] = {}
        if await self._views.has("flags_v1"):
            rows = await self._views.rows(
                "corrections_v1",
                f"SELECT {bucket}, count() AS n, countIf(answer = right_answer) AS hits FROM "
                f"corrections_v1 {scope} "
                f"AND {IS_AUDITED} GROUP BY start",
                **asked,
            )
            audits = {int(row["start"]): row for row in rows}
        return [
            page_queries.Bucket(
                datetime.fromtimestamp(int(row["start"]), UTC),
                int(row["n"]),
                float(row["confidence"]),
                number(audits.get(int(row["start"]), {}), "n"),
                number(audits.get(int(row["start"]), {}), "hits"),
            )
            for row in predictions
        ]

    async def _counted(self, **asked: Any) -> list[dict[str, Any]]:
        return await self._views.rows(
            "prediction_counts_v1",
            "SELECT intDiv(toUnixTimestamp(made_at), {seconds:Int64}) * {seconds:Int64} AS start, "
            "sum(predictions) AS n, sum(confidence_sum) / n AS confidence FROM prediction_counts_v1 "
            "WHERE workload = {workload:String} "
            "AND made_at >= fromUnixTimestamp64Milli({since:Int64}, 'UTC') GROUP BY start ORDER BY start",
            **asked,
        )

    async def _arrived(self, **asked: Any) -> list[dict[str, Any]]:
        """The line is drawn so finely only where all traffic came within an hour."""
        return await self._views.rows(
            "arrivals_v1",
            "SELECT intDiv(toUnixTimestamp(predicted_at), {seconds:Int64}) * {seconds:Int64} AS start, "
            "uniqExact(cityHash64(prediction_id)) AS n, avg(confidence) AS confidence FROM arrivals_v1 "
            "WHERE workload = {workload:String} "
            "AND predicted_at >= fromUnixTimestamp64Milli({since:Int64}, 'UTC') "
            "GROUP BY start ORDER BY start",
            **asked,
        )
