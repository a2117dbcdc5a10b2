"""A dataset waits for the revision that it was made of, and for nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from services.retraining.dataset_revision import is_ahead
from shared.events import DatasetCounts, DatasetPublished, FrozenFile, WorkloadAdded
from shared.workload import Workload

AT = datetime(2026, 11, 24, 10, tzinfo=UTC)
FILE = FrozenFile(uri="rows", digest=f"sha256:{'0' * 64}", rows=1)
WORKLOAD = Workload(name="tickets", title="Tickets", prompt="{text}\nTopic:", labels=("a", "b"))


def revision(number: int, minutes: float) -> WorkloadAdded:
    return WorkloadAdded(
        revision=number,
        definition=WORKLOAD,
        answers={"a": " A", "b": " B"},
        rows=FILE,
        added_at=AT + timedelta(minutes=minutes),
    )


def dataset_of(added: WorkloadAdded, cycle_id: str | None = None) -> DatasetPublished:
    return DatasetPublished(
        dataset_id="d",
        workload="tickets",
        version=2,
        cycle_id=cycle_id,
        cutoff=added.added_at,
        train=FILE,
        golden=FILE,
        held_out=FILE,
        manifest=FILE,
        counts=DatasetCounts(),
        published_at=added.added_at,
    )


def test_a_dataset_is_ahead_until_its_revision_has_come() -> None:
    first, second = revision(1, 0), revision(2, 1)
    assert is_ahead(dataset_of(second), [first])
    assert not is_ahead(dataset_of(second), [first, second])


def test_a_dataset_of_an_earlier_revision_is_never_ahead() -> None:
    first, second = revision(1, 0), revision(2, 1)
    assert not is_ahead(dataset_of(first), [first, second])
    assert not is_ahead(dataset_of(first), [second])


def test_a_workload_that_rests_since_holds_no_dataset_back() -> None:
    resting = revision(3, 2).model_copy(update={"retired_at": AT + timedelta(minutes=2)})
    assert not is_ahead(dataset_of(revision(2, 1)), [revision(1, 0), resting])


def test_a_clock_set_back_between_two_revisions_holds_no_dataset_back() -> None:
    second, third = revision(2, 1), revision(3, 0.5)
    assert not is_ahead(dataset_of(second), [revision(1, 0), second, third])


def test_a_cycle_s_dataset_belongs_to_no_revision() -> None:
    assert not is_ahead(dataset_of(revision(2, 1), cycle_id="c"), [revision(1, 0)])
