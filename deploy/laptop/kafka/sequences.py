"""Idempotent producers: which batch is new, which one was sent again, which one would leave a gap."""

import struct
from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple, Self

from deploy.laptop.kafka.batch import BatchHeader

REMEMBERED_BATCHES = 5  # Kafka's number: a client may have five requests on the way
REMEMBERED_MS = 24 * 3600 * 1000  # Kafka's default: a producer silent for so long is new again
_SEQUENCES = 1 << 31
_PRODUCER = struct.Struct(">qhqB")  # id, epoch, seen, how many batches follow
_BATCH = struct.Struct(">iiqq")


class OutOfOrder(Exception):
    """The sequence does not continue the producer's last batch; the producer has to start a new epoch."""


class StaleEpoch(Exception):
    """A newer epoch of this producer has written already; this one has to stop."""


class Placed(NamedTuple):
    """Where a batch stands, and when it was appended (ms) if its records have that time; else -1."""

    base_offset: int
    append_time_ms: int


class _Written(NamedTuple):
    first: int
    last: int
    base_offset: int
    append_time_ms: int


@dataclass
class _Producer:
    epoch: int
    seen_ms: int = 0
    written: deque[_Written] = field(default_factory=lambda: deque(maxlen=REMEMBERED_BATCHES))


class ProducerSequences:
    """State of one partition; kept beside the log, and rebuilt from batch headers where it was not."""

    def __init__(self) -> None:
        self._producers: dict[int, _Producer] = {}

    def if_repeated(self, header: BatchHeader) -> Placed | None:
        """None if the batch is to be appended; its place if it was appended before.

        Raises OutOfOrder or StaleEpoch if it may not be appended at all.
        """
        if header.producer_id < 0:
            return None
        producer = self._producers.get(header.producer_id)
        if producer is None:  # new here, or forgotten after a long silence: as Kafka, any sequence starts it
            return None
        if header.producer_epoch < producer.epoch:
            raise StaleEpoch(f"epoch {header.producer_epoch} is older than {producer.epoch}")
        if header.producer_epoch > producer.epoch:
            if header.base_sequence != 0:
                raise OutOfOrder(f"a new epoch starts at 0, not {header.base_sequence}")
            return None
        last = _last_sequence(header)
        for written in producer.written:
            if (written.first, written.last) == (header.base_sequence, last):
                return Placed(written.base_offset, written.append_time_ms)
        expected = (producer.written[-1].last + 1) % _SEQUENCES
        if header.base_sequence != expected:
            raise OutOfOrder(f"sequence {header.base_sequence} came where {expected} was due")
        return None

    def note(self, header: BatchHeader, seen_ms: int) -> None:
        """The batch stands in the log at its base offset; `seen_ms` is about when it came."""
        if header.producer_id < 0:
            return
        producer = self._producers.get(header.producer_id)
        if producer is None or producer.epoch != header.producer_epoch:
            producer = self._producers[header.producer_id] = _Producer(header.producer_epoch)
        producer.seen_ms = seen_ms
        producer.written.append(
            _Written(header.base_sequence, _last_sequence(header), header.base_offset, header.append_time_ms)
        )

    def forget_silent(self, now_ms: int) -> None:
        """Without this every producer there ever was would be kept."""
        earliest = now_ms - REMEMBERED_MS
        self._producers = {id: each for id, each in self._producers.items() if each.seen_ms >= earliest}

    def to_bytes(self) -> bytes:
        parts = []
        for id, producer in self._producers.items():
            parts.append(_PRODUCER.pack(id, producer.epoch, producer.seen_ms, len(producer.written)))
            parts += [_BATCH.pack(*written) for written in producer.written]
        return b"".join(parts)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """What `to_bytes` gave; the caller has seen that it is whole."""
        sequences, at = cls(), 0
        while at < len(data):
            id, epoch, seen_ms, count = _PRODUCER.unpack_from(data, at)
            at += _PRODUCER.size
            producer = sequences._producers[id] = _Producer(epoch, seen_ms)
            for _ in range(count):
                producer.written.append(_Written._make(_BATCH.unpack_from(data, at)))
                at += _BATCH.size
        return sequences


def _last_sequence(header: BatchHeader) -> int:
    return (header.base_sequence + header.last_offset_delta) % _SEQUENCES
