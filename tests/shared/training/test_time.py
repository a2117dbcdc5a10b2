from __future__ import annotations

from typing import Any

import pytest

from shared.training.defaults import plan
from shared.training.device import Device
from shared.training.plan import TrainingPlan
from shared.training.time import evaluation_seconds, expected_minutes, training_seconds
from shared.workload import Split, Training, Workload


def planned(rows: int, **said: Any) -> TrainingPlan:
    return plan(Training(validation_share=0, **said), rows, 2, 10, 1, Device())


def test_seconds_follow_from_tokens_and_speed() -> None:
    assert training_seconds(planned(320, batch_size=16, epochs=2.0), 25, 400) == pytest.approx(
        640 * 25 * 2.5 / 400
    )
    assert evaluation_seconds(500, 25, 400) == pytest.approx(31.25)


def test_rows_in_a_smaller_last_batch_are_not_counted_as_full() -> None:
    assert training_seconds(planned(10, batch_size=16, epochs=1.0), 10, 25) == pytest.approx(10)


def test_rows_that_choose_the_epoch_are_read_once_an_epoch() -> None:
    validated = plan(Training(validation_share=0.2, epochs=2), 100, 2, 10, 1, Device())
    assert training_seconds(validated, 10, 100) == pytest.approx((2 * 80 * 2.5 + 2 * 20) * 10 / 100)


def test_minutes_are_training_and_answers_and_a_start() -> None:
    workload = Workload(
        name="t",
        title="T",
        prompt="{text}:",
        labels=("a", "b"),
        split=Split(golden=20, held_out=30),
        training=Training(batch_size=10, epochs=1.0, validation_share=0),
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
