"""SQL on the audit log."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from shared.access.audit_chain import Head, Link
from shared.clickhouse import ClickHouse
from shared.events import ActionAudited


@dataclass(frozen=True)
class Stored:
    """One row, and whose chain it is in."""

    partition: int
    link: Link

    @property
    def action(self) -> ActionAudited:
        return ActionAudited.model_validate_json(self.link.action)


class AuditStore:
    def __init__(self, clickhouse: ClickHouse) -> None:
        self._clickhouse = clickhouse

    async def add(self, partition: int, links: Iterable[tuple[str, Link]]) -> None:
        """Each with the id of its action. The same row again replaces itself."""
        rows = [
            {
                "partition": partition,
                "number": link.number,
                "action_id": action_id,
                "action": link.action,
                "hash": link.hash,
            }
            for action_id, link in links
        ]
        await self._clickhouse.insert("audit_log", rows)

    async def known(self, partition: int, action_ids: Iterable[str]) -> set[str]:
        rows = await self._clickhouse.rows_about(
            ([action_id] for action_id in action_ids),
            ["action_id"],
            "SELECT DISTINCT action_id FROM audit_log WHERE partition = {partition:Int32} "
            "AND action_id IN (SELECT action_id FROM asked)",
            partition=partition,
        )
        return {row["action_id"] for row in rows}

    async def head(self, partition: int) -> Head | None:
        """None: the partition has no row yet."""
        rows = await self._clickhouse.rows(
            "SELECT number, hash FROM audit_log WHERE partition = {partition:Int32} "
            "ORDER BY number DESC LIMIT 1",
            partition=partition,
        )
        return Head(rows[0]["number"], rows[0]["hash"]) if rows else None

    async def heads(self) -> dict[int, Head]:
        """Of every partition that has rows."""
        rows = await self._clickhouse.rows(
            "SELECT partition, max(number) AS number, argMax(hash, audit_log.number) AS hash "
            "FROM audit_log GROUP BY partition"
        )
        return {row["partition"]: Head(row["number"], row["hash"]) for row in rows}

    async def links(self, partition: int, after: int, limit: int) -> Sequence[Link]:
        """In the order of the chain."""
        rows = await self._clickhouse.rows(
            "SELECT number, action, hash FROM audit_log FINAL WHERE partition = {partition:Int32} "
            "AND number > {after:Int64} ORDER BY number LIMIT {limit:UInt32}",
            partition=partition,
            after=after,
            limit=limit,
        )
        return [Link(row["number"], row["action"], row["hash"]) for row in rows]

    async def newest(self, before: str, limit: int) -> Sequence[Stored]:
        """The newest first, as their ids sort by time; with `before` those that came before that id."""
        rows = await self._clickhouse.rows(
            "SELECT partition, number, action, hash FROM audit_log FINAL "
            "WHERE (partition, number) IN (SELECT partition, number FROM audit_log "
            "WHERE {before:String} = '' OR action_id < {before:String} "
            "ORDER BY action_id DESC LIMIT {limit:UInt32}) "
            "ORDER BY action_id DESC",
            before=before,
            limit=limit,
        )
        return [Stored(row["partition"], Link(row["number"], row["action"], row["hash"])) for row in rows]
