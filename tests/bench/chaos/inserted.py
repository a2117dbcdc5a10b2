"""From which Kafka partitions the rows of an INSERT are, read off its body."""

from __future__ import annotations

import gzip
import struct
from urllib.parse import unquote_plus

import lz4.frame

COLUMN = b"\x0fkafka_partition\x06UInt16"
NEXT_COLUMN = b"\x0ckafka_offset"


class CannotRead(Exception):
    """The body is of a shape that this file does not know: teach it, or partitions cannot be refused."""


def partitions_in(body: bytes, encoding: str, path: str) -> set[int]:
    """Kafka partitions of the rows of predictions or feedback; none for anything else. Reads Native blocks.

    Raises CannotRead for an INSERT into one of the two whose partitions it does not find.
    """
    raw = _inflated(body, encoding)
    statement = unquote_plus(path) + raw[:300].decode("utf-8", "replace")
    if not any(f"INSERT INTO {quoted}" in statement for quoted in _TABLES):
        return set()
    partitions: set[int] = set()
    found = raw.find(COLUMN)
    if found < 0:
        raise CannotRead(statement[:200])
    while found >= 0:
        start = found + len(COLUMN)
        end = raw.index(NEXT_COLUMN, start)
        partitions.update(struct.unpack(f"<{(end - start) // 2}H", raw[start:end]))
        found = raw.find(COLUMN, end)
    return partitions


_TABLES = ("predictions", "`predictions`", "feedback", "`feedback`")


def _inflated(body: bytes, encoding: str) -> bytes:
    if encoding == "lz4":
        return bytes(lz4.frame.decompress(body))
    if encoding == "gzip":
        return gzip.decompress(body)
    if encoding:
        raise CannotRead(f"content-encoding {encoding}")
    return body
