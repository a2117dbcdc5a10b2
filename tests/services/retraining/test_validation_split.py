from __future__ import annotations

from collections import Counter
from typing import Any

from services.retraining.validation_split import split


def rows(**counts: int) -> list[dict[str, Any]]:
    return [
        {"text": f"{label} {'x' * number}", "label": label}
        for label, count in counts.items()
        for number in range(count)
    ]


def test_each_label_gives_by_its_share() -> None:
    given = rows(a=100, b=50, c=50)
    trained, kept = split(given, 20, seed=1)
    assert Counter(row["label"] for row in kept) == {"a": 10, "b": 5, "c": 5}
    assert Counter(row["text"] for row in (*trained, *kept)) == Counter(row["text"] for row in given)


def test_a_label_of_one_row_is_trained_on() -> None:
    trained, kept = split(rows(a=30, b=1), 15, seed=1)
    assert "b" in {row["label"] for row in trained}
    assert "b" not in {row["label"] for row in kept}


def test_near_copies_stay_on_one_side() -> None:
    copies = [{"text": f"Order {number}, where is it?!", "label": "a"} for number in range(20)]
    trained, kept = split(copies + rows(a=20), 10, seed=1)
    sides = (
        {row["text"].startswith("Order") for row in trained},
        {row["text"].startswith("Order") for row in kept},
    )
    assert sides[1] == {False}
    assert sides[0] == {True, False}


def test_one_text_under_two_labels_stays_on_one_side() -> None:
    twice = [{"text": "both", "label": label} for label in ("a", "b")] * 3
    trained, kept = split(twice + rows(a=10, b=10), 12, seed=3)
    assert ("both" in {row["text"] for row in trained}) != ("both" in {row["text"] for row in kept})


def test_nothing_is_kept_where_nothing_is_wanted() -> None:
    assert split(rows(a=3, b=4), 0, seed=1)[1] == []
