"""A UUID version 7 (RFC 9562 section 5.7) from its parts. Python has it from 3.14 on."""

from __future__ import annotations

RANDOM_BYTES = 10


def uuid7(milliseconds: int, random: bytes) -> str:
    """48 bits of Unix time in milliseconds, then 74 of these ten bytes' bits around version and variant."""
    bits = int.from_bytes(random, "big")
    # Spelled out: a `uuid.UUID` costs more than all the rest.
    digits = (
        f"{milliseconds & (1 << 48) - 1:012x}7{bits >> 62 & 0xFFF:03x}{1 << 63 | bits & (1 << 62) - 1:016x}"
    )
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
