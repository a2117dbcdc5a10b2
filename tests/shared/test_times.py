from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from shared.times import milliseconds, utc

NOON = datetime(2026, 3, 2, 12, 0, 0, 5000, UTC)


@pytest.mark.parametrize(
    "given", [NOON, NOON.replace(tzinfo=None), NOON.astimezone(timezone(timedelta(hours=5, minutes=30)))]
)
def test_a_time_without_a_zone_is_utc_and_any_other_the_same_moment(given: datetime) -> None:
    assert utc(given) == NOON
    assert utc(given).tzinfo is UTC


def test_milliseconds_are_those_since_1970_and_lose_none_to_rounding() -> None:
    assert milliseconds(NOON) == 1772452800005
    moments = [NOON + timedelta(milliseconds=n) for n in range(1000)]
    assert [milliseconds(each) for each in moments] == list(range(1772452800005, 1772452801005))
