from __future__ import annotations

import random
import time
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from services.data_augmentation.similarity import NearTexts, near_pairs, normalised, without_near_duplicates

few_words = st.lists(st.sampled_from("abcdefghijklmnopqrstuv"), min_size=0, max_size=22).map(" ".join)


def slow_pairs(texts: list[str]) -> set[tuple[int, int]]:
    sets = [set(normalised(text).split()) for text in texts]
    return {
        (i, j)
        for i, j in combinations(range(len(texts)), 2)
        if sets[i] | sets[j] and 10 * len(sets[i] & sets[j]) > 9 * len(sets[i] | sets[j])
    }


@given(st.lists(few_words, max_size=12))
def test_the_join_finds_what_comparing_every_pair_finds(texts: list[str]) -> None:
    assert set(near_pairs(texts)) == slow_pairs(texts)


@given(st.lists(few_words, max_size=12), few_words)
def test_looking_one_text_up_finds_what_comparing_finds(texts: list[str], text: str) -> None:
    found = {(number, len(texts)) for number in NearTexts(texts).near(text)}
    assert found == {pair for pair in slow_pairs([*texts, text]) if pair[1] == len(texts)}


def test_nine_tenths_alone_is_not_near() -> None:
    ten = [f"w{number}" for number in range(10)]
    assert list(near_pairs([" ".join(ten), " ".join(ten[:9])])) == []
    eleven = [*ten, "w10"]
    assert list(near_pairs([" ".join(eleven), " ".join(ten)])) == [(0, 1)]


def test_the_plus_tells_two_licences_apart() -> None:
    assert normalised("Under the GPL v2+.") != normalised("under the GPL, v2")
    assert normalised("Under the  GPL, v2!") == "under the gpl v2"


def test_without_near_duplicates_keeps_the_first_of_each() -> None:
    texts = ["a b c", "C, b, a", "a b d", "a b c!"]
    assert without_near_duplicates(texts) == ["a b c", "a b d"]


def test_ten_thousand_texts_are_joined_in_seconds() -> None:
    draw = random.Random(5)
    words = [f"word{number}" for number in range(2000)]
    weights = [1 / (rank + 1) for rank in range(2000)]
    texts = [" ".join(draw.choices(words, weights, k=draw.randint(6, 60))) for _ in range(10_000)]
    start = time.process_time()
    sum(1 for _ in near_pairs(texts))
    assert time.process_time() - start < 5
