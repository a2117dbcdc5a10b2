"""Which faults come, and what counts as recovered: without any process."""

from __future__ import annotations

import pytest

from tests.bench.chaos.faults import LONG_DOWN_SECONDS, OUTAGES, phases
from tests.bench.chaos.inserted import CannotRead, partitions_in
from tests.bench.progress import Recovery, Sight, percentile

TARGETS = ("broker", "clickhouse", "service 1", "service 2")
PLACES = (("predictions", 0), ("predictions", 1))


def sight(asked_at: float, committed: tuple[int, int], ends: tuple[int, int]) -> Sight:
    return Sight(asked_at, dict(zip(PLACES, committed, strict=True)), dict(zip(PLACES, ends, strict=True)))


@pytest.mark.parametrize("kills", [0, 1, 4, 50])
def test_a_course_has_as_many_kills_as_asked_for(kills: int) -> None:
    assert sum(len(phase.kills) for phase in phases(kills, TARGETS, "broker", seed=1)) == kills


def test_every_process_is_killed_and_clickhouse_fails_in_every_way() -> None:
    course = phases(12, TARGETS, "broker", seed=1)
    assert {name for phase in course for name in phase.kills} == set(TARGETS)
    assert {phase.outage for phase in course} - {None} == set(OUTAGES)


def test_the_first_kill_of_the_broker_keeps_it_away_for_long() -> None:
    course = phases(4, TARGETS, "broker", seed=1)
    assert [phase.down_seconds for phase in course if "broker" in phase.kills] == [LONG_DOWN_SECONDS]


def test_the_same_seed_gives_the_same_course() -> None:
    assert phases(20, TARGETS, "broker", seed=7) == phases(20, TARGETS, "broker", seed=7)


def test_nothing_is_recovered_before_every_waiting_partition_has_gone_on() -> None:
    recovery = Recovery("kill", began=10.0)
    for seen in (
        sight(9.0, (5, 5), (5, 5)),  # before the fault
        sight(11.0, (5, 6), (9, 9)),
        sight(12.0, (6, 6), (9, 9)),
    ):
        recovery.look(seen)
        assert recovery.seconds is None
    recovery.look(sight(13.0, (6, 7), (9, 9)))
    assert recovery.seconds is not None


def test_a_partition_in_which_nothing_waits_need_not_go_on() -> None:
    recovery = Recovery("kill", began=10.0)
    recovery.look(sight(11.0, (5, 9), (9, 9)))
    recovery.look(sight(12.0, (6, 9), (9, 9)))
    assert recovery.seconds is not None


def test_a_percentile_is_a_value_that_was_seen() -> None:
    assert percentile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert percentile([float(n) for n in range(1, 101)], 0.95) == 95.0
    assert percentile([], 0.95) is None


def test_the_partitions_of_an_insert_are_read_off_its_body() -> None:
    block = b"\x02\x02\x0fkafka_partition\x06UInt16\x03\x00\x05\x00\x0ckafka_offset\x06UInt64" + bytes(16)
    assert partitions_in(b"INSERT INTO predictions FORMAT Native\n" + block, "", "/") == {3, 5}


def test_other_statements_have_no_partitions() -> None:
    assert partitions_in(b"SELECT 1", "", "/") == set()


def test_an_insert_that_cannot_be_read_is_no_insert_without_partitions() -> None:
    with pytest.raises(CannotRead):
        partitions_in(b"INSERT INTO predictions FORMAT Values (1)", "", "/")
