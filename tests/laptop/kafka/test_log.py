import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka.record import MemoryRecords

from deploy.laptop.kafka.batch import InvalidBatch
from deploy.laptop.kafka.log import NotOffered, OffsetOutOfRange, PartitionLog
from deploy.laptop.kafka.segment import DamagedSegment
from deploy.laptop.kafka.topic_config import TopicConfig
from tests.laptop.kafka.clients import batch_of

FOREVER = {"retention.ms": "-1"}


def opened(folder: Path, start: int = 0, **settings: str) -> PartitionLog:
    config = TopicConfig.of(FOREVER | {name.replace("_", "."): value for name, value in settings.items()})
    return PartitionLog(folder, config, start)


def records(data: bytes) -> list[bytes]:
    batches = MemoryRecords(data)
    found = []
    while batches.has_next():
        found += [record.value for record in batches.next_batch()]
    return found


@given(
    sizes=st.lists(st.integers(0, 300), min_size=1, max_size=12),
    segment_bytes=st.integers(100, 900),
    max_bytes=st.integers(0, 2000),
)
def test_a_reader_gets_every_record_in_order_whatever_the_sizes(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], segment_bytes: int, max_bytes: int
) -> None:
    log = opened(tmp_path_factory.mktemp("log"), segment_bytes=str(segment_bytes))
    sent = [bytes([number]) * size for number, size in enumerate(sizes)]
    for value in sent:
        log.append(batch_of([value]))
    found: list[bytes] = []
    while len(found) < len(sent):
        data = log.read(len(found), max_bytes)
        got = records(data)
        assert got  # at least the first batch, however small the limit
        assert len(data) <= max_bytes or len(got) == 1
        found += got
    assert found == sent
    assert log.read(log.end, max_bytes) == b""
    log.close()


def test_offsets_beyond_the_log_are_refused(tmp_path: Path) -> None:
    log = opened(tmp_path, start=5)
    log.append(batch_of([b"v"]))
    assert (log.start, log.end) == (5, 6)
    for offset in (4, 7):
        with pytest.raises(OffsetOutOfRange):
            log.read(offset, 100)
    log.close()


def test_a_log_opened_again_is_the_same_log(tmp_path: Path) -> None:
    log = opened(tmp_path, segment_bytes="200")
    for number in range(9):
        log.append(batch_of([str(number).encode() * 50]))
    before = log.read(0, 1 << 20)
    log.close()
    again = opened(tmp_path, start=3, segment_bytes="200")
    assert (again.start, again.end) == (3, 9)
    assert again.read(3, 1 << 20) == before[-len(again.read(3, 1 << 20)) :]
    assert again.append(batch_of([b"next"])) == 9
    again.close()


def test_whole_segments_of_deleted_records_leave_the_disk(tmp_path: Path) -> None:
    log = opened(tmp_path, segment_bytes="200")
    for _ in range(6):
        log.append(batch_of([b"x" * 100]))
    assert len(list(tmp_path.glob("*.log"))) == 6
    log.move_start(4)
    assert sorted(path.name for path in tmp_path.glob("*.log")) == [f"{n:020d}.log" for n in (4, 5)]
    log.close()


def test_retention_drops_closed_segments_and_then_the_active_one(tmp_path: Path) -> None:
    log = opened(tmp_path, segment_bytes="200")
    for _ in range(3):
        log.append(batch_of([b"x" * 100]))
    log.config = TopicConfig.of({"retention.bytes": "200"})
    log.retain()
    assert (log.start, log.end) == (1, 3)
    log.close()


def test_a_closed_segment_that_lost_bytes_stops_the_start(tmp_path: Path) -> None:
    log = opened(tmp_path, segment_bytes="200")
    for _ in range(2):
        log.append(batch_of([b"x" * 100]))
    log.close()
    first = min(tmp_path.glob("*.log"))
    first.write_bytes(first.read_bytes()[:-1])
    with pytest.raises(DamagedSegment, match=first.name):
        opened(tmp_path)


def test_a_refused_batch_leaves_nothing_behind(tmp_path: Path) -> None:
    log = opened(tmp_path)
    transactional = bytearray(batch_of([b"v"]))
    transactional[22] |= 0x10
    for batch, refusal in (
        (batch_of([b"v"])[:-1], InvalidBatch),
        (batch_of([b"v"]) + batch_of([b"w"]), NotOffered),
        (bytes(transactional), InvalidBatch),  # the checksum covers the attributes
    ):
        with pytest.raises(refusal):
            log.append(batch)
    assert log.end == 0
    log.close()


def test_watchers_hear_of_each_append_but_not_of_a_repetition(tmp_path: Path) -> None:
    log = opened(tmp_path)
    heard = itertools.count()
    log.watchers.add(lambda: None if next(heard) is None else None)
    batch = batch_of([b"v"], producer=(1, 0), sequence=0)
    assert [log.append(batch), log.append(batch)] == [0, 0]
    assert next(heard) == 1
    log.close()
