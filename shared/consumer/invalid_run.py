"""How many invalid records may stand in a row in a partition; pure."""

from __future__ import annotations

from collections.abc import Iterable

MOST_INVALID_IN_A_ROW = 100


class TooManyInvalid(Exception):
    """So many invalid records in a row mean that the reader is wrong, not the records."""


def invalid_in_a_row(before: int, are_valid: Iterable[bool], most: int = MOST_INVALID_IN_A_ROW) -> int:
    """How many invalid records stand in a row at the end, after `before` of them. Raises TooManyInvalid."""
    run = before
    for is_valid in are_valid:
        run = 0 if is_valid else run + 1
        if run > most:
            raise TooManyInvalid(
                f"more than {most} invalid records in a row. Nothing more is set aside and the partition "
                "waits: correct the producer or this reader, then restart."
            )
    return run
