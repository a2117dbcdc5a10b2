"""Who is flagged is decided by the prediction alone, the same whenever it is asked."""

from __future__ import annotations

import pytest

from services.prediction_logging.flags import is_drawn, reasons
from shared.events import FlagReason
from shared.workload import Review
from tests.services.prediction_logging.conftest import logged

NO_AUDIT = Review(doubt_below=0.6, audit_share=0)


@pytest.mark.parametrize(
    ("confidence", "disliked", "expected"),
    [
        (0.59, False, [FlagReason.DOUBTED]),
        (0.6, False, []),
        (0.9, True, [FlagReason.DISLIKED]),
        (0.1, True, [FlagReason.DOUBTED, FlagReason.DISLIKED]),
    ],
)
def test_a_prediction_is_flagged_for_every_reason_that_applies(
    confidence: float, disliked: bool, expected: list[FlagReason]
) -> None:
    assert reasons(logged("p", confidence=confidence), NO_AUDIT, disliked=disliked) == expected


def test_the_audit_draws_its_share_of_all_ids() -> None:
    drawn = sum(is_drawn(f"p-{number}", 0.05) for number in range(20_000))
    assert 850 < drawn < 1150  # 1000 expected, standard deviation 31


def test_a_larger_share_draws_the_same_ids_and_more() -> None:
    ids = [f"p-{number}" for number in range(1000)]
    assert {name for name in ids if is_drawn(name, 0.1)} < {name for name in ids if is_drawn(name, 0.3)}


def test_no_share_draws_nobody_and_a_whole_one_everybody() -> None:
    ids = [f"p-{number}" for number in range(1000)]
    assert not any(is_drawn(name, 0) for name in ids)
    assert all(is_drawn(name, 1) for name in ids)


def test_a_retired_workload_s_sample_is_not_drawn() -> None:
    everything = Review(doubt_below=0.6, audit_share=1)
    doubted = logged("p", confidence=0.1)
    assert reasons(doubted, everything, disliked=False, is_retired=True) == [FlagReason.DOUBTED]
