"""Labels as single tokens, and probabilities over labels."""

from __future__ import annotations

import math

import pytest

from shared.labels import label_answer


def test_probabilities_are_normalised_over_the_labels() -> None:
    answer = label_answer({1: math.log(0.3), 2: math.log(0.1), 9: math.log(0.6)}, {"refund": 1, "card": 2})
    assert answer.label == "refund"
    assert answer.confidence == pytest.approx(0.75)
    assert sum(answer.probabilities.values()) == pytest.approx(1)


def test_a_label_the_server_did_not_return_is_impossible() -> None:
    assert label_answer({1: -0.1}, {"refund": 1, "card": 2}).probabilities["card"] == 0


def test_no_label_at_all_is_an_error() -> None:
    with pytest.raises(ValueError, match="no label"):
        label_answer({9: -0.1}, {"refund": 1})
