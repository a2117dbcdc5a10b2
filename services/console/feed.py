"""The live list: what just happened, one sentence each, without a word that a user wrote."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from services.console.event_sentences import PLENTY, Tone, many, sentence_of
from services.console.page_queries import Waits
from shared import events as e
from shared.events.envelope import Event
from shared.time_left import time_left

MOST_ENTRIES = 200
ONE_LINE = timedelta(minutes=10)  # alike events share a line for as long
MOST_IDS = 20_000  # remembered so that an event that comes again is not counted again


@dataclass(frozen=True)
class Entry:
    """One line of the list; `times` alike events share one."""

    at: datetime
    """When the last of them happened."""
    workload: str
    kind: str
    sentence: str
    tone: Tone
    times: int
    since: datetime
    """When the first of them happened."""
    is_estimate: bool = False
    """Not all of them were read: those between were counted, and taken to be of the same workload."""


@dataclass(frozen=True)
class Progress:
    """How far a run is: optimiser steps of its training, or answers of its evaluation."""

    run_id: str
    phase: str
    done: int
    total: int
    loss: float | None
    seconds_left: float | None
    at: datetime
    waits: Waits | None = None

    @property
    def share(self) -> float:
        return min(1.0, self.done / self.total) if self.total else 0.0

    @property
    def sentence(self) -> str:
        if self.waits is not None:
            return self.waits.sentence
        said = f"{self.phase} {self.done:,} of {self.total:,}"
        return f"{said}, {self.left}" if self.left else said

    @property
    def left(self) -> str:
        return time_left(self.seconds_left)


class Feed:
    """The last events in memory, newest first, and how far the run in progress is, by workload."""

    def __init__(self, most_entries: int = MOST_ENTRIES) -> None:
        self._entries: deque[Entry] = deque(maxlen=most_entries)
        self._progress: dict[str, Progress] = {}
        self._ended: set[str] = set()
        self._seen: set[str] = set()
        self._seen_in_order: deque[str] = deque()
        self.changes = 0
        """Grows with every event consumed: a page that saw this number has nothing to draw."""
        self.turns = 0
        """Grows with those that are no mere traffic: only then the tables are worth reading at once."""

    def add(self, event: Event, unseen: int = 0) -> None:
        """Adds an event, and as many alike as came before it and were not read. The same one again adds
        nothing.
        """
        if self._is_known(event.event_id):
            return
        self.changes += 1
        if isinstance(event, e.TrainingProgressed):
            self._note_progress(event)
            return
        if isinstance(event, e.CandidateEvaluated | e.TrainingFailed):
            self._end(event.workload, event.run_id)
        self.turns += event.topic.name not in PLENTY
        self._add(entry(event, unseen))

    def entries(self, workload: str | None = None, most: int = MOST_ENTRIES) -> list[Entry]:
        """Newest first by the time it happened, of one workload or of all."""
        chosen = [one for one in self._entries if workload in (None, one.workload)]
        return sorted(chosen, key=lambda one: one.at, reverse=True)[:most]

    def progress(self, workload: str) -> Progress | None:
        """The run in progress, or None when none is known."""
        return self._progress.get(workload)

    def _is_known(self, event_id: str) -> bool:
        if event_id in self._seen:
            return True
        self._seen.add(event_id)
        self._seen_in_order.append(event_id)
        if len(self._seen_in_order) > MOST_IDS:
            self._seen.discard(self._seen_in_order.popleft())
        return False

    def _note_progress(self, event: e.TrainingProgressed) -> None:
        held = self._progress.get(event.workload)
        if event.run_id in self._ended or (held is not None and held.at > event.progressed_at):
            return
        self._progress[event.workload] = Progress(
            event.run_id,
            event.phase,
            event.done,
            event.total,
            event.loss,
            event.seconds_left,
            event.progressed_at,
            Waits(event.waits_since.astimezone(UTC), event.waits_for) if event.waits_since else None,
        )

    def _end(self, workload: str, run_id: str) -> None:
        self._ended.add(run_id)
        held = self._progress.get(workload)
        if held is not None and held.run_id == run_id:
            del self._progress[workload]

    def _add(self, new: Entry) -> None:
        """Alike events in a row become one line, so that traffic does not push the rare ones out."""
        for index, held in enumerate(self._entries):
            if held.workload != new.workload:
                continue
            if held.kind == new.kind and new.kind in PLENTY and new.at - held.since < ONE_LINE:
                merged = replace(
                    held,
                    at=max(held.at, new.at),
                    times=held.times + new.times,
                    is_estimate=held.is_estimate or new.is_estimate,
                )
                sentence = many(new.kind, merged.times, is_estimate=merged.is_estimate)
                self._entries[index] = replace(merged, sentence=sentence)
                return
            if held.kind not in PLENTY or held.kind == new.kind:
                break
        self._entries.appendleft(new)


def entry(event: Event, unseen: int = 0) -> Entry:
    """The event's line. Raises ValueError for an event that this console does not know."""
    sentence, tone = sentence_of(event)
    times, kind = 1 + unseen, event.topic.name
    if unseen:
        sentence = many(kind, times, is_estimate=True)
    workload = event.name if isinstance(event, e.WorkloadAdded) else str(event.workload)  # type: ignore[attr-defined]
    at = event.happened_at()
    return Entry(at, workload, kind, sentence, tone, times, since=at, is_estimate=unseen > 0)
