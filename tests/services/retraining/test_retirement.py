"""A run ends with its workload's retirement; pure."""

from __future__ import annotations

from datetime import UTC, datetime

from services.retraining.retirement import is_ended
from shared.events import FrozenFile, WorkloadAdded
from shared.workload import Workload

AT = datetime(2026, 11, 26, 10, tzinfo=UTC)


def revision(number: int, *, retired: bool = False) -> WorkloadAdded:
    return WorkloadAdded(
        revision=number,
        definition=Workload(name="tickets", title="Tickets", prompt="{text}\nTopic:", labels=("a", "b")),
        answers={"a": " A", "b": " B"},
        rows=FrozenFile(uri="rows", digest=f"sha256:{'0' * 64}", rows=1),
        added_at=AT,
        retired_at=AT if retired else None,
    )


def test_a_run_ends_when_its_workload_is_retired_after_it_was_asked_for() -> None:
    first, resting = revision(1), revision(2, retired=True)
    assert not is_ended(1, [first])
    assert is_ended(1, [first, resting])
    assert is_ended(2, [resting])


def test_a_run_of_a_workload_that_was_brought_back_goes_on() -> None:
    revisions = [revision(1), revision(2, retired=True), revision(3)]
    assert not is_ended(3, revisions)
    assert is_ended(1, revisions)
