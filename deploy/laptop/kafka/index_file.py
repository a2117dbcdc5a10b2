"""A segment's index on disk: what the log knows without reading the segment, and who wrote to it last.

Written atomically beside its segment and checked when it is read. A wrong or missing one is no loss: all
of it can be read from the segment again.
"""

import os
import struct
from dataclasses import dataclass
from pathlib import Path

import google_crc32c

from deploy.laptop.kafka.sparse_index import ENTRY_BYTES, SparseIndex

_MAGIC = b"TLI1"
_HEADER = struct.Struct("=4s36sqqqqqqqqI")
_CHECKSUM = struct.Struct("=I")
_SYNCED = b""
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class WrongIndex(Exception):
    """Missing, damaged, or not about the segment beside it."""


@dataclass(frozen=True)
class SegmentFacts:
    """A segment from outside: `size` whole bytes of batches up to `next_offset`; times in ms since 1970."""

    base_offset: int
    next_offset: int
    size: int
    last_position: int
    """Where its last batch begins."""
    max_timestamp: int
    born_ms: int


@dataclass(frozen=True)
class Checkpoint:
    """All that can be said of a segment's first `facts.size` bytes."""

    facts: SegmentFacts
    index: SparseIndex
    producers: bytes


def path_of(log: Path) -> Path:
    return log.with_suffix(".index")


def encoded(checkpoint: Checkpoint, *, is_synced: bool) -> bytes:
    """`is_synced` says that the segment's bytes outlive a power failure, not only the process."""
    entries, facts = checkpoint.index.to_bytes(), checkpoint.facts
    body = entries + checkpoint.producers
    head = _HEADER.pack(
        _MAGIC, _SYNCED if is_synced else _boot(), facts.base_offset, facts.next_offset, facts.size,
        facts.last_position, facts.max_timestamp, facts.born_ms, len(entries), len(checkpoint.producers),
        google_crc32c.value(body),
    )  # fmt: skip
    return head + _CHECKSUM.pack(google_crc32c.value(head)) + body


def write(log: Path, content: bytes) -> None:
    """Replaces the index of the segment `log` in one step; raises OSError and leaves the old one."""
    path = path_of(log)
    unfinished = path.with_suffix(".index-new")
    unfinished.write_bytes(content)
    unfinished.replace(path)


def facts_of(log: Path) -> SegmentFacts:
    """What the index says, from its first bytes: its entries are checked when they are read. WrongIndex."""
    try:
        with path_of(log).open("rb", buffering=0) as file:
            return _head(file.read(_HEADER.size + _CHECKSUM.size))[0]
    except OSError as problem:
        raise WrongIndex(str(problem)) from problem


def read(log: Path) -> Checkpoint:
    """Raises WrongIndex."""
    try:
        data = path_of(log).read_bytes()
    except OSError as problem:
        raise WrongIndex(str(problem)) from problem
    facts, entries, producers, checksum = _head(data)
    body = data[_HEADER.size + _CHECKSUM.size :]
    if len(body) != entries + producers or entries % ENTRY_BYTES or google_crc32c.value(body) != checksum:
        raise WrongIndex(f"{path_of(log)} is damaged")
    return Checkpoint(facts, SparseIndex.from_bytes(body[:entries]), body[entries:])


def _head(data: bytes) -> tuple[SegmentFacts, int, int, int]:
    """(facts, bytes of entries, bytes of producers, checksum of both); raises WrongIndex."""
    if len(data) < _HEADER.size + _CHECKSUM.size or data[:4] != _MAGIC:
        raise WrongIndex("no index")
    if google_crc32c.value(data[: _HEADER.size]) != _CHECKSUM.unpack_from(data, _HEADER.size)[0]:
        raise WrongIndex("the index is damaged")
    _, boot, *numbers, entries, producers, checksum = _HEADER.unpack_from(data)
    boot = boot.rstrip(b"\0")
    if boot != _SYNCED and boot != _boot():
        raise WrongIndex("the machine was started anew since, and the segment was not synced before")
    return SegmentFacts(*numbers), entries, producers, checksum


def _boot() -> bytes:
    """The same until the machine starts anew; where nobody says so, a name that is nobody's."""
    try:
        return _BOOT_ID.read_bytes().strip()[:36]
    except OSError:
        return b"process %d" % os.getpid()
