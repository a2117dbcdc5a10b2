"""What consuming decides without a broker: what to commit, how long to wait, whose a workload is."""

from __future__ import annotations

import pytest

from shared.backoff import pause_seconds
from shared.consumer.invalid_run import TooManyInvalid, invalid_in_a_row
from shared.consumer.offsets import HandledOffsets
from shared.consumer.ownership import Ownership, lead_topic, partition_of
from shared.consumer.portion import Partition
from shared.consumer.unknown_workload import UnknownWorkloads
from shared.events import CycleRequested, ModelPromoted, PredictionLogged, RollbackRequested
from shared.projections import Workloads
from tests.shared.consuming import added, logged

A, B = ("topic", 0), ("topic", 1)


def test_what_was_handled_is_due_until_it_is_committed() -> None:
    offsets = HandledOffsets()
    offsets.assign({A: 5, B: 0})
    assert offsets.due() == {}
    offsets.handled(A, 7)
    offsets.handled(A, 6)  # a repeat takes nothing back
    assert offsets.due() == {A: 7}
    offsets.committed({A: 7})
    assert offsets.due() == {}


def test_a_partition_that_was_revoked_gives_its_last_offsets_and_takes_no_more() -> None:
    offsets = HandledOffsets()
    offsets.assign({A: 0, B: 0})
    offsets.handled(A, 3)
    assert offsets.revoke([A, B]) == {A: 3}
    offsets.handled(A, 9)
    offsets.committed({A: 9})
    assert offsets.due() == {}
    offsets.assign({A: 3})
    offsets.handled(A, 4)
    assert offsets.due() == {A: 4}


def test_too_many_invalid_records_in_a_row_stop_the_partition() -> None:
    assert invalid_in_a_row(0, [False] * 3, most=3) == 3
    with pytest.raises(TooManyInvalid, match="more than 3"):
        invalid_in_a_row(3, [False], most=3)


def test_a_valid_record_ends_a_run_of_invalid_ones() -> None:
    assert invalid_in_a_row(3, [True, False, False, True, False], most=3) == 1


def test_the_pause_grows_and_stays_below_the_poll_interval() -> None:
    pauses = [pause_seconds(failures) for failures in range(1, 40)]
    assert pauses == sorted(pauses)
    assert pauses[0] < 0.5
    assert pauses[-1] == 60


def test_a_record_waits_ten_seconds_for_its_workload_and_no_longer() -> None:
    unknown = UnknownWorkloads(Workloads())
    assert unknown.seconds_to_wait(logged("p"), published_at=100, now=100.5) == 10
    assert unknown.seconds_to_wait(logged("p"), published_at=100, now=104) == 6.5
    assert unknown.seconds_to_wait(logged("p"), published_at=100, now=111) == 0


def test_a_name_that_never_comes_costs_one_wait_and_a_fresh_record_of_it_another() -> None:
    unknown = UnknownWorkloads(Workloads())
    assert unknown.seconds_to_wait(logged("old"), published_at=0, now=1000) == 10
    assert unknown.seconds_to_wait(logged("old-too"), published_at=1, now=1010) == 0
    assert unknown.seconds_to_wait(logged("fresh"), published_at=1012, now=1012) == 10


def test_a_clock_that_is_ahead_makes_no_one_wait_longer() -> None:
    unknown = UnknownWorkloads(Workloads())
    assert unknown.seconds_to_wait(logged("p"), published_at=10_000, now=100) == 10


def test_a_known_workload_or_a_service_that_need_know_none_waits_for_nothing() -> None:
    workloads = Workloads()
    workloads.apply(added("tickets"))
    assert UnknownWorkloads(workloads).seconds_to_wait(logged("p"), 0, 1000) is None
    assert UnknownWorkloads(None).seconds_to_wait(logged("p"), 0, 1000) is None


def test_a_record_waits_for_a_newer_revision_of_its_workload_and_is_then_judged_by_what_is_known() -> None:
    workloads = Workloads()
    workloads.apply(added("tickets"))
    unknown = UnknownWorkloads(workloads)
    newer = logged("p").model_copy(update={"revision": 2})
    assert unknown.seconds_to_wait(newer, published_at=100, now=100.5) == 10
    assert unknown.seconds_to_wait(newer, published_at=100, now=111) is None
    workloads.apply(added("tickets").model_copy(update={"revision": 2}))
    assert unknown.seconds_to_wait(newer, published_at=200, now=200) is None
    assert unknown.seconds_to_wait(logged("p"), published_at=200, now=200) is None


def test_a_process_owns_the_workloads_of_its_partitions() -> None:
    ownership, changes = Ownership(), list[int]()
    ownership.on_change(lambda: changes.append(1))
    ownership.goes_by(lead_topic([ModelPromoted, PredictionLogged, CycleRequested, RollbackRequested]))
    ownership.partition_count(3)
    assert not ownership.owns("tickets")
    place = (CycleRequested.topic.name, partition_of("tickets", 3))
    ownership.assigned([place, (PredictionLogged.topic.name, 0)])
    assert ownership.owns("tickets")
    ownership.assigned([place])
    ownership.revoked([place])
    assert not ownership.owns("tickets")
    assert len(changes) == 2


def test_without_a_topic_keyed_by_workload_every_process_owns_all() -> None:
    ownership = Ownership()
    ownership.goes_by(lead_topic([ModelPromoted, PredictionLogged]))
    assert ownership.owns("tickets")


def test_a_partition_is_full_by_records_or_by_bytes_and_wants_more_once_half_is_done() -> None:
    many, large = Partition(0), Partition(1)
    many.hold([b"x"] * 4001)
    large.hold([b"x" * (1 << 20)] * 17)
    assert many.is_full()
    assert large.is_full()
    many.drop(2000)
    large.drop(8)
    assert not many.wants_more()
    assert not large.wants_more()
    many.drop(2)
    large.drop(2)
    assert many.wants_more()
    assert large.wants_more()
