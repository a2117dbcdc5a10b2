"""Handles one topic's records for one service: partitions together, one in trouble apart from the others."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from shared.backoff import SaysSeldom, pause_seconds
from shared.consumer.dead_letters import SetAside
from shared.consumer.invalid_limit import InvalidLimit, TooManyInvalid
from shared.consumer.metrics import ConsumerMetrics
from shared.consumer.portion import Partition, Portion, next_portion
from shared.consumer.reading import Records
from shared.consumer.records import Batch, Handler, Place, Sample
from shared.consumer.tracing import handling
from shared.consumer.unknown_workload import UnknownWorkloads
from shared.consumer.waiting import Waiting
from shared.events.envelope import Event, Topic, now

BATCH = 20_000
BATCH_BYTES = 32 << 20
EVENTS_PER_COMMIT = 100  # of a handler that takes one event at a time
HANDLER_SECONDS = 60.0  # far below max.poll.interval.ms (300 s): what takes longer is a job
LONGEST_PAUSE_SECONDS = 5.0  # one try in so long costs nothing, and what comes back is seen soon
SHRINK = 8  # after each failure so many times fewer records, so that the one that fails is soon alone
GATHER_SECONDS = 0.6  # between the beginnings of two batches, while many come: each is a part in ClickHouse
MANY = 500

log = logging.getLogger(__name__)


@dataclass
class Flow:
    """What the worker tells whoever reads from Kafka for it."""

    handled: Callable[[Place, int], None]
    """Everything of this partition before that offset is done with."""
    hold_back: Callable[[Place, bool], None]
    """It has enough of this partition for now; True: and will for long, for it is in trouble."""
    resume: Callable[[Place], None]
    waits: Callable[[Place, Waiting | None], None]
    """What the partition waits for; None: it goes on."""


class TopicWorker:
    """Raises nothing: what fails is tried again, with growing pauses, until it succeeds or is revoked."""

    def __init__(
        self,
        service: str,
        kind: type[Event],
        handler: Handler | Batch | Sample,
        unknown: UnknownWorkloads,
        set_aside: SetAside,
        limit: InvalidLimit,
        metrics: ConsumerMetrics,
        flow: Flow,
    ) -> None:
        self._kind, self._unknown = kind, unknown
        self._handler = Batch(handler.handler) if isinstance(handler, Sample) else handler
        self._set_aside, self._limit, self._flow = set_aside, limit, flow
        self._partitions: dict[int, Partition] = {}
        self._there_is_work, self._known_changed = asyncio.Event(), asyncio.Event()
        self._is_stopping = False
        self._most = BATCH if isinstance(self._handler, Batch) else EVENTS_PER_COMMIT
        self._began, self._last = 0.0, 0
        self._consumed = metrics.consumed.labels(service, kind.topic.name)
        self._seconds = metrics.handler_seconds.labels(service, kind.topic.name)
        self._failures = metrics.handler_failures.labels(service, kind.topic.name)
        self._paused = metrics.paused.labels(service, kind.topic.name)
        self._service, self._name = service, f"{service}: {kind.topic.name}"
        self._says: dict[int, SaysSeldom] = {}

    @property
    def topic(self) -> Topic:
        return self._kind.topic

    def holds_back(self, number: int) -> bool:
        """Whether it has enough of this partition. From any thread."""
        partition = self._partitions.get(number)
        return partition is not None and partition.is_held_back

    def oldest_appended_at(self) -> int | None:
        """When Kafka has the oldest record from that is here and not handled, in milliseconds since 1970."""
        oldest = None
        for partition in list(self._partitions.values()):
            with suppress(IndexError):  # asked from another thread, while the last one is handled
                moment = partition.held[0].appended_at
                if moment >= 0 and (oldest is None or moment < oldest):
                    oldest = moment
        return oldest

    def deliver(self, number: int, records: Records) -> None:
        """Takes records of one partition, in order."""
        partition = self._partitions.setdefault(number, Partition(number))
        partition.hold(records)
        if not partition.is_held_back and partition.is_full(len(self._partitions)):
            partition.is_held_back = True
            self._flow.hold_back(self._place(partition), partition.apart is not None)
        self._there_is_work.set()

    def revoke(self, numbers: Iterable[int]) -> None:
        """Forgets these partitions; what is being handled of them is handled to its end and not committed."""
        for number in numbers:
            partition = self._partitions.pop(number, None)
            if partition is not None:
                partition.is_revoked = True
                if partition.apart is not None:
                    partition.apart.cancel()

    def known_workloads_changed(self) -> None:
        """Whoever waits for a workload looks again."""
        changed, self._known_changed = self._known_changed, asyncio.Event()
        changed.set()

    async def run(self) -> None:
        """Until `stop`."""
        while not self._is_stopping:
            await self._there_is_work.wait()
            self._there_is_work.clear()
            while not self._is_stopping and self._ready():
                await self._gather()
                if ready := self._ready():
                    await self._together(ready)

    def stop(self) -> None:
        """Begins nothing more; `run` returns when what is being handled has come to its end."""
        self._is_stopping = True
        self._there_is_work.set()
        for partition in self._partitions.values():
            if partition.apart is not None:
                partition.apart.cancel()  # most of them wait; what one of them handles comes again

    def _ready(self) -> list[Partition]:
        return [one for one in self._partitions.values() if one.held and one.apart is None]

    async def _gather(self) -> None:
        """While many come they are handled a few times a second, many at once; a few are handled at once."""
        until = self._began + GATHER_SECONDS
        while self._last >= MANY and not self._is_stopping and (left := until - time.monotonic()) > 0:
            if sum(len(one.held) for one in self._ready()) >= self._most:
                break
            self._there_is_work.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._there_is_work.wait(), left)
        self._began = time.monotonic()

    async def _together(self, partitions: Sequence[Partition]) -> None:
        most, most_bytes = max(1, self._most // len(partitions)), BATCH_BYTES // len(partitions)
        portions = [
            next_portion(partition, self._unknown, most, most_bytes, time.time()) for partition in partitions
        ]
        self._last = sum(len(portion.records) for portion in portions)
        if isinstance(self._handler, Batch) and len(portions) > 1:
            try:
                await self._call_batch(self._handler, portions)
            except Exception as error:  # whose fault it is shows when each is handled apart
                log.warning("%s: handling failed (%s); trying each partition apart", self._name, _name(error))
                for portion in portions:
                    self._set_apart(portion.partition)
                return
            for portion in portions:
                await self._well(portion, self._finish(portion, len(portion.records)))
        else:
            for portion in portions:
                await self._well(portion, self._handle(portion))
        for portion in portions:
            if portion.wait_seconds and portion.partition.apart is None:
                self._set_apart(portion.partition)

    async def _well(self, portion: Portion, work: Awaitable[None]) -> None:
        try:
            await work
        except Exception as error:
            self._failed(portion, error)
            self._set_apart(portion.partition)

    def _set_apart(self, partition: Partition) -> None:
        if not partition.is_revoked and not self._is_stopping:
            partition.is_held_back = True
            self._flow.hold_back(self._place(partition), True)
            partition.apart = asyncio.create_task(self._until_it_goes_well(partition), name=self._name)

    async def _until_it_goes_well(self, partition: Partition) -> None:
        """Fewer and fewer of its records at a time, so that what stands before the trouble goes through."""
        self._paused.inc()
        most = max(1, min(self._most, len(partition.held)) // SHRINK) if partition.failures else self._most
        try:
            while partition.held and not partition.is_revoked:
                if partition.failures:
                    await asyncio.sleep(_pause_seconds(partition))
                known_changed = self._known_changed
                portion = next_portion(partition, self._unknown, most, BATCH_BYTES, time.time())
                try:
                    await self._handle(portion)
                except Exception as error:
                    self._failed(portion, error)
                    most = max(1, min(most, len(portion.records)) // SHRINK)
                    continue
                partition.failures = 0
                if portion.wait_seconds:
                    with suppress(TimeoutError):
                        await asyncio.wait_for(known_changed.wait(), portion.wait_seconds)
                elif most < self._most:
                    most = min(self._most, most * SHRINK)
                else:
                    break
        finally:
            self._paused.dec()
            partition.apart = None
            if not partition.is_revoked and not self._is_stopping:  # else its trouble goes on elsewhere
                partition.in_trouble_since = None
                self._flow.waits(self._place(partition), None)
                self._want_more(partition)
            self._there_is_work.set()

    async def _handle(self, portion: Portion) -> None:
        if isinstance(self._handler, Batch):
            await self._call_batch(self._handler, [portion])
            await self._finish(portion, len(portion.records))
            return
        done = 0
        try:
            for record in portion.records:
                if record.offset not in portion.reasons:
                    await self._call(partial(self._handler, record.event), [record])
                done += 1
        finally:
            await self._finish(portion, done)

    async def _call_batch(self, handler: Batch, portions: Sequence[Portion]) -> None:
        records = [record for portion in portions for record in portion.events]
        by_number = {portion.partition.number: portion for portion in portions}

        async def call() -> None:
            for invalid in await handler.handler(records) or ():
                consumed = invalid.consumed
                by_number[consumed.partition].reasons[consumed.offset] = invalid.reason

        if records:
            await self._call(call, records)

    async def _call(self, call: Callable[[], Awaitable[None]], records: Records) -> None:
        with self._seconds.time(), handling(self._service, self.topic.name, records):
            async with asyncio.timeout(HANDLER_SECONDS):
                await call()

    async def _finish(self, portion: Portion, count: int) -> None:
        """The first `count` are handled: what of them is invalid goes aside, and all may be committed."""
        partition, records = portion.partition, portion.records[:count]
        if not records:
            return
        if portion.reasons:
            are_valid = [record.offset not in portion.reasons for record in records]
            seen = partition.seen.then(are_valid, self._limit)
            if invalid := portion.invalid(count):
                await self._set_aside(self.topic, invalid)
        else:
            seen = partition.seen.valid(len(records))
        partition.seen = seen
        if partition.is_revoked:
            return
        partition.drop(len(records))
        self._consumed.inc(len(records))
        self._flow.handled(self._place(partition), records[-1].offset + 1)
        if partition.apart is None:
            self._want_more(partition)

    def _want_more(self, partition: Partition) -> None:
        if partition.is_held_back and partition.wants_more(len(self._partitions)):
            partition.is_held_back = False
            self._flow.resume(self._place(partition))

    def _place(self, partition: Partition) -> Place:
        return self.topic.name, partition.number

    def _failed(self, portion: Portion, error: Exception) -> None:
        partition, records = portion.partition, portion.records
        partition.failures += 1
        self._failures.inc()
        since = partition.in_trouble_since = partition.in_trouble_since or now()
        place, why = f"{self.topic.name}/{partition.number}", _name(error)
        is_ours = not isinstance(error, TooManyInvalid)
        if len(records) == 1 and is_ours:
            why = f"{why}, for record {records[0].offset} alone"
        self._flow.waits(self._place(partition), Waiting(since, why))
        says = self._says.setdefault(partition.number, SaysSeldom())
        if says.is_due(why, time.monotonic()):
            log.warning(
                "%s: %s waits since %s (%s), attempt %d; it is tried again every few seconds",
                self._service,
                place,
                since.isoformat(timespec="seconds"),
                why,
                partition.failures,
                exc_info=error if is_ours and partition.failures in (1, 10) else None,
            )


def _pause_seconds(partition: Partition) -> float:
    return min(pause_seconds(partition.failures), LONGEST_PAUSE_SECONDS)


def _name(error: Exception) -> str:
    if isinstance(error, TooManyInvalid):
        return str(error)
    if isinstance(error, TimeoutError):
        return f"took longer than {HANDLER_SECONDS:.0f} s"
    return type(error).__name__
