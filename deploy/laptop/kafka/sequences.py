"""Idempotent producers: which batch is new, which one was sent again, which one would leave a gap."""

from collections import deque
from dataclasses import dataclass, field

from deploy.laptop.kafka.batch import BatchHeader

REMEMBERED_BATCHES = 5  # Kafka's number: a client may have five requests on the way
_SEQUENCES = 1 << 31


class OutOfOrder(Exception):
    """The sequence does not continue the producer's last batch; the producer has to start a new epoch."""


class StaleEpoch(Exception):
    """A newer epoch of this producer has written already; this one has to stop."""


@dataclass(frozen=True)
class _Written:
    first: int
    last: int
    base_offset: int


@dataclass
class _Producer:
    epoch: int
    written: deque[_Written] = field(default_factory=lambda: deque(maxlen=REMEMBERED_BATCHES))


class ProducerSequences:
    """State of one partition, rebuilt from its batch headers, so that it outlives the process."""

    def __init__(self) -> None:
        self._producers: dict[int, _Producer] = {}

    def offset_if_repeated(self, header: BatchHeader) -> int | None:
        """None if the batch is to be appended; the old base offset if it was appended before.

        Raises OutOfOrder or StaleEpoch if it may not be appended at all.
        """
        if header.producer_id < 0:
            return None
        producer = self._producers.get(header.producer_id)
        if producer is None:  # new here, or its batches went with retention: as Kafka, any sequence starts it
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
                return written.base_offset
        expected = (producer.written[-1].last + 1) % _SEQUENCES
        if header.base_sequence != expected:
            raise OutOfOrder(f"sequence {header.base_sequence} came where {expected} was due")
        return None

    def note(self, header: BatchHeader, base_offset: int) -> None:
        """The batch stands in the log at `base_offset`."""
        if header.producer_id < 0:
            return
        producer = self._producers.get(header.producer_id)
        if producer is None or producer.epoch != header.producer_epoch:
            producer = self._producers[header.producer_id] = _Producer(header.producer_epoch)
        producer.written.append(_Written(header.base_sequence, _last_sequence(header), base_offset))


def _last_sequence(header: BatchHeader) -> int:
    return (header.base_sequence + header.last_offset_delta) % _SEQUENCES
