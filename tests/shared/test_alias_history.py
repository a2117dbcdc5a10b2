from __future__ import annotations

import pytest

from shared.alias_history import PROMOTED, ROLLED_BACK, standing


@pytest.mark.parametrize(
    ("said", "stands"),
    [
        ("", []),
        ("a", [0]),
        ("a b c", [0, 1, 2]),
        ("a b c <b", [0, 1]),
        ("a b c <b <a", [0]),
        ("a b <a c", [0, 3]),
        ("a b b", [0, 2]),
        ("a a b <a a", [4]),
        ("a b <a b <a", [0]),
    ],
)
def test_a_promotion_stands_until_a_rollback_takes_it_back(said: str, stands: list[int]) -> None:
    moves = [(word.strip("<"), ROLLED_BACK if "<" in word else PROMOTED) for word in said.split()]
    assert standing(moves) == stands
