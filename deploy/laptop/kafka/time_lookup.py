"""Where a time is in a partition: the records of a batch are decoded for nothing else."""

from collections.abc import Sequence

from kafka.errors import UnsupportedCodecError
from kafka.record import MemoryRecords

from deploy.laptop.kafka.batch import BatchHeader
from deploy.laptop.kafka.segment import Segment


def first_at_or_after(segments: Sequence[Segment], timestamp: int, start: int) -> tuple[int, int] | None:
    """(offset, timestamp) of the first record of `timestamp` (ms) or later from `start` on, or None.

    Only batches that reach that far are decoded. One whose compression this Python cannot undo answers
    with its first offset: the reader then starts a few records early, never late.
    """
    for segment in segments:
        if segment.max_timestamp < timestamp:
            continue
        for batch in segment.batches_reaching(timestamp):
            found = _first_record(batch, timestamp, start)
            if found is not None:
                return found
    return None


def _first_record(batch: bytes, timestamp: int, start: int) -> tuple[int, int] | None:
    header = BatchHeader.parse(batch)
    try:
        for record in MemoryRecords(batch).next_batch():
            if record.timestamp >= timestamp and record.offset >= start:
                return record.offset, record.timestamp
    except UnsupportedCodecError:
        return max(header.base_offset, start), header.base_timestamp
    return None
