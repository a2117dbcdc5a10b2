"""Times as ClickHouse takes and gives them."""

from __future__ import annotations

from datetime import UTC, datetime


def to_the_millisecond(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
