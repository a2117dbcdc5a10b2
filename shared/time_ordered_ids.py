"""Ids that sort by time: UUID version 7, RFC 9562 section 5.7. Python has it from 3.14 on."""

from __future__ import annotations

import os
from datetime import datetime

RANDOM_BYTES = 10


def time_ordered_id(moment: datetime) -> str:
    """A new id: 48 bits of Unix time in milliseconds, then 74 random bits around version and variant."""
    return id_at(int(moment.timestamp() * 1000), os.urandom(RANDOM_BYTES))


def id_at(milliseconds: int, random: bytes) -> str:
    """The id of this time and these ten bytes, of which 74 bits are taken."""
    bits = int.from_bytes(random, "big")
    # Spelled out: a `uuid.UUID` costs five times as much.
    digits = (
        f"{milliseconds & (1 << 48) - 1:012x}7{bits >> 62 & 0xFFF:03x}{1 << 63 | bits & (1 << 62) - 1:016x}"
    )
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
