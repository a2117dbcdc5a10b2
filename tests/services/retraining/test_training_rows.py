from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.retraining.shortening import GAP, shortened
from services.retraining.training_rows import Example, PromptTooLong, TrainingRows
from shared.workload import Workload

WORKLOAD = Workload(name="t", title="T", prompt="Read: {text}\nTopic:", labels=("a", "b"))


def letters(texts: Sequence[str]) -> list[int]:
    return [len(text) for text in texts]


ROWS = TrainingRows(WORKLOAD, {"a": " A", "b": " B"}, letters)


def test_a_text_that_is_too_long_loses_its_middle_and_neither_prompt_nor_answer() -> None:
    long = "beginning " + "z" * 500 + " end"
    (example, short), cut = ROWS.examples([{"text": long, "label": "a"}, {"text": "hi", "label": "b"}], 60)
    assert cut == 1
    assert short == Example("Read: hi\nTopic:", " B")
    assert example.answer == " A"
    assert example.prompt.startswith("Read: beginning z")
    assert example.prompt.endswith(" end\nTopic:")
    assert GAP in example.prompt
    assert 50 < len(example.prompt) <= 58


def test_a_prompt_that_leaves_no_room_says_what_to_do() -> None:
    with pytest.raises(PromptTooLong, match=r"raise training\.max_length"):
        ROWS.examples([{"text": "z" * 100, "label": "a"}], 15)


def test_the_longest_row_is_measured_with_its_prompt_and_answer() -> None:
    assert ROWS.longest([{"text": "12345", "label": "a"}]) == len("Read: 12345\nTopic: A")


@given(st.text(max_size=300), st.integers(min_value=3, max_value=80))
def test_what_is_left_always_fits_and_is_as_much_as_fits(text: str, room: int) -> None:
    left = shortened(text, lambda tried: len(tried) <= room)
    assert left is not None
    assert len(left) == min(len(text), room)
