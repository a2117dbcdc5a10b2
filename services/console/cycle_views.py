"""SQL on what cycles are made of: reviews, corrections, clusters of failures, datasets."""

from __future__ import annotations

from datetime import datetime

from services.console import page_queries
from services.console.views import Row, Views, millis, number
from shared.events import DatasetCounts, Rate
from shared.intervals import wilson
from shared.times import utc


class CycleViews:
    """A workload's reviews and cycles, up to their datasets."""

    def __init__(self, views: Views) -> None:
        self._views = views

    async def reviewing(self, workload: str) -> page_queries.Reviewing:
        queue = await self._views.first(
            "review_items_v1",
            "SELECT countIf(state = 'open') AS open, countIf(state = 'disputed') AS disputed "
            "FROM review_items_v1 WHERE workload = {workload:String}",
            workload=workload,
        )
        corrections = await self._views.first(
            "corrections_v1",
            "SELECT count() AS n, max(corrected_at) AS last_at FROM corrections_v1 "
            "WHERE workload = {workload:String}",
            workload=workload,
        )
        n = number(corrections, "n")
        return page_queries.Reviewing(
            number(queue, "open"),
            number(queue, "disputed"),
            n,
            await self.agreement(workload),
            utc(corrections["last_at"]) if n else None,
        )

    async def agreement(self, workload: str) -> Rate:
        row = await self._views.first(
            "agreement_v1",
            "SELECT sum(n) AS n, sum(agreed) AS agreed FROM agreement_v1 WHERE workload = {workload:String}",
            workload=workload,
        )
        return wilson(number(row, "agreed"), number(row, "n"))

    async def corrections_until(self, workload: str, cutoff: datetime) -> int:
        row = await self._views.first(
            "corrections_v1",
            "SELECT count() AS n FROM corrections_v1 WHERE workload = {workload:String} "
            "AND corrected_at <= fromUnixTimestamp64Milli({cutoff:Int64}, 'UTC')",
            workload=workload,
            cutoff=millis(cutoff),
        )
        return number(row, "n")

    async def last_cycle(self, workload: str) -> page_queries.Cycle | None:
        row = await self._views.first(
            "cycles_v1",
            "SELECT cycle_id, cutoff, reason, requested_by FROM cycles_v1 WHERE workload = {workload:String} "
            "ORDER BY cutoff DESC LIMIT 1",
            workload=workload,
        )
        return _cycle(row) if row else None

    async def cycle(self, workload: str, cycle_id: str) -> page_queries.Cycle | None:
        row = await self._views.first(
            "cycles_v1",
            "SELECT cycle_id, cutoff, reason, requested_by FROM cycles_v1 "
            "WHERE workload = {workload:String} AND cycle_id = {cycle:String} LIMIT 1",
            workload=workload,
            cycle=cycle_id,
        )
        return _cycle(row) if row else None

    async def clusters(self, workload: str) -> list[page_queries.Cluster]:
        """Those of the last cycle that found any, the largest first."""
        newest = await self._views.first(
            "clusters_v1",
            "SELECT cycle_id FROM clusters_v1 WHERE workload = {workload:String} "
            "ORDER BY found_at DESC LIMIT 1",
            workload=workload,
        )
        return await self.clusters_of(workload, newest["cycle_id"]) if newest else []

    async def clusters_of(self, workload: str, cycle_id: str) -> list[page_queries.Cluster]:
        """Those of one cycle, the largest first."""
        rows = await self._views.rows(
            "clusters_v1",
            "SELECT cycle_id, name, size, found_at FROM clusters_v1 "
            "WHERE workload = {workload:String} AND cycle_id = {cycle:String} "
            "ORDER BY size DESC, name LIMIT 50",
            workload=workload,
            cycle=cycle_id,
        )
        return [
            page_queries.Cluster(row["cycle_id"], row["name"], int(row["size"]), utc(row["found_at"]))
            for row in rows
        ]

    async def datasets(self, workload: str) -> list[page_queries.Dataset]:
        """Newest first."""
        rows = await self._views.rows(
            "datasets_v1",
            "SELECT dataset_id, version, ifNull(cycle_id, '') AS cycle, cutoff, train_rows, train_digest, "
            "manifest_uri, "
            "seed, corrected, duplicates, leaks_blocked, invalid, redacted_values, published_at FROM "
            "datasets_v1 "
            "WHERE workload = {workload:String} ORDER BY version DESC LIMIT 100",
            workload=workload,
        )
        return [
            page_queries.Dataset(
                row["dataset_id"],
                int(row["version"]),
                row["cycle"],
                utc(row["cutoff"]),
                int(row["train_rows"]),
                row["train_digest"],
                row["manifest_uri"],
                DatasetCounts.model_validate({name: row[name] for name in DatasetCounts.model_fields}),
                utc(row["published_at"]),
            )
            for row in rows
        ]

    async def last_refusal(self, workload: str) -> page_queries.Refusal | None:
        row = await self._views.first(
            "dataset_refusals_v1",
            "SELECT ifNull(cycle_id, '') AS cycle, reason, refused_at FROM dataset_refusals_v1 "
            "WHERE workload = {workload:String} ORDER BY refused_at DESC LIMIT 1",
            workload=workload,
        )
        return page_queries.Refusal(row["cycle"], row["reason"], utc(row["refused_at"])) if row else None


def _cycle(row: Row) -> page_queries.Cycle:
    return page_queries.Cycle(row["cycle_id"], utc(row["cutoff"]), row["reason"], row["requested_by"])
