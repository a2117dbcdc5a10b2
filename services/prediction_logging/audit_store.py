"""What the audit asks of ClickHouse: the new arrivals against the first write of each of their ids."""

from __future__ import annotations

from services.prediction_logging.audit_slices import NS_PER_MINUTE, Slice
from services.prediction_logging.conflict_letters import Conflict
from shared.clickhouse import ClickHouse

_SINCE, _UNTIL = (f"fromUnixTimestamp64Nano({{{name}:Int64}}, 'UTC')" for name in ("since", "until"))
_IN_SLICE = f"arrived_at > {_SINCE} AND arrived_at <= {_UNTIL}"
_IDS = f"(workload, prediction_id) IN (SELECT workload, prediction_id FROM arrivals WHERE {_IN_SLICE})"


class AuditStore:
    def __init__(self, clickhouse: ClickHouse) -> None:
        self._clickhouse = clickhouse

    async def audited_until(self) -> int:
        """In nanoseconds since 1970."""
        (row,) = await self._clickhouse.rows(
            "SELECT toUnixTimestamp64Nano(max(audited_until)) AS until FROM audit_watermark"
        )
        return int(row["until"])

    async def minutes(self, slice_: Slice) -> list[tuple[int, int]]:
        """How many arrived in each minute (since 1970) that had any, in order."""
        rows = await self._clickhouse.rows(
            f"""SELECT intDiv(toUnixTimestamp64Nano(arrived_at), {NS_PER_MINUTE}) AS minute, count() AS n
            FROM arrivals WHERE {_IN_SLICE} GROUP BY minute ORDER BY minute""",
            **vars(slice_),
        )
        return [(int(row["minute"]), int(row["n"])) for row in rows]

    async def repeats(self, slice_: Slice) -> int:
        """How many arrivals of a slice that was counted are not the first write of their id."""
        (row,) = await self._clickhouse.rows(
            f"""SELECT (SELECT count() FROM arrivals WHERE {_IN_SLICE}) AS arrived,
            (SELECT sum(predictions) FROM prediction_counts FINAL
                WHERE slice_from = {_SINCE} AND slice_to = {_UNTIL}) AS counted""",
            **vars(slice_),
        )
        return int(row["arrived"]) - int(row["counted"] or 0)

    async def conflicts(self, slice_: Slice) -> list[Conflict]:
        """Of what arrived in the slice."""
        rows = await self._clickhouse.rows(
            f"""SELECT workload, prediction_id, kafka_partition, kafka_offset
            FROM arrivals INNER JOIN (
                SELECT workload, prediction_id, content AS first_content FROM predictions FINAL WHERE {_IDS}
            ) AS firsts USING (workload, prediction_id)
            WHERE {_IN_SLICE} AND content != first_content
            GROUP BY workload, prediction_id, kafka_partition, kafka_offset
            ORDER BY kafka_partition, kafka_offset""",
            **vars(slice_),
        )
        return [
            Conflict(row["workload"], row["prediction_id"], row["kafka_partition"], row["kafka_offset"])
            for row in rows
        ]

    async def keep_counts(self, slice_: Slice) -> None:
        """Counts the predictions whose first write arrived in the slice, by when they were made."""
        await self._clickhouse.command(
            f"""INSERT INTO prediction_counts
            SELECT workload, {_SINCE}, {_UNTIL},
                toDateTime64(intDiv(toUnixTimestamp64Milli(predicted_at), 300000) * 300, 0, 'UTC') AS made,
                adapter, count(), sum(confidence),
                sumMap(map(toUInt8(confidence * 100 + 0.0001), toUInt64(1))), max(predicted_at)
            FROM predictions FINAL WHERE {_IDS} AND {_IN_SLICE}
            GROUP BY workload, made, adapter""",
            **vars(slice_),
        )

    async def keep_audited_until(self, until: int) -> None:
        await self._clickhouse.command(
            "INSERT INTO audit_watermark SELECT fromUnixTimestamp64Nano({until:Int64}, 'UTC')", until=until
        )

    async def note_met(self) -> None:
        """Feedback that waits although its prediction is here, as code of 0.2 beside us leaves it."""
        await self._clickhouse.command(
            """INSERT INTO feedback_waiting
                (prediction_id, workload, feedback_id, is_negative, given_at, state, elsewhere)
            SELECT prediction_id, workload, feedback_id, is_negative, given_at, 2, elsewhere
            FROM feedback_waiting FINAL
            WHERE state < 2 AND (workload, prediction_id) IN (
                SELECT workload, prediction_id FROM predictions WHERE (workload, prediction_id) IN (
                    SELECT workload, prediction_id FROM feedback_waiting FINAL WHERE state < 2))"""
        )
