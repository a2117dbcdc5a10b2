"""librdkafka's producer, used here and nowhere else: records go in batches, with one wait for each batch.

A delivery report costs a call of Python for each record, so that call only counts. Whoever waits for reports
takes them: a thread of their own would ask for the interpreter once a record while others have work to do.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import confluent_kafka
from confluent_kafka import KafkaError, KafkaException

from shared.events.envelope import Record
from shared.producer.batch import Batch, Waker
from shared.producer.tracing import publishing

BITE = 250  # records handed to librdkafka before others have their turn: a millisecond or two
LEAST_PAUSE_SECONDS = 0.001
ROOM_SECONDS = 0.02  # when its queue is full: how long to wait before looking again
LOOK_SECONDS = 0.01  # a thread's reports may also be taken by somebody else
KEEP_UP_SECONDS = 1.0
LAST_RECORDS_SECONDS = 1.0
_NO_TOPIC = (KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION, KafkaError.UNKNOWN_TOPIC_OR_PART)
_REFUSED = (KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_RECORD)
_ANY, _NOW = -1, 0  # partition and time: to give what follows them by name costs more
_OF_NO_USE = (KafkaError._FATAL, KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT)

Published = Callable[[str, int], None]
"""Told a topic and how many records of it Kafka has confirmed."""

log = logging.getLogger(__name__)


class NotConfirmed(KafkaException):  # type: ignore[misc]
    """Kafka did not confirm a batch: nothing of it is sure. Publish it again; the same ids count once."""

    def __init__(self, error: KafkaError, said: str) -> None:
        super().__init__(error)
        self._said = said

    def __str__(self) -> str:
        return self._said

    @property
    def is_refusal(self) -> bool:
        """Whether Kafka will not take a record of the batch, however often it is published."""
        return self.args[0].code() in _REFUSED


class Producer:
    """Idempotent, acks=all. It connects when it is first used, and is made anew after a fatal error.

    `settings` are librdkafka's own. Every method may be called from any thread.
    """

    def __init__(self, settings: Mapping[str, Any], published: Published) -> None:
        self._settings = {**settings, "error_cb": self._on_error}
        self._published = published
        self._lock = threading.Lock()
        self._native: Any = None
        self._waker: Waker | None = None
        self._is_closed = False
        self._trouble = ""

    async def publish_records(self, records: Sequence[Record]) -> None:
        """Returns when Kafka has all of them. Raises NotConfirmed, which names the topic and the cause."""
        waker = self._waker_of(asyncio.get_running_loop())
        with publishing(records) as traceparent:
            for may_try_again in (True, False):
                confirmed: asyncio.Future[None] = waker.loop.create_future()
                batch = Batch(partial(waker.wake, confirmed))
                native = self._connected()
                with waker.looking():
                    for pause_seconds in _hand_over(native, batch, records, traceparent):
                        await asyncio.sleep(pause_seconds)
                    await confirmed
                if self._is_settled(native, batch, records, may_try_again):
                    return

    def publish_and_wait(self, records: Sequence[Record]) -> None:
        """The same from a thread, with pauses in which other threads have the interpreter."""
        with publishing(records) as traceparent:
            for may_try_again in (True, False):
                confirmed = threading.Event()
                batch = Batch(confirmed.set)
                native = self._connected()
                for pause_seconds in _hand_over(native, batch, records, traceparent):
                    time.sleep(pause_seconds or LEAST_PAUSE_SECONDS)
                while not confirmed.is_set():
                    self._take_reports(native, LOOK_SECONDS)
                if self._is_settled(native, batch, records, may_try_again):
                    return

    def close(self, seconds: float = LAST_RECORDS_SECONDS) -> None:
        """Waits for what is on its way, so long and no longer; who still waits then hears NotConfirmed."""
        with self._lock:
            native, self._native, self._is_closed = self._native, None, True
        if native is not None:
            if left := native.flush(seconds):
                log.warning("%d records were not confirmed by Kafka before the end%s", left, self._trouble)
            _abandon(native)

    async def answers(self, seconds: float) -> bool:
        """Whether a broker answers within so many seconds."""
        try:
            await asyncio.to_thread(self._connected().list_topics, timeout=seconds)
        except KafkaException:
            return False
        return True

    def _waker_of(self, loop: asyncio.AbstractEventLoop) -> Waker:
        if self._waker is None or self._waker.loop is not loop:
            self._waker = Waker(loop, self._take_reports_at_hand)
        return self._waker

    def _connected(self) -> confluent_kafka.Producer:
        with self._lock:
            if self._is_closed:
                raise NotConfirmed(
                    KafkaError(KafkaError._DESTROY), "the producer is closed: this process ends"
                )
            if self._native is None:
                self._native = confluent_kafka.Producer(self._settings, logger=log)
                threading.Thread(
                    target=self._keep_up, args=[self._native], name="published", daemon=True
                ).start()
            return self._native

    def _keep_up(self, native: Any) -> None:
        """Takes what nobody waits for: errors of connections, reports on records that were given up."""
        while self._native is native:
            self._take_reports(native, 0)
            time.sleep(KEEP_UP_SECONDS)

    def _take_reports_at_hand(self) -> None:
        if (native := self._native) is not None:
            self._take_reports(native, 0)

    def _take_reports(self, native: Any, seconds: float) -> None:
        """Those that come within so long, or else those that are there: of anybody's records."""
        try:
            native.poll(seconds)
        except KafkaException as error:  # a fatal one
            self._replace(native, error.args[0])

    def _on_error(self, error: KafkaError) -> None:
        """What librdkafka says of its connections: the cause of time-outs that come later."""
        self._trouble = f" (librdkafka says: {error.str()})"

    def _is_settled(
        self, native: confluent_kafka.Producer, batch: Batch, records: Sequence[Record], may_try_again: bool
    ) -> bool:
        """False if it is to be published again, by another producer. Raises NotConfirmed."""
        topics = {one.topic for one in records}
        for topic in topics:
            count = len(records) if len(topics) == 1 else sum(one.topic == topic for one in records)
            self._published(topic, count - batch.failed[topic])
        if batch.error is None:
            self._trouble = ""
            return True
        if batch.error.fatal() or batch.error.code() in _OF_NO_USE:
            self._replace(native, batch.error)
            if may_try_again and not self._is_closed:
                return False
        raise NotConfirmed(batch.error, f"{batch.topic}: {self._cause(batch.error)}")

    def _replace(self, native: confluent_kafka.Producer, error: KafkaError) -> None:
        with self._lock:
            if native is not self._native:  # somebody else was quicker
                return
            self._native = None
        log.error("Kafka ended this producer (%s); going on with a new one", error.str())
        threading.Thread(target=_abandon, args=[native], name="abandoned producer", daemon=True).start()

    def _cause(self, error: KafkaError) -> str:
        if error.code() == KafkaError._MSG_TIMED_OUT:
            seconds = float(self._settings.get("message.timeout.ms", 300_000)) / 1000
            return f"Kafka did not confirm it in {seconds:g} s{self._trouble}"
        if error.code() in _NO_TOPIC:
            return "Kafka has no such topic. Services make theirs when they start: restart this one"
        return str(error.str())


def _hand_over(
    native: confluent_kafka.Producer, batch: Batch, records: Sequence[Record], traceparent: str
) -> Iterator[float]:
    """Gives librdkafka all records; yields how long to pause each time others should have their turn."""
    taken, produce = 0, native.produce
    common: Mapping[str, str] | None = None
    headers: dict[str, str | bytes] = {}  # one for many records, of which librdkafka copies it
    try:
        for record in records:
            if record.common is common and record.event_id:
                headers["ce_id"], headers["ce_time"] = record.event_id, record.event_time
            else:
                common = record.common
                headers = {name: value.encode() for name, value in record.headers.items()}
                headers["traceparent"] = traceparent.encode()
            while True:
                try:
                    produce(record.topic, record.value, record.key, _ANY, batch, None, _NOW, headers)
                    break
                except BufferError:  # its queue is full: this is back-pressure
                    native.poll(0)  # who was reported on has made room
                    yield ROOM_SECONDS
            taken += 1
            if taken % BITE == 0:
                yield 0.0
    except KafkaException as error:  # the record is too big, or this producer is of no use any more
        batch.refuse(error.args[0], *(record.topic for record in records[taken:]))
    finally:
        batch.expect(taken)


def _abandon(native: confluent_kafka.Producer) -> None:
    """What it still holds is reported as failed, so that whoever waits for it publishes it again."""
    with suppress(KafkaException):  # of the fatal error, if it was not said yet
        native.poll(0)
    native.purge()
    native.flush(LAST_RECORDS_SECONDS)
