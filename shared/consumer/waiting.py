"""What a partition waits for, as it stands beside its committed offset for every process to see; pure.

Kafka keeps a note with each commit. A partition in trouble commits where it stands with such a note, and with
an empty one once it goes on.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

MOST_WHY = 300  # characters: Kafka takes notes of 4 KB, of which nothing is left to be wanted


@dataclass(frozen=True)
class Waiting:
    """Since when, and why: what failed, never what the records hold."""

    since: datetime
    why: str

    def to_note(self) -> str:
        return json.dumps(
            {"since": self.since.isoformat(timespec="milliseconds"), "why": self.why[:MOST_WHY]}
        )

    @classmethod
    def from_note(cls, note: str | None) -> Waiting | None:
        """None for an empty note, or one that is none of ours."""
        try:
            said = json.loads(note or "")
            since = datetime.fromisoformat(said["since"])
            return cls(since, str(said["why"])) if since.tzinfo is not None else None
        except (ValueError, TypeError, KeyError):
            return None


class Noted(Protocol):
    """A committed offset, as confluent-kafka gives it."""

    @property
    def metadata(self) -> str | None: ...


def note_beside(committed: Noted) -> str:
    """Our note beside a committed offset; empty where there is none, and for another tool's.

    librdkafka hands those on without the zero byte that ends a text in C, unless it was committed with one,
    as confluent-kafka does: what is read then goes on with whatever stands behind it in memory, which may be
    no UTF-8 (confluentinc/librdkafka#4649).
    """
    try:
        note = committed.metadata or ""
    except UnicodeDecodeError:
        return ""
    return note if Waiting.from_note(note) is not None else ""
