from __future__ import annotations

import math

import pytest

from services.retraining.parity import EXTRACTED, MERGING, Tolerance, parity


def logs(*shares: float) -> list[float]:
    return [math.log(share) for share in shares]


def test_models_that_say_the_same_differ_in_nothing() -> None:
    same = parity([logs(0.7, 0.1), logs(0.2, 0.3)], [logs(0.7, 0.1), logs(0.2, 0.3)])
    assert (same.differ, same.mean_difference, same.agreement) == (0, 0.0, 1.0)
    assert all(tolerance.holds(same) for tolerance in (*MERGING.values(), EXTRACTED))


def test_only_the_answers_among_themselves_count() -> None:
    """The rest of the vocabulary takes half the probability in the second model, and no answer changes."""
    assert parity([logs(0.6, 0.2)], [logs(0.3, 0.1)]).mean_difference == pytest.approx(0)


def test_another_answer_and_another_confidence_are_told_apart() -> None:
    told = parity([logs(0.8, 0.2), logs(0.6, 0.4)], [logs(0.9, 0.1), logs(0.4, 0.6)])
    assert (told.rows, told.differ, told.agreement) == (2, 1, 0.5)
    assert told.largest_difference == pytest.approx(math.log(0.6 / 0.4))
    assert "50.0% of 2 rows get the same answer" in str(told)


@pytest.mark.parametrize(
    ("rows", "differ", "holds"), [(10, 1, True), (10, 2, False), (100, 2, True), (100, 3, False)]
)
def test_one_row_may_always_differ_and_otherwise_a_share(rows: int, differ: int, holds: bool) -> None:
    one, other = logs(0.51, 0.49), logs(0.49, 0.51)
    told = parity([one] * rows, [other] * differ + [one] * (rows - differ))
    assert Tolerance(0.02, 0.1).holds(told) is holds


def test_what_is_no_number_never_holds() -> None:
    told = parity([logs(0.5, 0.5)], [[math.nan, math.nan]])
    assert not Tolerance(1.0, 100.0).holds(told)


def test_answers_that_rounding_alone_tells_apart_are_a_tie() -> None:
    """A model that doubts says two answers alike; which of them is first is then a matter of its last bit."""
    doubtful, other_way = logs(0.36, 0.34), logs(0.34, 0.36)
    assert parity([doubtful], [other_way]).differ == 1
    assert parity([doubtful], [other_way], tie=0.15).differ == 0
    assert parity([logs(0.6, 0.4)], [logs(0.4, 0.6)], tie=0.15).differ == 1
    assert parity([doubtful], [[math.nan, math.nan]], tie=0.15).differ == 1
