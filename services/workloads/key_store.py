"""SQL on keys."""

from __future__ import annotations

from services.workloads.key_changes import NamedKey
from shared.clickhouse import ClickHouse
from shared.events import AccessChanged


class KeyStore:
    def __init__(self, clickhouse: ClickHouse) -> None:
        self._clickhouse = clickhouse

    async def keep(self, named: NamedKey, *, is_published: bool) -> None:
        changed = named.changed
        row = {
            "key_id": changed.key_id,
            "revision": changed.revision,
            "principal": changed.principal,
            "name": named.name,
            "event": changed.model_dump_json(),
            "changed_at": changed.changed_at,
            "is_published": int(is_published),
        }
        await self._clickhouse.insert("access_keys", [row])

    async def all(self) -> list[NamedKey]:
        """Each as it is now, the newest first."""
        rows = await self._clickhouse.rows(
            "SELECT name, event FROM access_keys FINAL ORDER BY revision DESC LIMIT 1 BY key_id"
        )
        found = [NamedKey(row["name"], AccessChanged.model_validate_json(row["event"])) for row in rows]
        return sorted(found, key=lambda one: one.changed.changed_at, reverse=True)

    async def unpublished(self) -> list[NamedKey]:
        rows = await self._clickhouse.rows(
            "SELECT name, event FROM access_keys FINAL WHERE is_published = 0 ORDER BY key_id, revision"
        )
        return [NamedKey(row["name"], AccessChanged.model_validate_json(row["event"])) for row in rows]
