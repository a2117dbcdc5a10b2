from __future__ import annotations

import random
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from services.data_augmentation.dataset import build
from services.data_augmentation.leaks import JudgingRows
from services.data_augmentation.rows import Row
from services.data_augmentation.similarity import near_pairs, normalised
from services.data_augmentation.split import newest_of_each, split

texts = st.lists(st.sampled_from("abcdefghijkl"), min_size=1, max_size=14).map(" ".join)
rows = st.lists(st.builds(Row, texts, st.sampled_from(["x", "y", "z"])), max_size=60).map(newest_of_each)


@given(rows, st.integers(10, 20), st.integers(10, 20))
@settings(max_examples=60)
def test_nothing_is_lost_and_nothing_stands_twice(rows: list[Row], golden: int, held_out: int) -> None:
    parts = split(rows, golden, held_out, seed="s")
    assert Counter([*parts.golden, *parts.held_out, *parts.train]) == Counter(rows)


@given(rows)
@settings(max_examples=60)
def test_near_twins_of_one_label_never_straddle(rows: list[Row]) -> None:
    parts = split(rows, 10, 10, seed="s")
    side = {row: name for name in ("golden", "held_out", "train") for row in getattr(parts, name)}
    for label in "xyz":
        same = [row for row in rows if row.label == label]
        for i, j in near_pairs([row.text for row in same]):
            assert side[same[i]] == side[same[j]]


@given(rows, st.randoms())
@settings(max_examples=40)
def test_the_order_of_the_rows_changes_nothing(rows: list[Row], draw: random.Random) -> None:
    shuffled = list(rows)
    draw.shuffle(shuffled)
    assert split(rows, 10, 10, seed="s") == split(shuffled, 10, 10, seed="s")


def many(count: int) -> list[Row]:
    return [Row(f"text number {number}", "often" if number % 4 else "seldom") for number in range(count)]


def test_another_seed_chooses_other_rows() -> None:
    assert split(many(400), 50, 50, seed="a").golden != split(many(400), 50, 50, seed="b").golden


def test_labels_keep_their_shares() -> None:
    parts = split(many(400), 40, 80, seed="s")
    assert Counter(row.label for row in parts.golden) == {"often": 30, "seldom": 10}
    assert Counter(row.label for row in parts.held_out) == {"often": 60, "seldom": 20}


def test_of_few_rows_each_judging_set_takes_at_most_a_fifth() -> None:
    parts = split(many(60), 150, 300, seed="s")
    assert (len(parts.golden), len(parts.held_out)) == (12, 12)


def test_a_label_with_four_rows_is_only_trained_on() -> None:
    rows = [*many(100), *(Row(f"rare {number}", "rare") for number in range(4))]
    parts = split(rows, 20, 20, seed="s")
    assert "rare" not in {row.label for row in [*parts.golden, *parts.held_out]}


def test_rows_that_say_where_they_belong_stay_there() -> None:
    fixed = [Row(f"golden {number}", "often", split="golden") for number in range(3)]
    train = [Row(f"train {number}", "often", split="train") for number in range(3)]
    parts = split([*many(100), *fixed, *train], 50, 20, seed="s")
    assert set(parts.golden) == set(fixed)
    assert len(parts.held_out) == 20
    assert set(train) <= set(parts.train)


def test_an_exact_copy_of_a_judging_row_is_a_leak_whatever_its_label() -> None:
    judges = JudgingRows([Row("Under the GPL, version 2.", "gpl-2")])
    assert judges.leaks(Row("under the gpl version 2", "gpl-3"))
    assert not judges.leaks(Row("under the gpl version 2+", "gpl-3"))


def test_a_near_twin_of_a_judging_row_is_a_leak_only_under_the_same_label() -> None:
    words = " ".join(f"w{number}" for number in range(20))
    judges = JudgingRows([Row(f"{words} 2", "gpl-2")])
    assert judges.leaks(Row(words, "gpl-2"))
    assert not judges.leaks(Row(words, "gpl-3"))


@given(rows, rows, rows)
@settings(max_examples=60)
def test_no_training_row_gives_a_judging_row_away(
    seed: list[Row], corrected: list[Row], judging: list[Row]
) -> None:
    dataset = build(seed, corrected, judging)
    judges = JudgingRows(judging)
    assert not any(judges.leaks(row) for row in dataset.train)
    keys = [normalised(row.text) for row in dataset.train]
    assert len(keys) == len(set(keys))
