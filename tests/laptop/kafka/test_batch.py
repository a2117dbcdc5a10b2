from typing import Any

import pytest
from kafka.record import MemoryRecords

from deploy.laptop.kafka.batch import BatchHeader, InvalidBatch, at_offset, at_time, check, with_header
from tests.laptop.kafka.clients import batch_of

BATCH = batch_of([b"a", b"b", b"c"], producer=(7, 1), sequence=4)


def test_the_header_says_who_sent_what() -> None:
    header = check(BATCH)
    assert (header.producer_id, header.producer_epoch, header.base_sequence) == (7, 1, 4)
    assert (header.record_count, header.size) == (3, len(BATCH))


@pytest.mark.parametrize("position", range(8, len(BATCH)))
def test_any_changed_byte_is_noticed_except_where_the_broker_writes(position: int) -> None:
    changed = bytearray(BATCH)
    changed[position] ^= 0x01
    if 12 <= position < 16:  # the leader epoch
        assert check(bytes(changed)).record_count == 3
    else:
        with pytest.raises(InvalidBatch):
            check(bytes(changed))


@pytest.mark.parametrize("size", [0, 1, 60, 61, len(BATCH) - 1])
def test_a_batch_cut_short_is_noticed(size: int) -> None:
    with pytest.raises(InvalidBatch):
        check(BATCH[:size])


def test_a_placed_batch_has_its_offset_and_is_otherwise_as_it_came() -> None:
    placed = b"".join(with_header(at_offset(check(BATCH), 1 << 40), BATCH))
    assert BatchHeader.parse(placed).base_offset == 1 << 40
    assert check(placed)._replace(base_offset=0) == check(BATCH)
    assert placed[16:] == BATCH[16:]


def test_a_batch_with_the_brokers_time_gives_it_to_all_its_records_and_is_whole() -> None:
    header = at_time(check(BATCH), BATCH, 1_234_567_890_123)
    timed = b"".join(with_header(header, BATCH))
    assert check(timed) == header
    assert header.append_time_ms == 1_234_567_890_123
    assert check(BATCH).append_time_ms == -1
    for before, after in zip(records(BATCH), records(timed), strict=True):
        assert (after.timestamp, after.timestamp_type) == (1_234_567_890_123, 1)
        assert (after.key, after.value, after.offset) == (before.key, before.value, before.offset)


def records(batch: bytes) -> list[Any]:
    return list(MemoryRecords(batch).next_batch())
