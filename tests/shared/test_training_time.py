from __future__ import annotations

import pytest

from shared.training_time import evaluation_seconds, expected_minutes, steps, training_seconds
from shared.workload import Split, Training, Workload


@pytest.mark.parametrize(
    ("rows", "epochs", "most", "expected"),
    [
        (320, 2.0, 400, 40),
        (321, 2.0, 400, 42),  # a last, smaller batch in each epoch
        (320, 2.0, 30, 30),
        (320, 0.5, 400, 10),
        (3, 1.0, 400, 1),
        (1, 0.1, 400, 1),
    ],
)
def test_steps_are_epochs_over_the_rows_up_to_a_limit(
    rows: int, epochs: float, most: int, expected: int
) -> None:
    assert steps(rows, Training(batch_size=16, epochs=epochs, max_steps=most)) == expected


def test_seconds_follow_from_tokens_and_speed() -> None:
    training = Training(batch_size=16, epochs=2.0, max_steps=400)
    assert training_seconds(320, 25, training, 400) == pytest.approx(640 * 25 * 2.5 / 400)
    assert evaluation_seconds(500, 25, 400) == pytest.approx(31.25)


def test_rows_in_a_smaller_last_batch_are_not_counted_as_full() -> None:
    assert training_seconds(10, 10, Training(batch_size=16, epochs=1.0), 25) == pytest.approx(10)


def test_minutes_are_training_and_answers_and_a_start() -> None:
    workload = Workload(
        name="t",
        title="T",
        prompt="{text}:",
        labels=("a", "b"),
        split=Split(golden=20, held_out=30),
        training=Training(batch_size=10, epochs=1.0, max_steps=400),
    )
    trained, asked = 450, 2 * 30 + 20 + 60
    seconds = trained * 20 * 2.5 / 100 + asked * 20 / 100 + 40
    assert expected_minutes(workload, 500, 20, 100) == pytest.approx(seconds / 60)


def test_few_rows_leave_at_most_a_fifth_to_each_of_golden_and_held_out() -> None:
    workload = Workload(
        name="t", title="T", prompt="{text}:", labels=("a", "b"), training=Training(batch_size=10, epochs=1.0)
    )
    asked = 2 * 20 + 20 + 60
    assert expected_minutes(workload, 100, 1, 1) == pytest.approx((60 * 2.5 + asked + 40) / 60)
