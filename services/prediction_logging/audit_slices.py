"""Into which slices of time the arrivals since the last audit are cut, and when the next audit is due."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

NS_PER_SECOND = 1_000_000_000
NS_PER_MINUTE = 60 * NS_PER_SECOND
MOST_ROWS = 500_000
"""Of a slice, where a minute has no more: what ClickHouse keeps in memory for it is some 100 MB."""
SETTLED_NS = 5 * NS_PER_MINUTE
"""So long an insert may take to be seen: what is younger is not audited yet."""


@dataclass(frozen=True)
class Slice:
    """Arrivals after `since`, up to and with `until`, in nanoseconds since 1970."""

    since: int
    until: int


def slices(since: int, until: int, minutes: Iterable[tuple[int, int]], most: int = MOST_ROWS) -> list[Slice]:
    """`minutes` are pairs of a minute since 1970 and how many arrived in it, in order.

    Together the slices cover everything from `since` to `until`; each holds `most` rows at most, or is of a
    single minute.
    """
    if until <= since:
        return []
    cuts: list[int] = []
    rows = 0
    for minute, arrived in minutes:
        if rows and rows + arrived > most:
            cuts.append(minute * NS_PER_MINUTE - 1)
            rows = 0
        rows += arrived
    edges = [since, *(cut for cut in cuts if since < cut < until), until]
    return [Slice(*pair) for pair in pairwise(edges)]


def seconds_until_due(audited_until: int, now: int, every_seconds: float, open_rows: int) -> float:
    """0: the next audit is due, because so much time passed or so many predictions arrived."""
    if open_rows >= MOST_ROWS:
        return 0.0
    due = audited_until + SETTLED_NS + int(every_seconds * NS_PER_SECOND)
    return max(0.0, (due - now) / NS_PER_SECOND)
