"""Reading what other services publish: a view whose owner has not started yet reads as empty."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from clickhouse_connect.driver.exceptions import ClickHouseError

from shared.clickhouse import ClickHouse

Row = Mapping[str, Any]


class TablesDoNotAnswer(Exception):
    """ClickHouse is away or refused a query. Try again in a moment."""


class Views:
    def __init__(self, clickhouse: ClickHouse) -> None:
        self._clickhouse = clickhouse
        self._published: set[str] = set()

    async def first(self, view: str, sql: str, **parameters: Any) -> Row:
        rows = await self.rows(view, sql, **parameters)
        return rows[0] if rows else {}

    async def rows(self, view: str, sql: str, **parameters: Any) -> list[dict[str, Any]]:
        if not await self.has(view):
            return []
        return await self._ask(sql, **parameters)

    async def has(self, view: str) -> bool:
        if view not in self._published:
            rows = await self._ask("SELECT name FROM system.tables WHERE database = currentDatabase()")
            self._published = {row["name"] for row in rows}
        return view in self._published

    async def _ask(self, sql: str, **parameters: Any) -> list[dict[str, Any]]:
        try:
            return await self._clickhouse.rows(sql, **parameters)
        except (ClickHouseError, OSError) as error:
            raise TablesDoNotAnswer(f"ClickHouse: {type(error).__name__}") from error


def number(row: Row, name: str) -> int:
    return int(row.get(name) or 0)


def millis(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
