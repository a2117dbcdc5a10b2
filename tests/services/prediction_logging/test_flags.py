"""Who is flagged is decided by the prediction alone, the same whenever it is asked."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from services.prediction_logging.flags import FlagPolicy, bound, is_drawn
from shared.events import FlagReason
from tests.services.prediction_logging.conftest import logged, workload_added
from tests.services.prediction_logging.process import LOTS

NEW_YEAR = datetime(2027, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("confidence", "audit_share", "expected"),
    [
        (0.59, 0, [FlagReason.DOUBTED]),
        (0.6, 0, []),
        (0.9, 1, [FlagReason.AUDIT]),
        (0.1, 1, [FlagReason.DOUBTED, FlagReason.AUDIT]),
    ],
)
def test_a_prediction_is_flagged_for_every_reason_that_applies(
    confidence: float, audit_share: float, expected: list[FlagReason]
) -> None:
    policy = FlagPolicy.of(workload_added(audit_share=audit_share), LOTS)
    assert list(policy.reasons(logged("p", confidence=confidence))) == expected


def test_the_audit_draws_its_share_of_all_ids() -> None:
    drawn = sum(is_drawn(f"p-{number}", bound(0.05), LOTS) for number in range(20_000))
    assert 850 < drawn < 1150  # 1000 expected, standard deviation 31


def test_a_larger_share_draws_the_same_ids_and_more() -> None:
    ids = [f"p-{number}" for number in range(1000)]
    assert {name for name in ids if is_drawn(name, bound(0.1), LOTS)} < {
        name for name in ids if is_drawn(name, bound(0.3), LOTS)
    }


def test_no_share_draws_nobody_and_a_whole_one_everybody() -> None:
    ids = [f"p-{number}" for number in range(1000)]
    assert not any(is_drawn(name, bound(0), LOTS) for name in ids)
    assert all(is_drawn(name, bound(1), LOTS) for name in ids)


def test_a_retired_workload_s_sample_is_not_drawn() -> None:
    retired = workload_added(audit_share=1).model_copy(update={"retired_at": NEW_YEAR})
    assert list(FlagPolicy.of(retired, LOTS).reasons(logged("p", confidence=0.1))) == [FlagReason.DOUBTED]
