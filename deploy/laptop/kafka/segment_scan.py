"""Reads a segment's batches from the file itself: all headers in a row, or what is left of a damaged one."""

import mmap
import os
from collections.abc import Iterator
from pathlib import Path

from deploy.laptop.kafka.batch import HEADER, BatchHeader, InvalidBatch, check

_CHUNK_BYTES = 1 << 20
_LEADER_EPOCH_AND_MAGIC = b"\0\0\0\0\2"  # as this broker writes them, 12 bytes into each batch
_LEADER_EPOCH_AT = 12


def headers(
    file: int, position: int, end: int, next_offset: int, *, verify: bool
) -> Iterator[tuple[int, BatchHeader]]:
    """(position, header) of each batch from `position` on; raises InvalidBatch where the chain breaks.

    With `verify` every checksum is tried, else only that headers lead from one to the next up to `end`.
    """
    chunk, chunk_at = b"", position
    while position < end:
        at = position - chunk_at
        if at + HEADER.size > len(chunk):
            chunk, chunk_at, at = os.pread(file, _CHUNK_BYTES, position), position, 0
        header = BatchHeader.parse(chunk, at)
        size = header.size
        if size < HEADER.size or position + size > end:
            raise InvalidBatch(f"the batch says {size} bytes, here are {end - position}")
        if header.base_offset < next_offset:
            raise InvalidBatch(f"offset {header.base_offset} came where {next_offset} was due")
        if verify:
            if at + size > len(chunk):
                chunk, chunk_at, at = (
                    os.pread(file, max(_CHUNK_BYTES, size), position), position, 0,
                )  # fmt: skip
            check(chunk, at)
        yield position, header
        position += size
        next_offset = header.next_offset


def intact_parts(path: Path, base_offset: int, below: int) -> list[tuple[int, int]]:
    """(start, end) of each run of undamaged batches with offsets from `base_offset` up to `below`."""
    size = path.stat().st_size
    if not size:
        return []
    parts: list[tuple[int, int]] = []
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        position, offset = 0, base_offset
        while position < size:
            header = _intact(data, position, offset, below)
            if header is None:
                position = _next_start(data, position + 1)
                continue
            if parts and parts[-1][1] == position:
                parts[-1] = (parts[-1][0], position + header.size)
            else:
                parts.append((position, position + header.size))
            position += header.size
            offset = header.next_offset
    return parts


def _intact(data: mmap.mmap, position: int, offset: int, below: int) -> BatchHeader | None:
    try:
        header = check(data, position)
    except InvalidBatch:
        return None
    return header if offset <= header.base_offset and header.next_offset <= below else None


def _next_start(data: mmap.mmap, position: int) -> int:
    """The next byte at which a batch may begin; the end if there is none."""
    found = data.find(_LEADER_EPOCH_AND_MAGIC, position + _LEADER_EPOCH_AT)
    return len(data) if found < 0 else found - _LEADER_EPOCH_AT
