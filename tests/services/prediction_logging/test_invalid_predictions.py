"""What no table should hold is known before it is stored."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from services.prediction_logging.invalid_predictions import why_feedback_invalid, why_invalid
from tests.services.prediction_logging.conftest import feedback, logged, workload_added


@pytest.mark.parametrize(
    "fields",
    [
        {"answer": "secret@example.com"},
        {"probabilities": {"secret@example.com": 1.0}},
        {"tokens_in": 2**32},
        {"latency_ms": 1e300},
        {"predicted_at": datetime(9999, 1, 1, tzinfo=UTC)},
        {"predicted_at": datetime(1, 1, 1, tzinfo=UTC)},
    ],
)
def test_a_misfit_is_named_without_quoting_it(fields: dict[str, object]) -> None:
    reason = why_invalid(logged("p", **fields), workload_added())
    assert reason is not None
    assert "secret" not in reason


def test_what_fits_is_no_misfit() -> None:
    assert why_invalid(logged("p"), workload_added()) is None
    assert why_feedback_invalid(feedback("never-seen")) is None
