"""What a partition waits for, as it stands beside its committed offset for every process to see; pure.

Kafka keeps a note with each commit. A partition in trouble commits where it stands with such a note, and with
an empty one once it goes on.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

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
