"""What no table should hold is known before it is stored."""

from __future__ import annotations

import pytest

from services.prediction_logging.invalid_predictions import why_invalid
from tests.services.prediction_logging.conftest import logged, workload_added

LABELS = workload_added().definition.known_labels


@pytest.mark.parametrize(
    "fields", [{"answer": "secret@example.com"}, {"probabilities": {"secret@example.com": 1.0}}]
)
def test_a_misfit_is_named_without_quoting_it(fields: dict[str, object]) -> None:
    reason = why_invalid(logged("p", **fields), LABELS)
    assert reason is not None
    assert "secret" not in reason


def test_what_fits_is_no_misfit() -> None:
    assert why_invalid(logged("p"), LABELS) is None
