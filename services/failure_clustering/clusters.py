"""Failures that are alike: the same answer in place of the same right answer, about similar texts.

Which answer was given for which is the strongest sign that failures have one cause, so only failures of the
same pair are ever put together. Within a pair, texts near each other form communities (Leiden, Traag et al.
2019, on a graph of nearest neighbours).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import graspologic_native
import numpy as np
from numpy.typing import NDArray

from services.failure_clustering.failure import Failure

NEAREST = 10
LEAST_COSINE = 0.45  # of two texts that may be about the same thing (all-MiniLM-L6-v2)
JOINS_FROM_COSINE = 0.65  # to a cluster's centroid: nine in ten who belong reach it, a quarter of the others
SMALLEST_PAIR = 3
SMALLEST_COMMUNITY = 5
RESOLUTION = 1.0
SEED = 1
BLOCK = 2000

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class Group:
    """Failures alike. `members` are positions in the list of failures."""

    answer: str
    right_answer: str
    members: Sequence[int]


def find_groups(failures: Sequence[Failure], vectors: Vectors) -> list[Group]:
    """The groups, biggest first; what is in none stands alone.

    `vectors` has a row of unit length for each failure, shape (failures, dimensions). A pair with fewer than
    three corrected failures forms no group. Suspected failures join a near group of their answer, and never
    found one. The same input gives the same groups.
    """
    pairs: dict[tuple[str, str], list[int]] = defaultdict(list)
    for place, failure in enumerate(failures):
        if failure.right_answer:
            pairs[failure.answer, failure.right_answer].append(place)
    pairs = {pair: members for pair, members in pairs.items() if len(members) >= SMALLEST_PAIR}
    community = _communities([np.array(members) for members in pairs.values()], vectors)
    groups = [
        Group(answer, right_answer, members)
        for (answer, right_answer), of_pair in pairs.items()
        for members in _divided(of_pair, community, vectors)
    ]
    groups = _with_suspects(groups, failures, vectors)
    return sorted(groups, key=lambda one: (-len(one.members), one.right_answer, one.answer, one.members))


def _communities(pairs: Sequence[NDArray[np.intp]], vectors: Vectors) -> Mapping[str, int]:
    """Position (as text) → community. A failure without a near neighbour of its pair is in none."""
    edges = [edge for members in pairs for edge in _near_each_other(members, vectors[members])]
    if not edges:
        return {}
    _, community = graspologic_native.leiden(
        edges=edges, resolution=RESOLUTION, use_modularity=True, seed=SEED
    )
    return dict(community)


def _near_each_other(members: NDArray[np.intp], vectors: Vectors) -> list[tuple[str, str, float]]:
    """An edge for each failure and each of its nearest neighbours, weighted by their cosine."""
    found: dict[tuple[int, int], float] = {}
    for start in range(0, len(members), BLOCK):
        cosines = vectors[start : start + BLOCK] @ vectors.T
        rows = np.arange(len(cosines))
        cosines[rows, start + rows] = -1.0  # nobody is their own neighbour
        nearest = np.argpartition(-cosines, min(NEAREST, len(members)) - 1, axis=1)[:, :NEAREST]
        for row, column in zip(np.repeat(rows, nearest.shape[1]), nearest.ravel(), strict=True):
            if (cosine := float(cosines[row, column])) > LEAST_COSINE:
                one, other = sorted((int(members[start + row]), int(members[column])))
                found[one, other] = cosine
    return [(str(one), str(other), cosine) for (one, other), cosine in sorted(found.items())]


def _divided(members: Sequence[int], community: Mapping[str, int], vectors: Vectors) -> list[tuple[int, ...]]:
    """The pair's members by community. Those in none, or in a small one, go where they are nearest."""
    by_community: dict[int | None, list[int]] = defaultdict(list)
    for member in members:
        by_community[community.get(str(member))].append(member)
    big = [
        found
        for number, found in by_community.items()
        if number is not None and len(found) >= SMALLEST_COMMUNITY
    ]
    if len(big) < 2:
        return [tuple(members)]
    centroids = _centroids(big, vectors)
    placed = {member for found in big for member in found}
    for member in members:
        if member not in placed:
            big[int(np.argmax(centroids @ vectors[member]))].append(member)
    return [tuple(sorted(found)) for found in big]


def _with_suspects(groups: list[Group], failures: Sequence[Failure], vectors: Vectors) -> list[Group]:
    if not groups:
        return []
    centroids = _centroids([group.members for group in groups], vectors)
    joined: list[list[int]] = [list(group.members) for group in groups]
    for place, failure in enumerate(failures):
        if failure.right_answer:
            continue
        cosines = centroids @ vectors[place]
        alike = [number for number, group in enumerate(groups) if group.answer == failure.answer]
        nearest = max(alike, key=lambda number: float(cosines[number]), default=None)
        if nearest is not None and cosines[nearest] >= JOINS_FROM_COSINE:
            joined[nearest].append(place)
    return [
        Group(group.answer, group.right_answer, tuple(sorted(members)))
        for group, members in zip(groups, joined, strict=True)
    ]


def _centroids(groups: Sequence[Sequence[int]], vectors: Vectors) -> Vectors:
    means = np.stack([vectors[list(members)].mean(axis=0) for members in groups])
    return np.asarray(means / np.linalg.norm(means, axis=1, keepdims=True), dtype=np.float32)
