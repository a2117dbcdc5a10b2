"""What counts for a run's pace."""

from __future__ import annotations

from datetime import UTC, datetime

from services.retraining.time_left import TimeLeft
from shared.job_protocol import JobProgress


def progress(done: int, phase: str = "training") -> JobProgress:
    return JobProgress(phase=phase, done=done, total=60)


def test_neither_loading_nor_what_an_earlier_attempt_did_counts_for_the_pace() -> None:
    time_left = TimeLeft()
    assert time_left.added(progress(0), 0.0).seconds_left is None
    assert time_left.added(progress(41), 50.0).seconds_left is None
    assert time_left.added(progress(42), 52.0).seconds_left == 36.0


def test_each_phase_has_its_own_pace() -> None:
    time_left = TimeLeft()
    time_left.added(progress(1), 0.0)
    assert time_left.added(progress(1, "evaluation"), 100.0).seconds_left is None
    assert time_left.added(progress(2, "evaluation"), 101.0).seconds_left == 58.0


def test_what_stands_still_has_no_pace() -> None:
    time_left = TimeLeft()
    time_left.added(progress(1), 0.0)
    waits = progress(3).model_copy(update={"waits_since": datetime.now(UTC), "waits_for": "a server"})
    assert time_left.added(waits, 2.0).seconds_left is None
