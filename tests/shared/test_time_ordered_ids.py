from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

from shared.time_ordered_ids import time_ordered_id

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def test_an_id_is_a_version_7_uuid_of_its_millisecond() -> None:
    made = uuid.UUID(time_ordered_id(NOON))
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert made.int >> 80 == int(NOON.timestamp() * 1000)


def test_later_ids_sort_after_earlier_ones() -> None:
    ids = [time_ordered_id(NOON + timedelta(milliseconds=after)) for after in range(200)]
    assert ids == sorted(ids)


def test_ids_of_one_millisecond_differ() -> None:
    assert len({time_ordered_id(NOON) for _ in range(1000)}) == 1000
