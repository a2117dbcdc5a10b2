"""Times as tables give them and take them; pure."""

from __future__ import annotations

from datetime import UTC, datetime


def utc(moment: datetime) -> datetime:
    """The same moment in UTC, which is also what a time without a zone is in: ClickHouse gives it so."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def milliseconds(moment: datetime) -> int:
    """Since 1970, rounded."""
    return round(moment.timestamp() * 1000)
