from __future__ import annotations

import pytest

from services.retraining.plan import evaluation_seconds, steps, training_seconds
from shared.workload import Training


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
