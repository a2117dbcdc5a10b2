"""The cheapest assignment is as cheap as the cheapest of all there are."""

from __future__ import annotations

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from services.workloads.assignment import cheapest_assignment

LEFT_OUT = 25
tables = st.dictionaries(
    st.sampled_from("abcd"), st.dictionaries(st.integers(0, 4), st.integers(0, 40), max_size=4), max_size=4
)


def total(costs: dict[str, dict[int, int]], column_of: dict[str, int]) -> int:
    return sum(costs[row][column_of[row]] if row in column_of else LEFT_OUT for row in costs)


@given(tables)
def test_no_other_assignment_is_cheaper(costs: dict[str, dict[int, int]]) -> None:
    found = cheapest_assignment(costs, LEFT_OUT)
    assert len(set(found.values())) == len(found)
    assert all(column in costs[row] for row, column in found.items())
    others = (
        {row: column for row, column in zip(costs, columns, strict=True) if column is not None}
        for columns in product(*([None, *row] for row in costs.values()))
    )
    assert total(costs, found) == min(
        total(costs, other) for other in others if len(set(other.values())) == len(other)
    )


def test_a_row_that_comes_late_moves_those_before_it() -> None:
    costs = {"first": {1: 0, 2: 5}, "second": {1: 0, 3: 5}, "third": {1: 0}}
    assert cheapest_assignment(costs, 100) == {"first": 2, "second": 3, "third": 1}
