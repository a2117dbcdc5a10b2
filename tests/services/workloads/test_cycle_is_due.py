"""A cycle is due on new corrections: enough of them, or any after so many days."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from services.workloads.cycle_is_due import due_by_time, why_cycle_is_due
from services.workloads.may_start_cycle import why_not
from services.workloads.round_progress import of_cycle, of_revision
from shared.workload import Cycle

MONDAY = datetime(2026, 11, 23, tzinfo=UTC)
WEEKLY = Cycle(every_days=7, corrections=500)


@pytest.mark.parametrize(
    ("days", "corrections", "reason"),
    [
        (0, 499, None),
        (0, 500, "500 corrections since the last cycle"),
        (6.99, 1, None),
        (7, 1, "7 days since the last cycle"),
        (7, 0, None),
        (400, 0, None),
    ],
)
def test_it_is_due(days: float, corrections: int, reason: str | None) -> None:
    assert why_cycle_is_due(WEEKLY, MONDAY, MONDAY + timedelta(days=days), corrections) == reason


def test_without_a_correction_time_alone_brings_none_about() -> None:
    assert due_by_time(WEEKLY, MONDAY, 0) is None
    assert due_by_time(WEEKLY, MONDAY, 1) == MONDAY + timedelta(days=7)


def test_a_definition_of_version_0_1_still_says_how_many() -> None:
    assert Cycle.model_validate({"every_days": 7, "failures": 9}).corrections == 9


def test_a_cycle_under_way_is_named() -> None:
    refusal = why_not(of_cycle("tickets", "c1", 3, 2, 1), 5, is_retired=False)
    assert refusal is not None
    assert refusal.cycle_id == "c1"


def test_an_undecided_first_model_is_no_cycle() -> None:
    refusal = why_not(of_revision("tickets", 1, 90), 5, is_retired=False)
    assert refusal is not None
    assert (refusal.cycle_id, "revision 1 is undecided" in refusal.reason) == (None, True)


@pytest.mark.parametrize(
    ("corrections", "is_retired", "starts"), [(1, False, True), (0, False, False), (1, True, False)]
)
def test_something_new_of_a_workload_in_use_starts_one(
    corrections: int, is_retired: bool, starts: bool
) -> None:
    assert (why_not(None, corrections, is_retired=is_retired) is None) is starts
