"""Publishes what outboxes hold, in order and in batches, by a thread of its own: who answers never waits.

While Kafka is away the records stay on the disk. What a dead process left on that volume is delivered too.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence

from confluent_kafka import KafkaException

from shared.backoff import pause_seconds
from shared.events.envelope import Record
from shared.outbox.lines import NotARecord, record_in
from shared.outbox.outbox import Outbox
from shared.producer import NotConfirmed

BATCH = 1000
BITE_BYTES = 64 << 10  # decoded at a stretch; then whoever answers has the interpreter
BITE_PAUSE_SECONDS = 0.001
GATHERING_SECONDS = 0.05  # what comes in meanwhile goes in one batch, with one note of the place
LOOK_FOR_ORPHANS_SECONDS = 30.0
ALARM_SECONDS = 600.0
LONGEST_PAUSE_SECONDS = 5.0  # a try waits for Kafka itself: this is for errors that come at once
LOOK_SECONDS = 0.02

log = logging.getLogger(__name__)


class Delivery:
    """Of one process: its own outbox, and orphaned ones as they are found.

    `publish` returns when Kafka has the records, and raises if that is not sure: they are published again
    then, under the same ids.
    """

    def __init__(
        self,
        outbox: Outbox,
        publish: Callable[[Sequence[Record]], None],
        orphans: Callable[[], Iterable[Outbox]] = tuple,
    ) -> None:
        self._outbox, self._publish, self._orphans = outbox, publish, orphans
        self._adopted: list[Outbox] = []
        self._look_at = self._alarm_at = time.monotonic()
        self._failures = 0
        self._is_running = False
        self._hurry, self._stop = threading.Event(), threading.Event()

    @property
    def backlog_bytes(self) -> int:
        """What waits for Kafka: of this process, and of dead ones whose outboxes it has adopted."""
        return sum(outbox.backlog_bytes for outbox in (self._outbox, *self._adopted))

    @property
    def oldest_seconds(self) -> float:
        """How long the oldest of it has waited; 0 when nothing waits."""
        return max(outbox.oldest_seconds for outbox in (self._outbox, *self._adopted))

    async def run_for_ever(self) -> None:
        """Until it is cancelled: then no more batch is begun."""
        self._is_running = True
        threading.Thread(target=self._run, name="delivery", daemon=True).start()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self._end()

    async def drain(self, seconds: float) -> None:
        """Returns when all that was appended is in Kafka, or after so many seconds; then delivery ends."""
        until = time.monotonic() + seconds
        self._hurry.set()
        self._outbox.written.set()
        while self._is_running and self._outbox.backlog_bytes and time.monotonic() < until:
            await asyncio.sleep(LOOK_SECONDS)
        self._end()
        if left := self.backlog_bytes:
            log.warning(
                "%d bytes of records are not in Kafka yet; they stay in %s for the next process there",
                left, self._outbox.folder.parent,
            )  # fmt: skip

    def _end(self) -> None:
        self._stop.set()
        self._hurry.set()
        self._outbox.written.set()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                found = self._turn()
                self._failures = 0
                if not found:
                    self._wait_for_more()
            except Exception as error:
                self._failures += 1
                pause = min(pause_seconds(self._failures), LONGEST_PAUSE_SECONDS)
                log.warning(
                    "the outbox waits for Kafka; again in %.1f s: %s", pause, error,
                    exc_info=not isinstance(error, KafkaException) and self._failures in (1, 10),
                )  # fmt: skip
                self._hurry.wait(pause)
                self._stop.wait(LOOK_SECONDS)
            self._alarm()

    def _turn(self) -> bool:
        """A batch of each outbox; whether there was one."""
        if time.monotonic() >= self._look_at:
            self._adopted += self._orphans()
            self._look_at = time.monotonic() + LOOK_FOR_ORPHANS_SECONDS
        found = self._deliver(self._outbox)
        for orphan in list(self._adopted):
            if self._deliver(orphan):
                found = True
            else:
                orphan.mark_published(orphan.end)
                self._adopted.remove(orphan)
                orphan.close()
                log.info("%s: what a dead process left here is in Kafka", orphan.folder)
        return found

    def _deliver(self, outbox: Outbox) -> bool:
        """Publishes the next batch, if there is one."""
        records, whole, damaged, place = list[Record](), list[bytes](), list[bytes](), outbox.published
        while len(records) < BATCH:
            lines, after = outbox.read(place, BITE_BYTES)
            if not lines:
                break
            for line in lines:
                try:
                    made, at = record_in(line)
                except NotARecord:
                    damaged.append(line)
                    continue
                if not records and at is not None:
                    outbox.oldest_at = at
                records.append(made)
                whole.append(line)
            place = after
            time.sleep(BITE_PAUSE_SECONDS)
        if place == outbox.published:
            return False
        if records:
            self._published(outbox, records, whole)
        for line in damaged:
            log.error("%s: a line is no record; it is kept in the file 'damaged'", outbox.folder)
            outbox.set_aside(line, "damaged")
        outbox.mark_published(place)
        return True

    def _published(self, outbox: Outbox, records: Sequence[Record], lines: Sequence[bytes]) -> None:
        """A record that Kafka will never take is found by halves, and stops no other."""
        try:
            self._publish(records)
        except NotConfirmed as error:
            if not error.is_refusal:
                raise
            if len(records) == 1:
                log.error("%s: %s; the record is kept in the file 'refused'", outbox.folder, error)
                outbox.set_aside(lines[0], "refused")
                return
            half = len(records) // 2
            self._published(outbox, records[:half], lines[:half])
            self._published(outbox, records[half:], lines[half:])

    def _wait_for_more(self) -> None:
        self._outbox.written.wait(LOOK_FOR_ORPHANS_SECONDS)
        self._outbox.written.clear()
        self._hurry.wait(GATHERING_SECONDS)

    def _alarm(self) -> None:
        if (
            time.monotonic() >= self._alarm_at
            and self.oldest_seconds > self._outbox.settings.alarm_age_seconds
        ):
            self._alarm_at = time.monotonic() + ALARM_SECONDS
            log.error(
                "records have waited %.1f hours for Kafka, %d bytes in all. They are kept, and nobody else "
                "has them before Kafka does",
                self.oldest_seconds / 3600, self.backlog_bytes,
            )  # fmt: skip
