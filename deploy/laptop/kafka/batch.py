"""Record batches (format v2) seen from outside: header, checksum and the fields that a broker stamps."""

import mmap
import struct
from typing import NamedTuple, Self

import google_crc32c

HEADER = struct.Struct(">qiibIhiqqqhii")
_LENGTH_FIELD_END = 12
_CHECKSUMMED_FROM = 21
_LOG_APPEND_TIME = 0x08
_TRANSACTIONAL_OR_CONTROL = 0x30


class InvalidBatch(ValueError):
    """These bytes are not one whole, undamaged v2 batch; the producer has to send them again."""


class BatchHeader(NamedTuple):
    """The 61 bytes before the records, in their order on the wire; times in ms since 1970."""

    base_offset: int
    length: int
    leader_epoch: int
    magic: int
    crc: int
    attributes: int
    last_offset_delta: int
    base_timestamp: int
    max_timestamp: int
    producer_id: int
    producer_epoch: int
    base_sequence: int
    record_count: int

    @classmethod
    def parse(cls, data: bytes | mmap.mmap, at: int = 0) -> Self:
        """Read the header at byte `at`; raises InvalidBatch if fewer than 61 bytes are left."""
        if len(data) - at < HEADER.size:
            raise InvalidBatch(f"a batch needs {HEADER.size} bytes of header, here are {len(data) - at}")
        return cls._make(HEADER.unpack_from(data, at))

    @property
    def size(self) -> int:
        """Bytes of the whole batch, header included."""
        return self.length + _LENGTH_FIELD_END

    @property
    def next_offset(self) -> int:
        return self.base_offset + self.last_offset_delta + 1

    @property
    def append_time_ms(self) -> int:
        """When the broker took it, if that is the time its records have; -1 if they have the producer's."""
        return self.max_timestamp if self.attributes & _LOG_APPEND_TIME else -1

    @property
    def belongs_to_a_transaction(self) -> bool:
        return bool(self.attributes & _TRANSACTIONAL_OR_CONTROL)


def check(data: bytes | mmap.mmap, at: int = 0) -> BatchHeader:
    """The header of the whole, undamaged batch that starts at byte `at`; raises InvalidBatch otherwise."""
    header = BatchHeader.parse(data, at)
    if header.magic != 2:
        raise InvalidBatch(
            f"record format {header.magic} is not offered, only format 2 (Kafka 0.11 and later)"
        )
    if header.size < HEADER.size or at + header.size > len(data):
        raise InvalidBatch(f"the batch says {header.size} bytes, here are {len(data) - at}")
    if header.last_offset_delta < 0 or header.record_count != header.last_offset_delta + 1:
        raise InvalidBatch(f"{header.record_count} records cannot end at offset +{header.last_offset_delta}")
    if google_crc32c.value(data[at + _CHECKSUMMED_FROM : at + header.size]) != header.crc:
        raise InvalidBatch("the checksum (CRC-32C) does not fit the records")
    return header


def at_time(header: BatchHeader, data: bytes, now_ms: int) -> BatchHeader:
    """The header that gives all records of the batch `data` the broker's time: bit, time and new checksum."""
    timed = header._replace(attributes=header.attributes | _LOG_APPEND_TIME, max_timestamp=now_ms)
    head = google_crc32c.value(HEADER.pack(*timed)[_CHECKSUMMED_FROM:])
    return timed._replace(crc=google_crc32c.extend(head, data[HEADER.size : header.size]))


def at_offset(header: BatchHeader, base_offset: int) -> BatchHeader:
    """The header of the batch at its place in the log; what changes lies before the checksummed part."""
    return header._replace(base_offset=base_offset, leader_epoch=0)


def with_header(header: BatchHeader, data: bytes) -> tuple[bytes, memoryview]:
    """The batch `data` under another header, as two buffers to write; its records stay as they came."""
    return HEADER.pack(*header), memoryview(data)[HEADER.size :]
