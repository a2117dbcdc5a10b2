from __future__ import annotations

import pytest

from shared.training.steps import rows_seen, steps, steps_per_epoch


@pytest.mark.parametrize(
    ("rows", "batch_size", "accumulated", "expected"),
    [(320, 16, 1, 20), (321, 16, 1, 21), (320, 4, 4, 20), (3, 16, 1, 1), (17, 4, 4, 2)],
)
def test_an_epoch_sees_every_row(rows: int, batch_size: int, accumulated: int, expected: int) -> None:
    assert steps_per_epoch(rows, batch_size, accumulated) == expected


@pytest.mark.parametrize(
    ("epochs", "per_epoch", "most", "expected"),
    [(2.0, 20, None, 40), (2.0, 20, 30, 30), (0.5, 20, 400, 10), (0.1, 1, None, 1)],
)
def test_steps_are_epochs_unless_somebody_limits_them(
    epochs: float, per_epoch: int, most: int | None, expected: int
) -> None:
    assert steps(epochs, per_epoch, most) == expected


def test_rows_that_were_seen_are_counted_and_not_assumed() -> None:
    assert rows_seen(400, 50_000, 16, 1) == 6_400
    assert rows_seen(21, 321, 16, 1) == 321  # a smaller last batch
    assert rows_seen(42, 321, 16, 1) == 642
    assert rows_seen(5, 64, 4, 4) == 80
