"""Clusters from cycle to cycle: which of today's is which of before, and how it stands.

Two groups are the same cluster when they share most of their failures, or are about the same confusion and
near each other. Ids are never given again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from services.failure_clustering.clusters import Group, Vectors
from shared.events import ClusterStatus

SHARES_FROM = 0.5  # of the smaller one's failures
NEAR_FROM_COSINE = 0.8  # of centroids (all-MiniLM-L6-v2)


@dataclass(frozen=True)
class Known:
    """A cluster as it was when it was last seen."""

    cluster_id: str
    name: str
    answer: str
    right_answer: str
    size: int
    status: ClusterStatus | None
    """None if version 0.1 found it."""
    centroid: Sequence[float]
    """Empty if version 0.1 found it."""
    members: frozenset[str]
    is_of_last_cycle: bool


@dataclass(frozen=True)
class Found:
    """A group of this cycle."""

    group: Group
    centroid: Sequence[float]
    members: frozenset[str]
    """Ids of its predictions."""
    fresh: int
    """How many of them were made after the cycle before."""


@dataclass(frozen=True)
class Life:
    cluster_id: str
    status: ClusterStatus
    size_before: int | None


def lives(
    found: Sequence[Found], known: Sequence[Known], new_id: Callable[[int], str]
) -> tuple[list[Life], list[Known]]:
    """Each group's life, and the clusters of the last cycle that are gone: nothing fails that way now."""
    same = _same(found, known)
    all_lives = []
    for place, one in enumerate(found):
        before = known[same[place]] if place in same else None
        if before is None:
            all_lives.append(Life(new_id(place), ClusterStatus.NEW, None))
        else:
            all_lives.append(Life(before.cluster_id, status_of(one, before), before.size))
    seen_again = set(same.values())
    gone = [
        before
        for number, before in enumerate(known)
        if number not in seen_again and before.is_of_last_cycle and before.status != ClusterStatus.RESOLVED
    ]
    return all_lives, gone


def status_of(found: Found, before: Known) -> ClusterStatus:
    """A cycle takes up the failures of weeks: without a fresh one a cluster counts as resolved."""
    if not found.fresh:
        return ClusterStatus.RESOLVED
    if before.status == ClusterStatus.RESOLVED or not before.is_of_last_cycle:
        return ClusterStatus.BACK_AGAIN
    return ClusterStatus.GROWING if len(found.members) > before.size else ClusterStatus.STEADY


def _same(found: Sequence[Found], known: Sequence[Known]) -> dict[int, int]:
    """Position in `found` → position in `known`; the surest matches first, and each only once."""
    matches = []
    for place, one in enumerate(found):
        for number, before in enumerate(known):
            shared = len(one.members & before.members) / max(1, min(len(one.members), len(before.members)))
            if shared >= SHARES_FROM:
                matches.append((1, shared, place, number))
            elif (cosine := _cosine(one, before)) >= NEAR_FROM_COSINE:
                matches.append((0, cosine, place, number))
    same: dict[int, int] = {}
    for _, _, place, number in sorted(matches, key=lambda match: (-match[0], -match[1], match[2], match[3])):
        if place not in same and number not in same.values():
            same[place] = number
    return same


def _cosine(found: Found, before: Known) -> float:
    is_same_pair = (found.group.answer, found.group.right_answer) == (before.answer, before.right_answer)
    if not is_same_pair or len(before.centroid) != len(found.centroid):
        return -1.0
    return float(np.dot(found.centroid, before.centroid))


def centroid(members: Sequence[int], vectors: Vectors) -> list[float]:
    """The direction of the members' mean, of unit length."""
    mean = vectors[list(members)].mean(axis=0)
    return [float(value) for value in mean / np.linalg.norm(mean)]
