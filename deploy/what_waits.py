"""What waits in an installation, in words: services that are behind, records that were set aside; pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from deploy.waiting_client import Consumer, DeadLetter, DeadLetters

BEHIND_SECONDS = 60.0  # what is younger is on its way
CONSUMERS = ("service", "topic", "behind", "oldest", "stands still")
LETTERS = ("id", "set aside", "service", "came from", "size", "reason")
SHOWN_ID = 8


def waiting(consumers: Sequence[Consumer]) -> list[Consumer]:
    """Those that somebody should know of."""
    return [one for one in consumers if one.set_apart or (one.oldest_seconds or 0) >= BEHIND_SECONDS]


def consumer_rows(consumers: Sequence[Consumer], now: datetime) -> list[tuple[str, ...]]:
    return [
        (
            one.service,
            one.topic,
            f"{one.behind:,}",
            "–" if one.oldest_seconds is None else span(one.oldest_seconds),
            "; ".join(
                f"partition {apart.partition} for {span((now - apart.since).total_seconds())}: {apart.why}"
                for apart in one.set_apart
            )
            or "no",
        )
        for one in consumers
    ]


def letter_rows(letters: Sequence[DeadLetter], now: datetime) -> list[tuple[str, ...]]:
    return [
        (
            one.id[:SHOWN_ID],
            f"{span((now - one.at).total_seconds())} ago",
            one.service,
            f"{one.topic}/{one.partition}@{one.offset}",
            size(one),
            one.reason,
        )
        for one in letters
    ]


def letters_in_words(found: DeadLetters) -> str:
    """One line for all of them, by where they came from."""
    if not found.total:
        return "No dead letters: nothing was set aside that nobody has decided about."
    parts = ", ".join(f"{one.count:,} of {one.topic} by {one.service}" for one in found.counts)
    return f"{count_of(found.total)}: {parts}."


def count_of(number: int) -> str:
    return "1 dead letter" if number == 1 else f"{number:,} dead letters"


def size(letter: DeadLetter) -> str:
    amount = f"{letter.bytes:,} B" if letter.bytes < 10_000 else f"{letter.bytes / 1000:,.0f} kB"
    return amount if letter.is_whole else f"{amount}, cut"


def span(seconds: float) -> str:
    """About how long, in one unit."""
    seconds = max(0.0, seconds)
    for length, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
