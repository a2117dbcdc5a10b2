"""What failed is tried again after growing pauses, each by its own name."""

from __future__ import annotations

import pytest

from shared.backoff import Failures, pause_seconds


def test_what_failed_is_due_after_a_pause_that_grows_until_it_goes_well() -> None:
    failures, error, now = Failures(), OSError("away"), 100.0
    for _ in range(3):
        assert failures.not_yet("a", now) is None
        failures.failed("a", error, now)
        assert failures.not_yet("a", now) is error
        assert failures.not_yet("b", now) is None
        now += failures.seconds_left("a", now)
    failures.failed("a", error, now)
    assert failures.seconds_left("a", now) == pytest.approx(pause_seconds(4))
    failures.went_well("a")
    assert (failures.not_yet("a", now), failures.seconds_left("a", now)) == (None, 0.0)
    failures.failed("a", error, now)
    assert failures.seconds_left("a", now) == pytest.approx(pause_seconds(1))
