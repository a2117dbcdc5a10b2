from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from services.failure_clustering.clusters import Vectors, find_groups
from services.failure_clustering.failure import Failure

DIMENSIONS = 32


def around_themes(themes: Sequence[int], spread: float = 0.5, seed: int = 3) -> Vectors:
    """A unit vector for each entry, near the axis that the entry names."""
    noise = np.random.default_rng(seed).normal(size=(len(themes), DIMENSIONS)) * spread / DIMENSIONS**0.5
    vectors = np.eye(DIMENSIONS)[list(themes)] + noise
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


def failures(count: int, answer: str, right_answer: str) -> list[Failure]:
    return [Failure(f"{answer}-{right_answer}-{number}", answer, right_answer) for number in range(count)]


def test_similar_texts_with_different_confusions_are_different_clusters() -> None:
    given = failures(10, "mit", "bsd") + failures(10, "gpl", "bsd")
    groups = find_groups(given, around_themes([0] * 20))
    assert {(one.answer, one.right_answer, len(one.members)) for one in groups} == {
        ("mit", "bsd", 10),
        ("gpl", "bsd", 10),
    }


def test_two_themes_of_one_confusion_are_two_clusters() -> None:
    themes = [0] * 12 + [1] * 12
    groups = find_groups(failures(24, "mit", "bsd"), around_themes(themes))
    assert [sorted(one.members) for one in groups] == [list(range(12)), list(range(12, 24))]


def test_a_theme_too_small_for_a_cluster_joins_the_nearest_of_its_confusion() -> None:
    themes = [0] * 12 + [1] * 12 + [2] * 3
    groups = find_groups(failures(27, "mit", "bsd"), around_themes(themes))
    assert sum(len(one.members) for one in groups) == 27
    assert len(groups) == 2


def test_texts_unlike_each_other_are_one_cluster_when_their_confusion_is_one() -> None:
    groups = find_groups(failures(5, "mit", "bsd"), around_themes([0, 1, 2, 3, 4]))
    assert [one.members for one in groups] == [(0, 1, 2, 3, 4)]


def test_a_confusion_seen_twice_is_no_cluster() -> None:
    assert find_groups(failures(2, "mit", "bsd"), around_themes([0, 0])) == []


def test_a_suspected_failure_joins_a_near_cluster_of_its_answer_only() -> None:
    near, far, other_answer = Failure("near", "mit"), Failure("far", "mit"), Failure("other", "gpl")
    given = [*failures(6, "mit", "bsd"), near, far, other_answer]
    (group,) = find_groups(given, around_themes([0] * 6 + [0, 9, 0]))
    assert group.members == (0, 1, 2, 3, 4, 5, 6)


def test_suspicions_alone_are_no_cluster() -> None:
    given = [Failure(str(number), "mit") for number in range(10)]
    assert find_groups(given, around_themes([0] * 10)) == []


def test_nothing_failed_gives_no_cluster() -> None:
    assert find_groups([], np.empty((0, DIMENSIONS), dtype=np.float32)) == []


@pytest.mark.parametrize("seed", [1, 2])
def test_the_same_failures_give_the_same_clusters_again(seed: int) -> None:
    themes = [number % 5 for number in range(200)]
    given = failures(100, "mit", "bsd") + failures(100, "gpl", "mit")
    vectors = around_themes(themes, spread=1.5, seed=seed)
    assert find_groups(given, vectors) == find_groups(given, vectors.copy())


def test_neighbours_are_found_across_the_blocks_they_are_looked_for_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    themes = [number % 2 for number in range(60)]
    given, vectors = failures(60, "mit", "bsd"), around_themes(themes)
    in_one_block = find_groups(given, vectors)
    monkeypatch.setattr("services.failure_clustering.clusters.BLOCK", 7)
    assert find_groups(given, vectors) == in_one_block
    assert len(in_one_block) == 2
