"""Tells what happened to a server that may be slow or away: beside the loop, in order, with an end."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge

from services.retraining.tracking.notes import AliasNote, Note, notes
from shared.backoff import SaysSeldom, pause_seconds
from shared.broker import Publish
from shared.events import Event

MOST_WAITING = 10_000
"""Notes in memory; past it the oldest go untold."""
ATTEMPTS = 20
"""A quarter of an hour, by the pauses between them."""

E = TypeVar("E", bound=Event)
log = logging.getLogger(__name__)


class WillNotTake(Exception):
    """The server refuses this, however often it is told."""


class Recorder(Protocol):
    def record(self, about_one: Sequence[Note]) -> None:
        """Blocks. Telling the same again changes nothing. Raises WillNotTake, or anything else for later."""


class Tracking:
    """`note` only appends to a queue in memory: what a kill or a long outage takes from it is not told again,
    for all of it stands in events and tables.
    """

    def __init__(
        self,
        connect: Callable[[], Recorder] | None,
        registry: CollectorRegistry,
        *,
        most_waiting: int = MOST_WAITING,
        attempts: int = ATTEMPTS,
        pause: Callable[[int], float] = pause_seconds,
    ) -> None:
        """Without `connect` nobody is told anything."""
        self._connect, self._most_waiting, self._attempts, self._pause = (
            connect,
            most_waiting,
            attempts,
            pause,
        )
        self._recorder: Recorder | None = None
        self._waiting: deque[Note] = deque()
        self._champions: dict[str, int] = {}
        self._wake = asyncio.Event()
        self._says_seldom = SaysSeldom()
        self._told = Counter(
            "tuneloop_retraining_tracking_notes",
            "What was to be told to MLflow: told, refused by it, or dropped while it was away",
            ("outcome",),
            registry=registry,
        )
        waiting = Gauge(
            "tuneloop_retraining_tracking_waiting", "What MLflow is still to be told", registry=registry
        )
        waiting.set_function(lambda: len(self._waiting))

    def telling(self, publish: Publish) -> Publish:
        """Publishes, and notes what was published."""

        async def publish_and_note(*events: Event) -> None:
            await publish(*events)
            for event in events:
                self.note(event)

        return publish_and_note

    def noting(self, handler: Callable[[E], Awaitable[None]]) -> Callable[[E], Awaitable[None]]:
        """Handles, and notes what was handled."""

        async def handle_and_note(event: E) -> None:
            await handler(event)
            self.note(event)

        return handle_and_note

    def note(self, event: Event) -> None:
        if self._connect is None:
            return
        for note in notes(event):
            if isinstance(note, AliasNote) and note.revision:
                if self._champions.get(note.workload, 0) >= note.revision:
                    continue
                self._champions[note.workload] = note.revision
            self._waiting.append(note)
        while len(self._waiting) > self._most_waiting:
            self._waiting.popleft()
            self._told.labels("dropped").inc()
        self._wake.set()

    async def run_for_ever(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                await self._tell(self._next())

    def _next(self) -> list[Note]:
        """The oldest and all that are about the same run or alias; each of these keep their order."""
        about = self._waiting[0].about
        chosen = [note for note in self._waiting if note.about == about]
        self._waiting = deque(note for note in self._waiting if note.about != about)
        return chosen

    async def _tell(self, about_one: Sequence[Note]) -> None:
        for attempt in range(1, self._attempts + 1):
            try:
                await asyncio.to_thread(self._record, about_one)
            except WillNotTake as refusal:
                self._say(f"MLflow refuses what it is told of {about_one[0].about[1]}", refusal)
                self._told.labels("refused").inc(len(about_one))
                return
            except Exception as error:  # whatever it is, the loop goes on without MLflow
                self._say("MLflow cannot be told", error)
                if attempt < self._attempts:
                    await asyncio.sleep(self._pause(attempt))
            else:
                self._told.labels("told").inc(len(about_one))
                return
        self._told.labels("dropped").inc(len(about_one))

    def _say(self, what: str, error: Exception) -> None:
        if self._says_seldom.is_due(what, time.monotonic()):
            why = (str(error).splitlines() or [type(error).__name__])[0]
            log.warning("%s: %s", what, why[:300])

    def _record(self, about_one: Sequence[Note]) -> None:
        if self._recorder is None:
            assert self._connect is not None, "without it nothing is noted"
            self._recorder = self._connect()
        self._recorder.record(about_one)
