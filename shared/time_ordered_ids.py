"""Ids that sort by time: UUID version 7, RFC 9562 section 5.7. Python has it from 3.14 on."""

from __future__ import annotations

import os
import uuid
from datetime import datetime


def time_ordered_id(moment: datetime) -> str:
    """A new id: 48 bits of Unix time in milliseconds, then 74 random bits around version and variant."""
    milliseconds = int(moment.timestamp() * 1000)
    random = int.from_bytes(os.urandom(10), "big")
    return str(
        uuid.UUID(
            int=(milliseconds & (1 << 48) - 1) << 80
            | 0x7 << 76
            | (random >> 62 & 0xFFF) << 64
            | 0b10 << 62
            | random & (1 << 62) - 1
        )
    )
