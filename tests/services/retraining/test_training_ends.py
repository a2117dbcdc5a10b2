from __future__ import annotations

import math

import pytest

from services.retraining.best_epoch import best_step, is_over
from services.retraining.divergence import why_to_end
from services.retraining.training_warnings import warnings
from shared.training.defaults import plan
from shared.training.device import Device
from shared.training.section import Training

NAN, INFINITE = float("nan"), float("inf")


@pytest.mark.parametrize("loss", [NAN, INFINITE], ids=str)
def test_a_loss_that_is_no_number_ends_it(loss: float) -> None:
    assert "learning_rate" in (why_to_end([4.0, loss], 1.0, 1000) or "")
    assert "the gradient of step 1" in (why_to_end([4.0], loss, 1000) or "")


BLIND = math.log(1000)


@pytest.mark.parametrize("lost", [BLIND, 9.0])
def test_a_loss_that_comes_to_a_blind_guess_and_stays_there_ends_it(lost: float) -> None:
    assert "learning_rate" in (why_to_end([5.0, 6.0, *[lost] * 12], 0.0, 1000) or "")
    assert why_to_end([5.0, 6.0, *[lost] * 11], 0.0, 1000) is None
    assert why_to_end([5.0, 9.0, *[lost] * 6, 6.0, *[lost] * 6], 1.0, 1000) is None  # it may come back


def test_a_base_model_that_knows_nothing_may_begin_with_a_blind_guess() -> None:
    assert why_to_end([BLIND] * 24, 1.0, 1000) is None
    assert why_to_end([15.0] * 11 + [14.0] * 13, 1.0, 1000) is None


def test_the_earlier_of_two_equal_epochs_is_the_best() -> None:
    assert best_step({10: 0.5, 20: 0.3, 30: 0.3, 40: 0.4}) == 20


def test_it_is_over_when_no_epoch_got_better_for_so_long() -> None:
    losses = {10: 0.5, 20: 0.3, 30: 0.4}
    assert is_over(losses, 1)
    assert not is_over(losses, 2)
    assert not is_over(losses, 0)
    assert not is_over({}, 1)
    assert not is_over({10: 0.5, 20: 0.6, 30: 0.4}, 1)


def test_rows_that_were_never_seen_are_said() -> None:
    planned = plan(Training(max_steps=400), 50_000, 10, 40, 135_000_000, Device())
    (said,) = warnings(planned, planned.train_rows, 6_400, 0)
    assert said.startswith("43400 of 49800 training rows were never seen")
    assert warnings(planned, 300, 300, 0) == ()


def test_texts_that_were_cut_are_said() -> None:
    planned = plan(Training(max_length=128), 500, 10, 40, 135_000_000, Device())
    (said,) = warnings(planned, 450, 900, 3)
    assert said.startswith("3 of 500 texts were longer than 128 tokens")
