"""Damaged segments: what is whole is served, the rest lies aside and is named, readers go on behind it."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from kafka.record import MemoryRecords

from deploy.laptop.kafka.log import PartitionLog
from tests.laptop.kafka.clients import RawConnection, batch_of, new_topic, send
from tests.laptop.kafka.test_log import opened
from tests.laptop.kafka.three_clients import READERS
from tests.servers.kafka import EmbeddedKafka

VALUES = [f"value {number}".encode() for number in range(6)]
BATCH_BYTES = len(batch_of([VALUES[0]]))
ALL = 1 << 30
Harm = Callable[[Path], object]


def filled(folder: Path) -> list[Path]:
    """Two closed segments of two batches, and an active one."""
    log = opened(folder, segment_bytes=str(2 * BATCH_BYTES))
    for value in VALUES:
        log.append(batch_of([value]))
    log.close()
    return sorted(folder.glob("*.log"))


def found(log: PartitionLog, offset: int = 0) -> dict[int, bytes]:
    """Everything from an offset on, asked for in the smallest portions."""
    records = {}
    while offset < log.end:
        batches = MemoryRecords(log.read(offset, 1))
        for record in batches.next_batch():
            records[record.offset] = record.value
            offset = record.offset + 1
    return records


def expected(*offsets: int) -> dict[int, bytes]:
    return {offset: VALUES[offset] for offset in offsets}


def changed(path: Path, position: int) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 0x41
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("harm", "left"),
    [
        pytest.param(lambda log: log.write_bytes(log.read_bytes()[:-1]), (0, 1, 2, 4, 5), id="cut short"),
        pytest.param(
            lambda log: log.write_bytes(log.read_bytes()[1:]), (0, 1, 3, 4, 5), id="cut at the start"
        ),
        pytest.param(lambda log: log.write_bytes(bytes(2 * BATCH_BYTES - 1)), (0, 1, 4, 5), id="zeros"),
        pytest.param(lambda log: log.write_bytes(b""), (0, 1, 4, 5), id="empty"),
        pytest.param(lambda log: log.unlink(), (0, 1, 4, 5), id="gone"),
        pytest.param(
            lambda log: log.write_bytes(b"garbage" + log.read_bytes()), tuple(range(6)), id="garbage before"
        ),
        pytest.param(
            lambda log: log.write_bytes(log.read_bytes() + b"garbage"), tuple(range(6)), id="garbage behind"
        ),
    ],
)
def test_of_a_damaged_closed_segment_whole_batches_are_served(
    tmp_path: Path, harm: Harm, left: tuple[int, ...]
) -> None:
    harm(filled(tmp_path)[1])
    for _ in range(2):  # the second time it is a log like any other
        log = opened(tmp_path)
        for start in range(6):
            assert found(log, start) == expected(*(offset for offset in left if offset >= start))
        assert log.end == 6
        log.close()


def test_damage_is_said_once_with_where_the_rest_is(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    segment = filled(tmp_path)[1]
    before = segment.read_bytes()
    segment.write_bytes(before[:-1])
    opened(tmp_path).close()
    said = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(said) == 1
    assert "is damaged" in said[0].getMessage()
    aside = segment.with_suffix(".log.damaged")
    assert str(aside) in said[0].getMessage()
    assert aside.read_bytes() == before[:-1]
    caplog.clear()
    opened(tmp_path).close()
    assert not caplog.records


def test_in_the_active_segment_whole_batches_behind_damage_are_kept(tmp_path: Path) -> None:
    log = opened(tmp_path)
    for value in VALUES:
        log.append(batch_of([value]))
    segment = next(tmp_path.glob("*.log"))
    changed(segment, BATCH_BYTES + 70)
    again = opened(tmp_path)
    assert found(again) == expected(0, 2, 3, 4, 5)
    assert again.append(batch_of([b"next"])).base_offset == 6
    again.close()


def test_a_killed_repair_is_done_again(tmp_path: Path) -> None:
    segment = filled(tmp_path)[1]
    whole = segment.read_bytes()
    segment.write_bytes(whole[:-1])
    segment.with_suffix(".log.damaged").write_bytes(whole[:-1])  # linked, then killed
    segment.with_suffix(".log.repaired").write_bytes(b"half")
    log = opened(tmp_path)
    assert found(log) == expected(0, 1, 2, 4, 5)
    log.close()


@pytest.fixture
def broker_with_a_hole(broker: EmbeddedKafka) -> tuple[EmbeddedKafka, str]:
    """Of five segments the middle one is damaged: offset 2 of 0..4 is gone."""
    topic = new_topic(broker.address, config={"segment.bytes": "200"})
    for value in VALUES[:5]:
        send(broker.address, topic, [value * 10])
    broker.stop()
    segments = sorted((broker.folder / "data" / "topics").glob("*/0/*.log"))
    assert len(segments) == 5
    segments[2].write_bytes(segments[2].read_bytes()[:-1])
    broker.start()
    return broker, topic


def test_every_client_reads_on_behind_the_hole(broker_with_a_hole: tuple[EmbeddedKafka, str]) -> None:
    broker, topic = broker_with_a_hole
    assert "is damaged" in broker.log
    for reads in READERS.values():
        assert [each.value for each in reads(broker.address, topic, 4)] == [
            VALUES[number] * 10 for number in (0, 1, 3, 4)
        ]
    with RawConnection(broker.address) as connection:
        assert connection.produce(topic, batch_of([b"next"])) == (0, 5)
