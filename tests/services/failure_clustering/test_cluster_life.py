"""Clusters keep their ids from cycle to cycle, and say how they stand."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from services.failure_clustering.cluster_life import Found, Known, Life, lives
from services.failure_clustering.clusters import Group
from shared.events import ClusterStatus

NEAR, FAR = [1.0, 0.0], [0.0, 1.0]
NEW, GROWING, STEADY = ClusterStatus.NEW, ClusterStatus.GROWING, ClusterStatus.STEADY
RESOLVED, BACK_AGAIN = ClusterStatus.RESOLVED, ClusterStatus.BACK_AGAIN


def found(
    members: Collection[str],
    centroid: Sequence[float] = NEAR,
    fresh: int = 1,
    pair: tuple[str, str] = ("a", "b"),
) -> Found:
    return Found(Group(*pair, range(len(members))), centroid, frozenset(members), fresh)


def known(
    members: Collection[str],
    centroid: Sequence[float] = NEAR,
    status: ClusterStatus | None = NEW,
    is_of_last_cycle: bool = True,
    cluster_id: str = "known",
) -> Known:
    return Known(
        cluster_id, "name", "a", "b", len(members), status, centroid, frozenset(members), is_of_last_cycle
    )


def life(one: Found, *before: Known) -> Life:
    (only,), _ = lives([one], before, "new-{}".format)
    return only


def test_what_nobody_has_seen_before_is_new() -> None:
    assert life(found("xyz")) == Life("new-0", NEW, None)


def test_a_cluster_with_more_failures_is_growing_and_keeps_its_id() -> None:
    assert life(found("wxyz"), known("xyz")) == Life("known", GROWING, 3)


def test_a_cluster_as_big_as_before_is_steady() -> None:
    assert life(found("wxy"), known("xyz")).status is STEADY


def test_without_a_fresh_failure_a_cluster_is_resolved() -> None:
    assert life(found("xyz", fresh=0), known("xyz")).status is RESOLVED


def test_what_was_resolved_and_fails_anew_is_back_again() -> None:
    assert life(found("wxyz"), known("xyz", status=RESOLVED)) == Life("known", BACK_AGAIN, 3)


def test_what_was_gone_for_a_cycle_is_back_again_under_its_old_id() -> None:
    assert life(found("pqr"), known("xyz", is_of_last_cycle=False)) == Life("known", BACK_AGAIN, 3)


def test_other_failures_of_the_same_confusion_near_by_are_the_same_cluster() -> None:
    assert life(found("pqr"), known("xyz")).cluster_id == "known"
    assert life(found("pqr", FAR), known("xyz")).cluster_id == "new-0"


def test_another_confusion_near_by_is_another_cluster() -> None:
    assert life(found("pqr", pair=("a", "c")), known("xyz")).cluster_id == "new-0"


def test_a_cluster_whose_labels_were_renamed_is_known_by_its_failures() -> None:
    assert life(found("xyz", FAR, pair=("new name", "b")), known("xyz")).cluster_id == "known"


def test_a_cluster_of_version_0_1_is_known_by_its_failures() -> None:
    assert life(found("wxyz"), known("xyz", [], status=None)) == Life("known", GROWING, 3)


def test_two_groups_are_never_the_same_cluster() -> None:
    (one, other), _ = lives([found("xy"), found("xyz")], [known("xyz")], "new-{}".format)
    assert {one.cluster_id, other.cluster_id} == {"known", "new-0"} or other.cluster_id == "new-1"


def test_what_was_there_and_is_not_any_more_is_gone_once() -> None:
    _, gone = lives([], [known("xyz")], str)
    assert [one.cluster_id for one in gone] == ["known"]
    assert lives([], [known("xyz", is_of_last_cycle=False)], str)[1] == []
    assert lives([], [known("xyz", status=RESOLVED)], str)[1] == []
