"""What is said of the time that is left: by the console and by the command line alike."""

from __future__ import annotations

import pytest

from shared.time_left import Mark, seconds_left, time_left


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(None, ""), (12.4, "12 s left"), (96.0, "2 min left"), (9000.0, "2.5 h left")],
    ids=["unknown", "seconds", "minutes", "hours"],
)
def test_time_left_is_said_in_its_largest_unit(seconds: float | None, said: str) -> None:
    assert time_left(seconds) == said


def test_what_is_left_takes_as_long_as_the_same_number_of_steps_took() -> None:
    assert seconds_left(Mark(10, 100.0), Mark(30, 140.0), 60) == 60.0
    assert seconds_left(Mark(10, 100.0), Mark(60, 140.0), 60) == 0.0
    assert seconds_left(Mark(10, 100.0), Mark(70, 140.0), 60) == 0.0


def test_without_a_step_or_without_time_there_is_no_pace() -> None:
    assert seconds_left(Mark(10, 100.0), Mark(10, 140.0), 60) is None
    assert seconds_left(Mark(10, 100.0), Mark(11, 100.0), 60) is None
