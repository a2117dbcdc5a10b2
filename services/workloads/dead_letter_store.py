"""What people decided about dead letters, in ClickHouse."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from services.workloads.dead_letters import DeadLetter, Decision
from shared.clickhouse import ClickHouse


class DeadLetterStore:
    """SQL on decisions; the dead letters themselves stand in Kafka."""

    def __init__(self, clickhouse: ClickHouse) -> None:
        self._clickhouse = clickhouse

    async def decided_dead_letters(self) -> list[str]:
        """The ids of those that were replayed or dropped."""
        rows = await self._clickhouse.rows("SELECT dead_letter_id FROM dead_letter_decisions FINAL")
        return [row["dead_letter_id"] for row in rows]

    async def keep_decisions(
        self, letters: Iterable[DeadLetter], decision: Decision, by: str, reason: str, at: datetime
    ) -> None:
        await self._clickhouse.insert(
            "dead_letter_decisions",
            [
                {
                    "dead_letter_id": letter.id,
                    "topic": letter.topic,
                    "service": letter.service,
                    "decision": decision.value,
                    "decided_by": by,
                    "reason": reason,
                    "decided_at": at,
                }
                for letter in letters
            ],
        )
