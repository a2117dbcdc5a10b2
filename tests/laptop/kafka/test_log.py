import threading
from pathlib import Path

import google_crc32c
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from kafka.record import MemoryRecords
from kafka.record.default_records import DefaultRecordBatchBuilder

from deploy.laptop.kafka.batch import InvalidBatch
from deploy.laptop.kafka.log import NotOffered, OffsetOutOfRange, PartitionLog
from deploy.laptop.kafka.topic_config import TopicConfig
from tests.laptop.kafka.clients import batch_of

FOREVER = {"retention.ms": "-1"}
UNKNOWN_CODEC = 7


def opened(folder: Path, start: int = 0, **settings: str) -> PartitionLog:
    config = TopicConfig.of(FOREVER | {name.replace("_", "."): value for name, value in settings.items()})
    return PartitionLog(folder, config, start)


def records(data: bytes) -> list[bytes]:
    batches = MemoryRecords(data)
    found = []
    while batches.has_next():
        found += [record.value for record in batches.next_batch()]
    return found


@example(sizes=[0, 300, 0], segment_bytes=450, max_bytes=150)  # what fits lies behind what does not
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
    assert again.append(batch_of([b"next"])).base_offset == 9
    again.close()


def test_whole_segments_of_deleted_records_leave_the_disk(tmp_path: Path) -> None:
    log = opened(tmp_path, segment_bytes="200")
    for _ in range(6):
        log.append(batch_of([b"x" * 100]))
    assert len(list(tmp_path.glob("*.log"))) == 6
    log.move_start(4)
    assert sorted(path.name for path in tmp_path.glob("*.log")) == [f"{n:020d}.log" for n in (4, 5)]
    log.close()


def test_times_lead_past_deleted_records_and_to_the_start_of_what_cannot_be_unpacked(tmp_path: Path) -> None:
    log = opened(tmp_path)
    for codec, first_ms in ((0, 1000), (UNKNOWN_CODEC, 2000), (0, 3000)):
        builder = DefaultRecordBatchBuilder(2, 0, False, -1, -1, -1, 1 << 20)
        for offset in range(3):
            builder.append(offset, first_ms + offset, None, b"v", [])
        log.append(with_codec(bytes(builder.build()), codec))
    log.move_start(1)
    assert log.first_at_or_after(0) == (1, 1001)
    assert log.first_at_or_after(1002) == (2, 1002)
    assert log.first_at_or_after(2001) == (3, 2000)  # early by one record, never late
    assert log.first_at_or_after(3001) == (7, 3001)
    assert log.newest() == (8, 3002)
    assert log.first_at_or_after(3003) is None
    log.close()


def with_codec(batch: bytes, codec: int) -> bytes:
    changed = bytearray(batch)
    changed[22] |= codec
    changed[17:21] = google_crc32c.value(bytes(changed[21:])).to_bytes(4, "big")
    return bytes(changed)


def test_retention_by_size_drops_the_oldest_closed_segments(tmp_path: Path) -> None:
    log = opened(tmp_path, segment_bytes="200")
    for _ in range(3):
        log.append(batch_of([b"x" * 100]))
    log.config = TopicConfig.of({"retention.bytes": "200"})
    log.retain()
    assert (log.start, log.end) == (1, 3)
    log.close()


def test_a_log_cut_before_its_start_goes_on_at_its_end(tmp_path: Path) -> None:
    log = opened(tmp_path)
    for value in (b"a", b"b"):
        log.append(batch_of([value]))
    log.close()
    segment = next(tmp_path.glob("*.log"))
    segment.write_bytes(segment.read_bytes()[:-1])
    cut = opened(tmp_path, start=2)
    assert (cut.start, cut.end) == (1, 1)
    assert cut.append(batch_of([b"c"])).base_offset == 1
    assert records(cut.read(1, 1 << 20)) == [b"c"]
    cut.close()


def test_a_reader_in_a_thread_of_its_own_misses_nothing_while_segments_come_and_go(tmp_path: Path) -> None:
    log = opened(tmp_path, segment_bytes="500")
    total, offset, problems = 3000, 0, []
    written = threading.Event()

    def read_all() -> None:
        nonlocal offset
        try:
            while offset < total:
                data = log.read(offset, 1000)
                for value in records(data):
                    assert value == str(offset).encode() * 20
                    offset += 1
                if not data:
                    written.wait(0.001)
        except BaseException as problem:
            problems.append(problem)

    reader = threading.Thread(target=read_all)
    reader.start()
    for number in range(total):
        log.append(batch_of([str(number).encode() * 20]))
        if number % 100 == 0:
            log.move_start(offset)  # what has been read
    reader.join(30)
    assert not problems, problems[0]
    assert offset == total
    log.close()


def test_a_refused_batch_leaves_nothing_behind(tmp_path: Path) -> None:
    log = opened(tmp_path)
    builder = DefaultRecordBatchBuilder(2, 0, True, 1, 0, 0, 1 << 20)
    builder.append(0, 1, None, b"v", [])
    for batch, refusal in (
        (batch_of([b"v"])[:-1], InvalidBatch),
        (batch_of([b"v"]) + batch_of([b"w"]), NotOffered),
        (bytes(builder.build()), NotOffered),  # belongs to a transaction
    ):
        with pytest.raises(refusal):
            log.append(batch)
    assert log.end == 0
    log.close()


def test_watchers_hear_of_each_append_but_not_of_a_repetition(tmp_path: Path) -> None:
    log = opened(tmp_path)
    ends: list[int] = []
    log.watchers.add(lambda: ends.append(log.end))
    batch = batch_of([b"v"], producer=(1, 0), sequence=0)
    assert [log.append(batch), log.append(batch)] == [(0, -1), (0, -1)]
    assert ends == [1]
    log.close()
