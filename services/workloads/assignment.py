"""The cheapest way to give each row a column of its own: the assignment problem on a sparse table."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from heapq import heappop, heappush


def cheapest_assignment(costs: Mapping[str, Mapping[int, int]], left_out: int) -> dict[str, int]:
    """Row → column, no column twice, at the least total cost; a row that goes without costs `left_out`.

    `costs` are per row the columns it may have, none negative. Kuhn's Hungarian method (1955) by shortest
    augmenting paths with prices (Jonker and Volgenant 1987): a row added late may move earlier ones.
    """
    column_of: dict[str, int] = {}
    owner: dict[int, str] = {}
    row_price: dict[str, int] = defaultdict(int)
    column_price: dict[int, int] = defaultdict(int)
    without = {row: -1 - number for number, row in enumerate(costs)}  # a column of its own for going without
    for added in costs:
        distance: dict[int, int] = {}
        reached_from: dict[int, str] = {}
        settled: dict[int, int] = {}
        heap: list[tuple[int, int]] = []
        row, so_far = added, 0
        while True:
            for column, cost in (*costs[row].items(), (without[row], left_out)):
                length = so_far + cost - row_price[row] - column_price[column]
                if column not in settled and length < distance.get(column, length + 1):
                    distance[column], reached_from[column] = length, row
                    heappush(heap, (length, column))
            so_far, end = heappop(heap)
            while end in settled:
                so_far, end = heappop(heap)
            settled[end] = so_far
            if end not in owner:
                break
            row = owner[end]
        row_price[added] += so_far
        for column, length in settled.items():
            if column in owner:
                row_price[owner[column]] += so_far - length
                column_price[column] -= so_far - length
        while True:
            row = reached_from[end]
            before = column_of.get(row)
            column_of[row], owner[end] = end, row
            if row == added or before is None:
                break
            end = before
    return {row: column for row, column in column_of.items() if column >= 0}
