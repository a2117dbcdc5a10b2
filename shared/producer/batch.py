"""What Kafka says of the records of a batch, counted; and waking who waits for it."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress

from confluent_kafka import KafkaError, Message


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
    """Wakes those that wait on one loop, all at once that are confirmed at once: a wake is a system call."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._confirmed: deque[asyncio.Future[None]] = deque()

    def wake(self, waiting: asyncio.Future[None]) -> None:
        """By any thread."""
        self._confirmed.append(waiting)
        if len(self._confirmed) == 1:
            with suppress(RuntimeError):  # the loop has ended: nobody waits
                self.loop.call_soon_threadsafe(self._set_results)

    def _set_results(self) -> None:
        while self._confirmed:
            waiting = self._confirmed.popleft()
            if not waiting.done():  # it may have been cancelled
                waiting.set_result(None)
