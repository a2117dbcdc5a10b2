"""Where people decide about dead letters: what is undecided, what is sent again, what is let go."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from confluent_kafka import KafkaException

from services.workloads.dead_letter_store import DeadLetterStore
from services.workloads.dead_letter_topics import DeadLetterTopics
from services.workloads.dead_letters import (
    DeadLetter,
    Decision,
    RawRecord,
    Wanted,
    is_the_original,
    named,
    replayed,
    undecided,
)
from shared.events.envelope import Record
from shared.service import Clock

TOGETHER = 100  # one may be a megabyte
PublishRecords = Callable[[Sequence[Record]], Awaitable[None]]


class OnlyItsHead(Exception):
    """It was too big to be set aside whole, and Kafka does not keep the record itself any more."""


class NotReplayed(Exception):
    """Kafka did not confirm some in time: they are listed still, and may be replayed again."""


@dataclass(frozen=True)
class Payload:
    """A dead letter's record: key, value and headers are somebody's data."""

    letter: DeadLetter
    record: RawRecord
    is_original: bool
    """Whether it is read from where it stood; else it is what was kept aside."""


@dataclass(frozen=True)
class DeadLetterDesk:
    store: DeadLetterStore
    topics: DeadLetterTopics
    publish_records: PublishRecords
    clock: Clock
    publish_seconds: float

    async def undecided(self, wanted: Wanted) -> list[DeadLetter]:
        """The newest first. Raises KafkaSilent."""
        letters = await asyncio.to_thread(self.topics.letters)
        decided = await self.store.decided_dead_letters() if letters else []
        return [letter for letter in undecided(letters, decided) if wanted.holds(letter)]

    async def named(self, beginning: str) -> list[DeadLetter]:
        """Those whose id begins so; decided ones too, so that one can be looked at again."""
        letters = await asyncio.to_thread(self.topics.letters)
        return named(undecided(letters, ()), beginning)

    async def payload(self, letter: DeadLetter) -> Payload:
        """Raises KafkaSilent, and OnlyItsHead where Kafka has forgotten it meanwhile."""
        ((kept, original),) = await self._kept_and_original([letter])
        return Payload(letter, original or kept, original is not None)

    async def replay(self, letters: Sequence[DeadLetter], by: str, reason: str) -> None:
        """In the order in which they stood, some at a time: published, then noted. Killed in between, what is
        left is listed still.

        Raises OnlyItsHead, KafkaSilent, NotReplayed.
        """
        in_order = sorted(letters, key=lambda one: (one.topic, one.partition, one.offset))
        for start in range(0, len(in_order), TOGETHER):
            some = in_order[start : start + TOGETHER]
            records = [
                replayed(letter, *found)
                for letter, found in zip(some, await self._kept_and_original(some), strict=True)
            ]
            if lost := [letter.id for letter, record in zip(some, records, strict=True) if record is None]:
                raise OnlyItsHead(lost[0])
            await self._publish([record for record in records if record is not None])
            await self.store.keep_decisions(some, Decision.REPLAYED, by, reason, self.clock())

    async def drop(self, letters: Sequence[DeadLetter], by: str, reason: str) -> None:
        """They are listed no more; Kafka forgets them when their retention is over."""
        await self.store.keep_decisions(letters, Decision.DROPPED, by, reason, self.clock())

    async def _publish(self, records: Sequence[Record]) -> None:
        try:
            async with asyncio.timeout(self.publish_seconds):
                await self.publish_records(records)
        except (TimeoutError, KafkaException) as error:
            raise NotReplayed(str(error)) from error

    async def _kept_and_original(
        self, letters: Sequence[DeadLetter]
    ) -> list[tuple[RawRecord, RawRecord | None]]:
        """Of each what was set aside, and the record itself where it still stands."""
        kept_at = {one.id: (one.dead_letters, one.kept_partition, one.kept_offset) for one in letters}
        stood_at = {one.id: (one.topic, one.partition, one.offset) for one in letters}
        places = [*kept_at.values(), *stood_at.values()]
        found = await asyncio.to_thread(self.topics.records, places)
        pairs = []
        for letter in letters:
            kept = found.get(kept_at[letter.id])
            if kept is None:
                raise OnlyItsHead(letter.id)
            original = found.get(stood_at[letter.id])
            pairs.append((kept, original if is_the_original(letter, kept, original) else None))
        return pairs
