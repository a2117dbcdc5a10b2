"""A service's share of its topics: one member of the consumer group that has the service's name.

One thread polls, the event loop handles, and what was handled is committed: stored, published, committed, in
that order. Of a partition that was revoked nothing more is committed.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial

from confluent_kafka import Consumer, KafkaException, TopicPartition

from shared.backoff import SaysSeldom, pause_seconds
from shared.consumer.adoption import adopt_offsets
from shared.consumer.dead_letters import DeadLetters
from shared.consumer.metrics import ConsumerMetrics, Lag
from shared.consumer.offsets import UNKNOWN, Committable
from shared.consumer.ownership import Ownership, lead_topic
from shared.consumer.polling import SETTINGS, Delivery, PollingThread, on_error
from shared.consumer.progress import Progress
from shared.consumer.reading import Reader, read_messages
from shared.consumer.records import Batch, Handler, Place, Sample
from shared.consumer.retention import ALARM_SHARE, Age, retention_used
from shared.consumer.settings import ConsumerSettings
from shared.consumer.unknown_workload import UnknownWorkloads
from shared.consumer.waiting import note_beside
from shared.consumer.worker import Flow, TopicWorker
from shared.events.envelope import Event
from shared.kafka import Kafka

SESSION_MS = 6_000  # so long after a kill its partitions wait for somebody else; Kafka allows no less
METADATA_SECONDS = 10.0
ENDS_SECONDS = 1.0  # how old the ends may be that lag is counted from
HANDLERS_END_SECONDS = 3.0

log = logging.getLogger(__name__)


class GroupConsumer:
    """Consumes until it is cancelled; then it commits what was handled and leaves the group."""

    def __init__(
        self,
        service: str,
        handlers: Mapping[type[Event], Handler | Batch | Sample],
        unknown: UnknownWorkloads,
        dead_letters: DeadLetters,
        settings: ConsumerSettings,
        metrics: ConsumerMetrics,
        ownership: Ownership,
        kafka: Kafka,
    ) -> None:
        """`handlers` by kind of event, state events excepted."""
        self.name, self._kafka = service, kafka
        self._handlers, self._unknown = handlers, unknown
        self._dead_letters, self._limit = dead_letters, settings.limit
        self._readers = {
            kind.topic.name: Reader(
                kind, handler.read if isinstance(handler, Batch) else None, settings.unhandled()
            )
            for kind, handler in handlers.items()
        }
        self._metrics, self._ownership = metrics, ownership
        self._lead = lead_topic(handlers)
        self._progress = Progress()
        self._workers: dict[str, TopicWorker] = {}
        self._consumer: Consumer | None = None
        self._ends: dict[Place, tuple[int, int]] = {}
        self._subscribed = asyncio.Event()
        ownership.goes_by(self._lead)
        metrics.watch_lag(self._lag)
        metrics.watch_age(self._ages)

    async def ready(self) -> None:
        """Returns when it has asked for its share."""
        await self._subscribed.wait()

    def known_workloads_changed(self) -> None:
        for worker in self._workers.values():
            worker.known_workloads_changed()

    async def run(self) -> None:
        """Raises KafkaException if Kafka cannot be consumed from; it may be run again."""
        self._loop = asyncio.get_running_loop()
        self._progress, self._ends = Progress(), {}
        self._ends_at = self._commit_not_before = 0.0
        self._says: defaultdict[str, SaysSeldom] = defaultdict(SaysSeldom)
        self._commit_failures = 0
        self._consumer = consumer = Consumer(self._settings())
        self._thread = thread = PollingThread(
            consumer,
            self.name,
            self._begin,
            partial(read_messages, self._readers),
            self._deliver,
            self._between_polls,
            self._end,
        )
        flow = Flow(self._progress.handled, thread.hold_back, thread.resume, self._progress.waits)
        self._workers = {
            kind.topic.name: TopicWorker(
                self.name, kind, handler, self._unknown, self._dead_letters, self._limit, self._metrics, flow
            )
            for kind, handler in self._handlers.items()
        }
        thread.start()
        working = [asyncio.create_task(worker.run()) for worker in self._workers.values()]
        ended = asyncio.create_task(thread.ended())
        try:
            await asyncio.wait({ended, *working}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await self._come_to_an_end(thread, working)
            for task in (ended, *working):
                task.cancel()
            outcomes = await asyncio.gather(ended, *working, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome

    async def _come_to_an_end(self, thread: PollingThread, working: Sequence[asyncio.Task[None]]) -> None:
        for worker in self._workers.values():
            worker.stop()
        await asyncio.wait(working, timeout=HANDLERS_END_SECONDS)
        await thread.stop()
        self._ownership.revoked_all()

    def _settings(self) -> dict[str, object]:
        return {
            **SETTINGS,
            **self._kafka.client(self.name),
            "group.id": self.name,
            "auto.offset.reset": "earliest",
            "partition.assignment.strategy": "cooperative-sticky",
            "session.timeout.ms": SESSION_MS,
            "heartbeat.interval.ms": 2_000,
            "max.poll.interval.ms": 300_000,
            "error_cb": on_error(self.name),
        }

    # On the polling thread:

    def _begin(self) -> None:
        assert self._consumer is not None
        adopt_offsets(self.name, self._workers, self._kafka)
        if self._lead is not None:
            lead = self._consumer.list_topics(self._lead.name, METADATA_SECONDS).topics[self._lead.name]
            if lead.error is not None:
                raise KafkaException(lead.error)
            self._ownership.partition_count(len(lead.partitions))
        self._consumer.subscribe(
            list(self._workers), on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
        )
        self._loop.call_soon_threadsafe(self._subscribed.set)

    def _on_assign(self, consumer: Consumer, assigned: list[TopicPartition]) -> None:
        """Starts where the group stopped, and at the oldest record where it never was.

        Said as an offset, for a question to the broker would stand behind a fetch that waits for records.
        """
        starts: dict[Place, Committable] = {_place(one): (UNKNOWN, "") for one in assigned}
        try:
            committed = consumer.committed(assigned, timeout=METADATA_SECONDS) if assigned else []
        except KafkaException as failure:  # the coordinator may be moving: librdkafka asks again by itself
            log.warning("%s: the committed offsets are not known yet: %s", self.name, failure)
            consumer.incremental_assign(assigned)
        else:
            starts |= {_place(one): (max(one.offset, 0), note_beside(one)) for one in committed}
            consumer.incremental_assign(_as_offsets(starts))
        self._progress.assign(starts)
        with suppress(KafkaException):
            consumer.resume(assigned)  # they may have been paused when they were here before
        self._loop.call_soon_threadsafe(self._ownership.assigned, list(starts))

    def _on_revoke(self, consumer: Consumer, revoked: list[TopicPartition]) -> None:
        places = [_place(one) for one in revoked]
        self._thread.forget(places)
        self._commit(self._progress.revoke(places))
        self._loop.call_soon_threadsafe(self._revoked, places)

    def _on_lost(self, consumer: Consumer, lost: list[TopicPartition]) -> None:
        places = [_place(one) for one in lost]
        self._thread.forget(places)
        self._progress.revoke(places)
        self._loop.call_soon_threadsafe(self._revoked, places)

    def _between_polls(self) -> None:
        self._commit_what_is_handled()
        if time.monotonic() - self._ends_at > ENDS_SECONDS:
            self._ends_at = time.monotonic()
            self._look_at_ends()
            self._warn_of_retention()
            self._thread.resume_unless(lambda place: self._workers[place[0]].holds_back(place[1]))

    def _commit_what_is_handled(self) -> None:
        """Waits for Kafka's answer. What it refuses is tried again after a while, and meanwhile polled on."""
        if time.monotonic() < self._commit_not_before:
            return
        if self._commit(self._progress.due()):
            self._commit_failures = 0
        else:
            self._commit_failures += 1
            self._commit_not_before = time.monotonic() + pause_seconds(self._commit_failures)

    def _commit(self, due: Mapping[Place, Committable]) -> bool:
        """Whether there was nothing to commit, or it is committed."""
        assert self._consumer is not None
        if not due:
            return True
        try:
            answers = self._consumer.commit(offsets=_as_offsets(due), asynchronous=False) or []
            refused = next((one.error for one in answers if one.error is not None), None)
        except KafkaException as failure:
            answers, refused = [], failure.args[0]
        self._progress.committed({(at := _place(one)): due[at] for one in answers if one.error is None})
        if refused is not None:
            self._metrics.commit_failures.labels(self.name).inc()
            log.warning("%s: a commit failed: %s", self.name, refused.str())
        return refused is None

    def _look_at_ends(self) -> None:
        """As Kafka last said them, without asking."""
        assert self._consumer is not None
        for place in self._progress.following():
            with suppress(KafkaException):
                self._ends[place] = self._consumer.get_watermark_offsets(TopicPartition(*place), cached=True)

    def _end(self) -> None:
        self._commit(self._progress.due())

    # On the event loop:

    def _deliver(self, delivery: Delivery) -> None:
        for (topic, number), records in delivery.items():
            self._workers[topic].deliver(number, records)

    def _revoked(self, places: Sequence[Place]) -> None:
        for topic, number in places:
            self._workers[topic].revoke([number])
        self._ownership.revoked(places)

    def _ages(self) -> Iterator[Age]:
        """Of each topic's oldest record that is here and not handled, where there is any."""
        for kind in self._handlers:
            worker = self._workers.get(kind.topic.name)
            appended_at = worker.oldest_appended_at() if worker is not None else None
            age = max(0.0, time.time() - appended_at / 1000) if appended_at is not None else 0.0
            yield self.name, kind.topic, age

    def _warn_of_retention(self) -> None:
        for _, topic, age in self._ages():
            used = retention_used(topic, age)
            if used > ALARM_SHARE and self._says[topic.name].is_due("retention", time.monotonic()):
                log.warning(
                    "%s: the oldest record of %s that waits has used %.0f %% of the topic's retention (%s): "
                    "what it waits for must be mended before Kafka deletes it",
                    self.name,
                    topic.name,
                    100 * used,
                    topic.retention,
                )

    def _lag(self) -> Iterator[Lag]:
        for (topic, number), offset in self._progress.following().items():
            oldest, end = self._ends.get((topic, number), (0, -1))
            if end >= 0:
                yield self.name, topic, number, max(0, end - max(offset, oldest))


def _place(one: TopicPartition) -> Place:
    return one.topic, one.partition


def _as_offsets(offsets: Mapping[Place, Committable]) -> list[TopicPartition]:
    return [
        TopicPartition(topic, number, offset, metadata=note)
        for (topic, number), (offset, note) in offsets.items()
    ]
