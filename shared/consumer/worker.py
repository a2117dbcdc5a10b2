"""Handles one topic's records for one service: partitions together, one in trouble apart from the others."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from confluent_kafka import Message

from shared.backoff import pause_seconds
from shared.consumer.dead_letters import DeadLetters
from shared.consumer.invalid_run import invalid_in_a_row
from shared.consumer.metrics import ConsumerMetrics
from shared.consumer.portion import Partition, Portion, offset_of, read_portion
from shared.consumer.records import Batch, Handler, Place
from shared.consumer.tracing import handling
from shared.consumer.unknown_workload import UnknownWorkloads
from shared.events.envelope import Event, Topic

BATCH = 2000
EVENTS_PER_COMMIT = 100  # of a handler that takes one event at a time
HANDLER_SECONDS = 60.0  # far below max.poll.interval.ms (300 s): what takes longer is a job

log = logging.getLogger(__name__)


@dataclass
class Flow:
    """What the worker tells whoever reads from Kafka for it."""

    handled: Callable[[Place, int], None]
    """Everything of this partition before that offset is done with."""
    pause: Callable[[Place], None]
    resume: Callable[[Place], None]


class TopicWorker:
    """Raises nothing: what fails is tried again, with growing pauses, until it succeeds or is revoked."""

    def __init__(
        self,
        service: str,
        kind: type[Event],
        handler: Handler | Batch,
        unknown: UnknownWorkloads,
        dead_letters: DeadLetters,
        metrics: ConsumerMetrics,
        flow: Flow,
    ) -> None:
        self._kind, self._handler, self._unknown = kind, handler, unknown
        self._dead_letters, self._flow = dead_letters, flow
        self._partitions: dict[int, Partition] = {}
        self._there_is_work, self._known_changed = asyncio.Event(), asyncio.Event()
        self._is_stopping = False
        self._most = BATCH if isinstance(handler, Batch) else EVENTS_PER_COMMIT
        self._consumed = metrics.consumed.labels(service, kind.topic.name)
        self._seconds = metrics.handler_seconds.labels(service, kind.topic.name)
        self._failures = metrics.handler_failures.labels(service, kind.topic.name)
        self._paused = metrics.paused.labels(service, kind.topic.name)
        self._service, self._name = service, f"{service}: {kind.topic.name}"

    @property
    def topic(self) -> Topic:
        return self._kind.topic

    def deliver(self, number: int, messages: Sequence[Message]) -> None:
        """Takes records of one partition, in order."""
        partition = self._partitions.setdefault(number, Partition(number))
        partition.hold(messages)
        if partition.is_full() and not partition.is_paused:
            partition.is_paused = True
            self._flow.pause((self.topic.name, number))
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
            while not self._is_stopping and (ready := self._ready()):
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

    async def _together(self, partitions: Sequence[Partition]) -> None:
        most = max(1, self._most // len(partitions))
        portions = [
            read_portion(partition, self._kind, self._unknown, most, time.time()) for partition in partitions
        ]
        if isinstance(self._handler, Batch) and len(portions) > 1:
            try:
                await self._call_batch(self._handler, portions)
            except Exception as error:  # whose fault it is shows when each is handled apart
                log.warning("%s: handling failed (%s); trying each partition apart", self._name, _name(error))
                for portion in portions:
                    self._set_apart(portion.partition)
                return
            for portion in portions:
                await self._finish_or_set_apart(portion)
        else:
            for portion in portions:
                await self._handle_or_set_apart(portion)
        for portion in portions:
            if portion.wait_seconds and portion.partition.apart is None:
                self._set_apart(portion.partition)

    async def _handle_or_set_apart(self, portion: Portion) -> None:
        try:
            await self._handle(portion)
        except Exception as error:
            self._failed(portion.partition, error)
            self._set_apart(portion.partition)

    async def _finish_or_set_apart(self, portion: Portion) -> None:
        try:
            await self._finish(portion, len(portion.messages))
        except Exception as error:
            self._failed(portion.partition, error)
            self._set_apart(portion.partition)

    def _set_apart(self, partition: Partition) -> None:
        if not partition.is_revoked and not self._is_stopping:
            partition.apart = asyncio.create_task(self._until_it_goes_well(partition), name=self._name)

    async def _until_it_goes_well(self, partition: Partition) -> None:
        self._paused.inc()
        halvings = partition.failures
        try:
            while partition.held and not partition.is_revoked:
                if partition.failures:
                    await asyncio.sleep(pause_seconds(partition.failures))
                known_changed = self._known_changed
                # Half as many after each failure, so that what stands before the trouble goes through.
                most = max(1, min(self._most, len(partition.held)) >> halvings)
                portion = read_portion(partition, self._kind, self._unknown, most, time.time())
                try:
                    await self._handle(portion)
                except Exception as error:
                    self._failed(partition, error)
                    halvings = min(halvings + 1, self._most.bit_length())
                    continue
                partition.failures = 0
                if portion.wait_seconds:
                    with suppress(TimeoutError):
                        await asyncio.wait_for(known_changed.wait(), portion.wait_seconds)
                elif halvings:
                    halvings -= 1
                else:
                    break
        finally:
            self._paused.dec()
            partition.apart = None
            self._there_is_work.set()

    async def _handle(self, portion: Portion) -> None:
        if isinstance(self._handler, Batch):
            await self._call_batch(self._handler, [portion])
            await self._finish(portion, len(portion.messages))
            return
        done = 0
        try:
            events = {consumed.offset: consumed.event for consumed in portion.events}
            for message in portion.messages:
                if (event := events.get(offset_of(message))) is not None:
                    await self._call(partial(self._handler, event), [message])
                done += 1
        finally:
            await self._finish(portion, done)

    async def _call_batch(self, handler: Batch, portions: Sequence[Portion]) -> None:
        events = [consumed for portion in portions for consumed in portion.events]
        by_number = {portion.partition.number: portion for portion in portions}

        async def call() -> None:
            for invalid in await handler.handler(events) or ():
                consumed = invalid.consumed
                by_number[consumed.partition].reasons[consumed.offset] = invalid.reason

        if events:
            await self._call(call, [message for portion in portions for message in portion.messages])

    async def _call(self, call: Callable[[], Awaitable[None]], messages: Sequence[Message]) -> None:
        with self._seconds.time(), handling(self._service, self.topic.name, messages):
            async with asyncio.timeout(HANDLER_SECONDS):
                await call()

    async def _finish(self, portion: Portion, count: int) -> None:
        """The first `count` are handled: what of them is invalid goes aside, and all may be committed."""
        partition, messages = portion.partition, portion.messages[:count]
        if not messages:
            return
        reasons = portion.reasons
        run = invalid_in_a_row(
            partition.invalid_in_a_row, (offset_of(message) not in reasons for message in messages)
        )
        for message in messages:
            if reason := reasons.get(offset_of(message)):
                await self._dead_letters.keep(self.topic, message, reason)
        partition.invalid_in_a_row = run
        if partition.is_revoked:
            return
        partition.drop(len(messages))
        self._consumed.inc(len(messages))
        self._flow.handled((self.topic.name, partition.number), offset_of(messages[-1]) + 1)
        if partition.is_paused and partition.wants_more():
            partition.is_paused = False
            self._flow.resume((self.topic.name, partition.number))

    def _failed(self, partition: Partition, error: Exception) -> None:
        partition.failures += 1
        self._failures.inc()
        log.warning(
            "%s/%d: handling failed (%s), attempt %d; trying again in %.1f s",
            self._name,
            partition.number,
            _name(error),
            partition.failures,
            pause_seconds(partition.failures),
            exc_info=error if partition.failures in (1, 10) else None,
        )


def _name(error: Exception) -> str:
    return (
        f"took longer than {HANDLER_SECONDS:.0f} s"
        if isinstance(error, TimeoutError)
        else type(error).__name__
    )
