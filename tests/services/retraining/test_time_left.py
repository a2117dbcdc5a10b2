"""How long a run will take still."""

from __future__ import annotations

from services.retraining.time_left import Mark, TimeLeft, seconds_left
from shared.job_protocol import JobProgress


def progress(done: int, phase: str = "training") -> JobProgress:
    return JobProgress(phase=phase, done=done, total=60)


def test_what_is_left_takes_as_long_as_the_same_number_of_steps_took() -> None:
    assert seconds_left(Mark(10, 100.0), Mark(30, 140.0), 60) == 60.0
    assert seconds_left(Mark(10, 100.0), Mark(60, 140.0), 60) == 0.0
    assert seconds_left(Mark(10, 100.0), Mark(70, 140.0), 60) == 0.0


def test_without_a_step_or_without_time_there_is_no_pace() -> None:
    assert seconds_left(Mark(10, 100.0), Mark(10, 140.0), 60) is None
    assert seconds_left(Mark(10, 100.0), Mark(11, 100.0), 60) is None


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
