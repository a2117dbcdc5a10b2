from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from services.retraining.adversarial import GENERATORS, adversarial_rows, distraction, noise, typos

GOLDEN = [(f"the delivery of parcel number {number} failed again", "ab"[number % 2]) for number in range(50)]
LABELS = ("a", "b")


def test_the_same_rows_and_seed_give_the_same() -> None:
    assert adversarial_rows(GOLDEN, LABELS, "s") == adversarial_rows(GOLDEN, LABELS, "s")
    assert adversarial_rows(GOLDEN, LABELS, "s") != adversarial_rows(GOLDEN, LABELS, "t")


def test_sixty_rows_come_of_three_generators() -> None:
    made = adversarial_rows(GOLDEN, LABELS, "s")
    assert {name: len(rows) for name, rows in made.items()} == {"typos": 20, "noise": 20, "distraction": 20}


def test_of_few_golden_rows_each_is_used_once() -> None:
    assert {len(rows) for rows in adversarial_rows(GOLDEN[:7], LABELS, "s").values()} == {7}
    assert set(map(tuple, adversarial_rows([], LABELS, "s").values())) == {()}


def test_every_generator_changes_its_row_and_keeps_the_right_answer() -> None:
    originals = dict(GOLDEN)
    for rows in adversarial_rows(GOLDEN, LABELS, "s").values():
        assert all(text not in originals for text, _ in rows)
        assert sorted(label for _, label in rows).count("a") in range(3, 18)


@given(st.text(max_size=80), st.integers())
def test_any_text_can_be_made_harder(text: str, seed: int) -> None:
    for generate in GENERATORS.values():
        assert isinstance(generate(text, LABELS, random.Random(seed)), str)


@given(st.lists(st.text("abcdefgh", min_size=1, max_size=9), min_size=1, max_size=20), st.integers())
def test_typos_change_a_few_letters_at_most(words: list[str], seed: int) -> None:
    changed = typos(" ".join(words), LABELS, random.Random(seed)).split(" ")
    assert len(changed) == len(words)
    assert sum(a != b for a, b in zip(words, changed, strict=True)) <= max(1, len(words) // 8)
    assert all(abs(len(a) - len(b)) <= 1 for a, b in zip(words, changed, strict=True))


def test_noise_keeps_the_words_but_for_their_case() -> None:
    text = "the  delivery failed\nagain"
    assert noise(text, LABELS, random.Random(3)).lower().split() == text.split()


def test_a_distraction_names_a_label() -> None:
    published = distraction("text", LABELS, random.Random(1))
    assert published.startswith("text\n\n")
    assert published[-2] in LABELS
