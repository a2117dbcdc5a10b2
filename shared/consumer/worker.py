"""Handles one topic's records for one service: partitions together, one in trouble apart from the others."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import islice

from confluent_kafka import Message

from shared.backoff import pause_seconds
from shared.consumer.dead_letters import DeadLetters
from shared.consumer.invalid_run import invalid_in_a_row
from shared.consumer.metrics import ConsumerMetrics
from shared.consumer.reading import read_record
from shared.consumer.records import Batch, ConsumerRecord, Handler, Place
from shared.consumer.tracing import handling
from shared.consumer.unknown_workload import REASON, UnknownWorkloads
from shared.events.envelope import Event, InvalidMessage, Topic

BATCH = 2000
EVENTS_PER_COMMIT = 100  # of a handler that takes one event at a time
HANDLER_SECONDS = 60.0  # far below max.poll.interval.ms (300 s): who takes longer wants a job
MOST_HELD = 2 * BATCH  # records of a partition in memory; from there on Kafka is asked for no more of it

log = logging.getLogger(__name__)


@dataclass
class Partition:
    """Records of one partition that have come and are not handled, the oldest first."""

    number: int
    held: deque[Message] = field(default_factory=deque)
    failures: int = 0
    """In a row."""
    invalid_in_a_row: int = 0
    is_paused: bool = False
    """Kafka is asked for no more of it."""
    apart: asyncio.Task[None] | None = None
    """It is in trouble, and tried again by this task, so that the others need not wait."""
    is_revoked: bool = False


@dataclass
class Portion:
    """The head of a partition, read: what is handled next."""

    partition: Partition
    messages: list[Message] = field(default_factory=list)
    reasons: dict[int, str] = field(default_factory=dict)
    """Offset → why that record is invalid."""
    events: list[ConsumerRecord[Event]] = field(default_factory=list)
    wait_seconds: float = 0.0
    """Above 0: what comes next is of a workload that is not known yet, and may wait so long for it."""


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
        partition.held.extend(messages)
        if len(partition.held) > MOST_HELD and not partition.is_paused:
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
        portions = [self._portion(partition, most) for partition in partitions]
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
        must_pause = partition.failures > 0
        try:
            while partition.held and not partition.is_revoked:
                if must_pause:
                    await asyncio.sleep(pause_seconds(partition.failures))
                known_changed = self._known_changed
                # Half as many after each failure, so that what stands before the trouble goes through.
                most = min(self._most, len(partition.held)) >> partition.failures
                portion = self._portion(partition, max(1, most))
                try:
                    await self._handle(portion)
                except Exception as error:
                    self._failed(partition, error)
                    must_pause = True
                    continue
                must_pause = False
                if portion.wait_seconds:
                    with suppress(TimeoutError):
                        await asyncio.wait_for(known_changed.wait(), portion.wait_seconds)
                elif partition.failures:
                    partition.failures -= 1
                else:
                    break
            partition.failures = 0
        finally:
            self._paused.dec()
            partition.apart = None
            self._there_is_work.set()

    def _portion(self, partition: Partition, most: int) -> Portion:
        portion = Portion(partition)
        for message in islice(partition.held, most):
            offset = _offset(message)
            try:
                event = read_record(self._kind, message)
            except InvalidMessage as invalid:
                portion.reasons[offset] = str(invalid)
            else:
                waits = self._unknown.seconds_to_wait(event, message.timestamp()[1] / 1000, time.time())
                if waits:
                    portion.wait_seconds = waits
                    break
                if waits == 0:
                    portion.reasons[offset] = REASON
                else:
                    portion.events.append(ConsumerRecord(event, partition.number, offset))
            portion.messages.append(message)
        return portion

    async def _handle(self, portion: Portion) -> None:
        if isinstance(self._handler, Batch):
            await self._call_batch(self._handler, [portion])
            await self._finish(portion, len(portion.messages))
            return
        done = 0
        try:
            events = {consumed.offset: consumed.event for consumed in portion.events}
            for message in portion.messages:
                if (event := events.get(_offset(message))) is not None:
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
            partition.invalid_in_a_row, (_offset(message) not in reasons for message in messages)
        )
        for message in messages:
            if reason := reasons.get(_offset(message)):
                await self._dead_letters.keep(self.topic, message, reason)
        partition.invalid_in_a_row = run
        if partition.is_revoked:
            return
        for _ in messages:
            partition.held.popleft()
        self._consumed.inc(len(messages))
        self._flow.handled((self.topic.name, partition.number), _offset(messages[-1]) + 1)
        if partition.is_paused and len(partition.held) < BATCH:
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


def _offset(message: Message) -> int:
    offset: int | None = message.offset()
    assert offset is not None, "a record that was consumed has its place"
    return offset


def _name(error: Exception) -> str:
    return (
        f"took longer than {HANDLER_SECONDS:.0f} s"
        if isinstance(error, TimeoutError)
        else type(error).__name__
    )
