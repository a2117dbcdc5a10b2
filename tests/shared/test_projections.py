"""What state events add up to: by which labels an event is judged, whatever order revisions arrive in."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import permutations

import pytest

from shared.events import FrozenFile, WorkloadAdded
from shared.projections import Workloads
from shared.workload import Workload

FIRST: dict[str, object] = {"labels": ("refund", "outage")}
RENAMED: dict[str, object] = {"labels": ("refund", "failure"), "renamed": {"outage": "failure"}}
REMOVED: dict[str, object] = {"labels": ("refund", "praise"), "removed": ("failure", "outage")}


def revision(number: int, content: dict[str, object]) -> WorkloadAdded:
    definition = Workload.model_validate(
        {"name": "tickets", "title": "Tickets", "prompt": "{text}\nAnswer:"} | content
    )
    return WorkloadAdded(
        revision=number,
        definition=definition,
        answers={label: f" {label}" for label in definition.labels},
        rows=FrozenFile(uri="nowhere", digest="sha256:" + "0" * 64, rows=0),
        added_at=datetime(2026, 11, 24, 12, tzinfo=UTC),
    )


@pytest.mark.parametrize("order", permutations(range(3)))
def test_an_event_is_judged_by_the_labels_of_its_revision(order: Sequence[int]) -> None:
    added = [revision(number, content) for number, content in enumerate((FIRST, RENAMED, REMOVED), 1)]
    workloads = Workloads()
    for place in order:
        workloads.apply(added[place])
    assert workloads.labels("tickets", 1) == {"refund", "outage"}
    assert workloads.revisions("tickets") == added
    assert workloads.labels("tickets", 2) == {"refund", "failure", "outage"}
    assert workloads.labels("tickets", 3) == {"refund", "praise", "failure", "outage"}
    assert workloads.known("tickets").revision == 3
    assert [workloads.at("tickets", number) for number in (1, 2, 3, 4)] == [*added, None]


def test_an_event_without_a_revision_or_of_one_that_never_came_is_judged_by_all_that_was_ever_known() -> None:
    workloads = Workloads()
    # Version 0.1 did not say in a revision which labels the one before had.
    for number, labels in enumerate((("refund", "outage"), ("refund", "praise")), 1):
        workloads.apply(revision(number, {"labels": labels}))
    ever = {"refund", "outage", "praise"}
    assert workloads.labels("tickets", None) == workloads.labels("tickets", 9) == ever
    assert workloads.labels("mail", None) == frozenset()
