"""Labels as single tokens, and probabilities over labels."""

from __future__ import annotations

import math

import pytest

from shared.labels import NoTokenLeft, answers_for, candidate_answers, label_answer


def tokens_of(single: set[str]) -> dict[str, list[int]]:
    texts = [*sorted(single), *candidate_answers([])]
    return {text: [number] if text in single else [number, 0] for number, text in enumerate(texts)}


def test_labels_that_are_single_tokens_go_by_their_names() -> None:
    tokens = tokens_of({" refund", " card"})
    assert answers_for(["refund", "card"], tokens.__getitem__) == {"refund": " refund", "card": " card"}


def test_one_label_of_two_tokens_gives_codes_to_all() -> None:
    tokens = tokens_of({" A", " C"}) | {" refund": [7], " card lost": [8, 9]}
    assert answers_for(["refund", "card lost"], tokens.__getitem__) == {"refund": " A", "card lost": " C"}


def test_labels_whose_tokens_collide_get_codes() -> None:
    tokens = tokens_of({" A", " B"}) | {" mit": [7], " MIT": [7]}
    assert answers_for(["mit", "MIT"], tokens.__getitem__) == {"mit": " A", "MIT": " B"}


def test_too_many_labels_for_the_tokenizer_is_said() -> None:
    tokens = tokens_of({" A"}) | {" a b": [1, 2], " c d": [3, 4]}
    with pytest.raises(NoTokenLeft, match="2 labels"):
        answers_for(["a b", "c d"], tokens.__getitem__)


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
