"""A thread that blocks until Kafka has records and hands them to the event loop at once: nothing ticks."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from shared.consumer.reading import Records
from shared.consumer.records import Place

RECORDS_AT_ONCE = 500  # they are read while the processor's cache has them
RECORDS_PER_DELIVERY = 4000
DELIVERIES_UNDER_WAY = 2  # to an event loop that is busy
PATIENCE_SECONDS = 1.0  # to pause a partition makes librdkafka fetch again what it has: it is waited first
LONGEST_POLL_SECONDS = 1.0  # how late it may notice that it is to stop
SHORT_POLL_SECONDS = 0.05  # while handlers may soon have something to commit
BUSY_SECONDS = 1.0  # so long after a delivery they may
REPORT_AGAIN_SECONDS = 10.0
CLOSING_SECONDS = 3.0  # then the thread is left behind: a broker that does not answer must hold nobody up

SETTINGS = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "allow.auto.create.topics": False,
    # A fetch that finds nothing is answered by the first record that comes, or after so long. What joins
    # meanwhile (a partition newly assigned or resumed) waits for the next fetch, so it is not longer.
    "fetch.wait.max.ms": 1000,
    "queued.max.messages.kbytes": 16_384,
    "reconnect.backoff.max.ms": 1000,
    "topic.metadata.refresh.interval.ms": 10_000,  # so long a partition that is added waits for a reader
    "log_level": 2,  # what it says of its connections comes by `error_cb`
}

Delivery = dict[Place, Records]

log = logging.getLogger(__name__)


class PollingThread:
    """Owns a consumer from `begin` to its close. A call from another thread would wait until no poll is on.

    `deliver` is called on the event loop with what `read` made of messages; everything else on the thread.
    """

    def __init__(
        self,
        consumer: Consumer,
        name: str,
        begin: Callable[[], None],
        read: Callable[[Sequence[Message]], Delivery],
        deliver: Callable[[Delivery], None],
        between: Callable[[], None],
        end: Callable[[], None],
    ) -> None:
        """`between` two polls it does what else there is to do: seldom later than 0.05 s after a delivery."""
        self._consumer, self._name = consumer, name
        self._begin, self._read, self._deliver = begin, read, deliver
        self._between, self._end = between, end
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._is_stopping = threading.Event()
        self._wanted: deque[tuple[bool, Place]] = deque()
        self._held_back: dict[Place, float] = {}
        self._paused: set[Place] = set()
        self._sent, self._taken, self._there_is_room = 0, 0, threading.Event()
        self._forgotten: set[Place] = set()
        self._delivered_at = 0.0
        # A daemon: a broker that does not answer may keep librdkafka's calls for a minute.
        self._thread = threading.Thread(target=self._run, name=f"poll-{name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def hold_back(self, place: Place, for_long: bool) -> None:
        """From any thread: no more of this partition; at once, or unless it soon resumes."""
        if for_long:
            self._held_back.pop(place, None)
            self._wanted.append((True, place))
        else:
            self._held_back[place] = time.monotonic() + PATIENCE_SECONDS

    def resume(self, place: Place) -> None:
        if self._held_back.pop(place, None) is None:
            self._wanted.append((False, place))
        self._there_is_room.set()

    def forget(self, places: Iterable[Place]) -> None:
        """On the thread, while it polls: these partitions are revoked."""
        for place in places:
            self._forgotten.add(place)
            self._held_back.pop(place, None)

    def resume_unless(self, is_held_back: Callable[[Place], bool]) -> None:
        """On the thread: a pause that was wanted before a partition went and came again must not last."""
        for place in [place for place in self._paused if not is_held_back(place)]:
            self._set_paused(False, place)

    async def ended(self) -> None:
        """Returns once it has stopped; raises what ended it before."""
        await asyncio.shield(self._ended)

    async def stop(self) -> None:
        """Returns when the consumer is closed, or cannot be closed in time."""
        self._is_stopping.set()
        await asyncio.wait({self._ended}, timeout=CLOSING_SECONDS)
        if not self._ended.done():
            log.warning("%s: Kafka does not answer, its consumer is left as it is", self._name)

    def _run(self) -> None:
        failure: BaseException | None = None
        try:
            self._begin()
            while not self._is_stopping.is_set():
                self._pause_and_resume()
                self._between()
                self._poll()
            self._end()
        except BaseException as error:
            failure = error
        with suppress(RuntimeError):  # it may be closed already
            self._consumer.close()
        with suppress(RuntimeError):  # the loop may be gone: nobody waits any more
            self._loop.call_soon_threadsafe(self._settle, failure)

    def _poll(self) -> None:
        if not self._has_room():
            self._there_is_room.clear()
            if not self._has_room():
                self._there_is_room.wait(SHORT_POLL_SECONDS)
            return
        is_busy = time.monotonic() - self._delivered_at < BUSY_SECONDS
        first = self._consumer.poll(SHORT_POLL_SECONDS if is_busy else LONGEST_POLL_SECONDS)
        if first is None:
            return
        self._forgotten.clear()
        delivery = self._some([first])
        for _ in range(RECORDS_PER_DELIVERY // RECORDS_AT_ONCE):
            more = self._consumer.consume(RECORDS_AT_ONCE, 0)
            while self._forgotten:  # revoked by this very call: what came before is somebody else's
                delivery.pop(self._forgotten.pop(), None)
            for place, records in self._some(more).items():
                delivery.setdefault(place, []).extend(records)
            if len(more) < RECORDS_AT_ONCE:
                break
        if delivery:
            self._sent += 1
            self._loop.call_soon_threadsafe(self._take, delivery)
            self._delivered_at = time.monotonic()

    def _some(self, messages: Sequence[Message]) -> Delivery:
        if any(map(Message.error, messages)):
            messages = [message for message in messages if not self._is_error(message)]
        return self._read(messages)

    def _take(self, delivery: Delivery) -> None:
        """On the event loop."""
        self._taken += 1
        self._there_is_room.set()
        self._deliver(delivery)

    def _has_room(self) -> bool:
        """False while the event loop has enough: rather than fetch again later it is waited a little."""
        now = time.monotonic()
        for place, until in list(self._held_back.items()):
            if until <= now and self._held_back.pop(place, None) is not None:
                self._wanted.append((True, place))
        return not self._held_back and self._sent - self._taken < DELIVERIES_UNDER_WAY

    def _pause_and_resume(self) -> None:
        while self._wanted:
            self._set_paused(*self._wanted.popleft())

    def _set_paused(self, is_paused: bool, place: Place) -> None:
        (self._paused.add if is_paused else self._paused.discard)(place)
        with suppress(KafkaException):  # it may have been revoked a moment ago
            (self._consumer.pause if is_paused else self._consumer.resume)([TopicPartition(*place)])

    def _is_error(self, message: Message) -> bool:
        error = message.error()
        if error is None:
            return False
        if error.fatal():
            raise KafkaException(error)
        log.warning("%s: %s/%s: %s", self._name, message.topic(), message.partition(), error.str())
        return True

    def _settle(self, failure: BaseException | None) -> None:
        if failure is None:
            self._ended.set_result(None)
        else:
            self._ended.set_exception(failure)


def on_error(name: str) -> Callable[[KafkaError], None]:
    """What librdkafka reports of its connections, now and then; it goes on trying by itself."""
    reported_at = 0.0

    def report(error: KafkaError) -> None:
        nonlocal reported_at
        if time.monotonic() - reported_at > REPORT_AGAIN_SECONDS:
            reported_at = time.monotonic()
            log.warning("%s: %s", name, error.str())

    return report
