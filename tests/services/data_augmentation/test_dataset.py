from __future__ import annotations

from services.data_augmentation.dataset import build, corrected_rows, label_counts
from services.data_augmentation.rows import Row, valid_rows
from shared.fields import MAX_TEXT_BYTES


def correction(prediction_id: str, right_answer: str, minute: int) -> dict[str, str]:
    at = f"2026-11-24T10:{minute:02}:00.000Z"
    return {"prediction_id": prediction_id, "predicted_at": at, "right_answer": right_answer}


def test_of_two_corrections_of_one_prediction_the_later_holds() -> None:
    rows = corrected_rows([correction("p1", "a", 1), correction("p1", "b", 1)], {"p1": "text"})
    assert rows == [Row("text", "b", "p1")]


def test_of_one_text_with_two_labels_the_newest_wins() -> None:
    listed = [correction("new", "b", 5), correction("old", "a", 1)]
    corrected = corrected_rows(listed, {"old": "The text", "new": "the text!"})
    dataset = build([Row("THE TEXT", "c")], corrected, [])
    assert dataset.train == [Row("the text!", "b", "new")]
    assert (dataset.counts.corrected, dataset.counts.seed, dataset.counts.duplicates) == (1, 0, 2)


def test_a_correction_without_its_text_is_invalid() -> None:
    rows = corrected_rows([correction("p1", "a", 1)], {})
    assert valid_rows(rows, ["a"]) == ([], 1)


def test_rows_without_text_too_long_or_of_no_label_are_set_aside() -> None:
    good = Row("text", "a")
    rows = [good, Row("  ", "a"), Row("x" * (MAX_TEXT_BYTES + 1), "a"), Row("text", "unknown")]
    assert valid_rows(rows, ["a", "b"]) == ([good], 3)


def test_leaks_are_counted_and_a_judging_row_brought_again_is_none() -> None:
    golden = Row("one two three", "a")
    dataset = build([golden, Row("other", "a")], [Row("One, two, three", "b", "p1")], [golden])
    assert dataset.train == [Row("other", "a")]
    assert (dataset.counts.leaks_blocked, dataset.counts.seed, dataset.counts.corrected) == (1, 1, 0)


def test_labels_without_rows_are_counted_too() -> None:
    assert label_counts([Row("t", "b")], ["a", "b"]) == {"a": 0, "b": 1}
