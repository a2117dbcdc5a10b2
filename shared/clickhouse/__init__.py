"""ClickHouse as every service uses it: its own tables, others' published views."""

from shared.clickhouse.client import ClickHouse
from shared.clickhouse.opening import clickhouse_at, connect
from shared.clickhouse.refusals import CannotUseClickHouse

__all__ = ["CannotUseClickHouse", "ClickHouse", "clickhouse_at", "connect"]
