"""Failures and clusters in ClickHouse; texts and definitions are read from other services' views."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from services.failure_clustering.cluster_life import Known
from services.failure_clustering.names import Text
from shared.clickhouse import ClickHouse
from shared.events import Cluster, ClusterStatus, CycleStarted
from shared.times import milliseconds, utc
from shared.workload import Workload

if TYPE_CHECKING:
    from services.failure_clustering.clustering import Clustered

IDS_AT_ONCE = 500  # ClickHouse takes no parameter above 128 KiB, and an id may be 128 characters long
# Times are bound in milliseconds: as DateTime parameters they would lose what is below a second.
CUTOFF = "fromUnixTimestamp64Milli({cutoff:Int64}, 'UTC')"


class FailureStore:
    """All SQL of this service."""

    def __init__(self, clickhouse: ClickHouse) -> None:
        self._clickhouse = clickhouse

    async def keep_failures(self, cycle: CycleStarted, rows: Iterable[Mapping[str, Any]]) -> None:
        """The rows of the cycle's frozen list."""
        await self._clickhouse.insert(
            "failures",
            [
                {
                    "workload": cycle.workload,
                    "prediction_id": row["prediction_id"],
                    "predicted_at": datetime.fromisoformat(row["predicted_at"]),
                    "answer": row["answer"],
                    "right_answer": row["right_answer"],
                    "cut": cycle.cutoff,
                }
                for row in rows
            ],
        )

    async def texts(self, workload: str, prediction_ids: Sequence[str]) -> dict[str, Text]:
        """Prediction id → text and source, for those that are still kept."""
        texts: dict[str, Text] = {}
        for start in range(0, len(prediction_ids), IDS_AT_ONCE):
            rows = await self._clickhouse.rows(
                """SELECT prediction_id, input, subject_id, group_id FROM predictions_v1
                WHERE workload = {workload:String} AND prediction_id IN {ids:Array(String)}""",
                workload=workload,
                ids=list(prediction_ids[start : start + IDS_AT_ONCE]),
            )
            for row in rows:
                texts[str(row["prediction_id"])] = Text(row["input"], row["subject_id"] or row["group_id"])
        return texts

    async def definition(self, workload: str, revision: int | None) -> Workload | None:
        """The workload's definition of this revision, or the newest one for a cycle of version 0.1."""
        rows = await self._clickhouse.rows(
            """SELECT definition FROM workload_revisions_v1
            WHERE workload = {workload:String} AND revision <= {revision:Int64}
            ORDER BY revision DESC LIMIT 1""",
            workload=workload,
            revision=revision if revision is not None else 2**62,
        )
        return Workload.model_validate_json(rows[0]["definition"]) if rows else None

    async def known_clusters(self, workload: str, before: datetime) -> tuple[list[Known], datetime | None]:
        """Every cluster as last seen before a cutoff, and the cutoff of the last cycle that had any."""
        rows = await self._clickhouse.rows(
            f"""SELECT cluster_id, name, toString(answer) AS said, toString(right_answer) AS should_say, size,
                toString(status) AS cluster_status, centroid, cut
            FROM clusters FINAL WHERE workload = {{workload:String}} AND cut < {CUTOFF}
            ORDER BY cut DESC, cluster_id LIMIT 1 BY cluster_id""",
            workload=workload,
            cutoff=milliseconds(before),
        )
        members = await self._clickhouse.rows(
            """SELECT cluster_id, groupArray(prediction_id) AS ids FROM cluster_members FINAL
            WHERE workload = {workload:String} AND cluster_id != '' GROUP BY cluster_id""",
            workload=workload,
        )
        ids = {row["cluster_id"]: frozenset(row["ids"]) for row in members}
        last = max((row["cut"] for row in rows), default=None)
        known = [
            Known(
                cluster_id=row["cluster_id"],
                name=row["name"],
                answer=row["said"],
                right_answer=row["should_say"],
                size=row["size"],
                status=ClusterStatus(row["cluster_status"]) if row["cluster_status"] else None,
                centroid=row["centroid"],
                members=ids.get(row["cluster_id"], frozenset()),
                is_of_last_cycle=row["cut"] == last,
            )
            for row in rows
        ]
        return known, utc(last) if last else None

    async def keep_clustered(self, clustered: Clustered, members: Iterable[Mapping[str, Any]]) -> None:
        """The clusters and who belongs to them; `members` are the rows of the event's list of failures."""
        found = clustered.found
        cycle = {"workload": found.workload, "cycle_id": found.cycle_id, "cut": found.cutoff}

        def row(cluster: Cluster, size: int) -> dict[str, Any]:
            return cycle | {
                **cluster.model_dump(exclude={"status", "size_before"}),
                "size": size,
                "status": cluster.status.value if cluster.status else "",
                "size_before": cluster.size_before or 0,
                "centroid": clustered.centroids.get(cluster.cluster_id, []),
                "found_at": found.found_at,
            }

        rows = [row(cluster, cluster.size) for cluster in found.clusters]
        await self._clickhouse.insert("clusters", rows + [row(cluster, 0) for cluster in clustered.gone])
        await self._clickhouse.insert(
            "cluster_members",
            [
                cycle | {"prediction_id": member["prediction_id"], "cluster_id": member["cluster_id"] or ""}
                for member in members
            ],
        )
