"""What Kafka says of the records of a batch, counted; and waking who waits for it."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from confluent_kafka import KafkaError, Message

SOON_SECONDS = 0.001
LATE_SECONDS, SELDOM_SECONDS = 0.1, 0.01  # so long after the last record was handed over Kafka may be away


class Batch:
    """Counts what Kafka says of each record; `done` is called once all is said, perhaps twice."""

    def __init__(self, done: Callable[[], None]) -> None:
        self._done = done
        self._reported, self._expected = 0, -1
        self.error: KafkaError | None = None
        self.topic = ""
        self.failed: Counter[str] = Counter()

    def __call__(self, error: KafkaError | None, message: Message) -> None:
        """By the thread that polls, for each record."""
        if error is not None:
            self.refuse(error, message.topic())
        self._reported += 1
        if self._reported == self._expected:
            self._done()

    def refuse(self, error: KafkaError, *topics: str) -> None:
        self.failed.update(topics)
        if self.error is None:
            self.error, self.topic = error, topics[0]

    def expect(self, records: int) -> None:
        """By whoever publishes: librdkafka has taken so many, and no more will follow."""
        self._expected = records
        if self._reported == records:
            self._done()


class Waker:
    """Wakes those that wait on one loop, and on it looks for what they wait for."""

    def __init__(self, loop: asyncio.AbstractEventLoop, look: Callable[[], None]) -> None:
        """On the loop's thread. `look` takes what Kafka has said, without waiting; it may call `wake`."""
        self.loop, self._look = loop, look
        self._thread = threading.get_ident()
        self._confirmed: deque[asyncio.Future[None]] = deque()
        self._waiting, self._is_due, self._began = 0, False, 0.0

    @contextmanager
    def looking(self) -> Iterator[None]:
        """While somebody waits, it looks every millisecond, and after a while less often."""
        self._waiting += 1
        self._began = self.loop.time()
        if not self._is_due:
            self._is_due = True
            self.loop.call_later(SOON_SECONDS, self._look_on)
        try:
            yield
        finally:
            self._waiting -= 1

    def wake(self, waiting: asyncio.Future[None]) -> None:
        """By any thread: all at once that are confirmed at once, for a wake is a system call."""
        self._confirmed.append(waiting)
        if len(self._confirmed) == 1 and threading.get_ident() != self._thread:
            with suppress(RuntimeError):  # the loop has ended: nobody waits
                self.loop.call_soon_threadsafe(self._set_results)

    def _look_on(self) -> None:
        self._look()
        self._set_results()
        self._is_due = self._waiting > 0
        if self._is_due:
            is_late = self.loop.time() - self._began > LATE_SECONDS
            self.loop.call_later(SELDOM_SECONDS if is_late else SOON_SECONDS, self._look_on)

    def _set_results(self) -> None:
        while self._confirmed:
            waiting = self._confirmed.popleft()
            if not waiting.done():  # it may have been cancelled
                waiting.set_result(None)
