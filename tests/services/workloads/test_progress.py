"""How far a run is, as its events tell it; pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from services.workloads.progress import Progress, Waits
from shared.events import TrainingProgressed

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)


def progress(*done: int) -> Progress:
    """So much was done, one second after the other, of ten."""
    held = None
    for second, each in enumerate(done):
        event = TrainingProgressed(
            run_id="r1",
            workload="tickets",
            phase="evaluation",
            done=each,
            total=10,
            progressed_at=NOON + timedelta(seconds=second),
        )
        held = Progress.after(held, event, second)
    assert held is not None
    return held


def test_a_run_that_says_no_time_takes_the_rest_at_its_pace() -> None:
    assert progress(0, 4).seconds_left == 1.5
    assert progress(4, 4).seconds_left is None


def test_more_done_than_was_to_be_done_leaves_no_time_and_never_less() -> None:
    assert progress(0, 12).seconds_left == 0.0


def test_a_run_that_stands_still_says_since_when_and_why_until_it_goes_on() -> None:
    told = TrainingProgressed(
        run_id="r1",
        workload="tickets",
        phase="evaluation",
        done=4,
        total=10,
        seconds_left=60.0,
        waits_since=NOON,
        waits_for="it serves another base model.",
        progressed_at=NOON + timedelta(seconds=10),
    )
    waiting = Progress.after(progress(0, 4), told, 11)
    assert waiting.waits == Waits(NOON, "it serves another base model.")
    assert waiting.sentence == "waits: it serves another base model."
    assert waiting.seconds_left is None
    goes_on = told.model_copy(
        update={
            "waits_since": None,
            "waits_for": "",
            "done": 5,
            "progressed_at": NOON + timedelta(seconds=20),
        }
    )
    assert goes_on.event_id != told.event_id
    after = Progress.after(waiting, goes_on, 12)
    assert (after.waits, after.sentence) == (None, "evaluation, answer 5 of 10")
