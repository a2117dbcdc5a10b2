"""Record batches (format v2) seen from outside: header, checksum and the two fields a broker stamps."""

import struct
from typing import NamedTuple, Self

import google_crc32c

HEADER = struct.Struct(">qiibIhiqqqhii")
_STAMP = struct.Struct(">qii")  # base offset, length, leader epoch: all before the checksummed part
_LENGTH_FIELD_END = 12
_CHECKSUMMED_FROM = 21
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
    def parse(cls, data: bytes, at: int = 0) -> Self:
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
    def belongs_to_a_transaction(self) -> bool:
        return bool(self.attributes & _TRANSACTIONAL_OR_CONTROL)


def check(data: bytes, at: int = 0) -> BatchHeader:
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


def stamped(data: bytes, base_offset: int) -> tuple[bytes, memoryview]:
    """The batch with its place in the log, as two buffers to write one after the other.

    Both fields that a broker decides lie before the checksummed part, so records are stored as they came.
    """
    length = int.from_bytes(data[8:_LENGTH_FIELD_END], "big")
    return _STAMP.pack(base_offset, length, 0), memoryview(data)[_STAMP.size :]
