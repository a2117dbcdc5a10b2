"""Whatever MLflow does, the loop publishes as before, and what is not told is counted."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import pytest
from prometheus_client import CollectorRegistry

from services.retraining.tracking import tracking_for
from services.retraining.tracking.delivery import Recorder, Tracking, WillNotTake
from services.retraining.tracking.notes import AliasNote, Note, RunNote
from shared.events import Event
from tests.services.retraining.tracking.run_events import progressed, promoted, rolled_back, trained


class Away:
    """An MLflow that does something before it takes a note: waits, fails, refuses."""

    def __init__(self, before: Callable[[], object] = lambda: None) -> None:
        self.before, self.taken, self.calls = before, list[Note](), 0

    def record(self, about_one: Sequence[Note]) -> None:
        self.calls += 1
        self.before()
        self.taken += about_one


def told(registry: CollectorRegistry, outcome: str) -> float:
    sample = registry.get_sample_value("tuneloop_retraining_tracking_notes_total", {"outcome": outcome})
    return sample or 0.0


@asynccontextmanager
async def running(tracking: Tracking) -> AsyncIterator[None]:
    task = asyncio.create_task(tracking.run_for_ever())
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def until(met: Callable[[], bool], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not met():
            await asyncio.sleep(0.01)


def tracking_to(recorder: Recorder, registry: CollectorRegistry, **settings: int) -> Tracking:
    return Tracking(lambda: recorder, registry, pause=lambda failures: 0.01, **settings)


async def test_publishing_does_not_wait_for_a_server_that_hangs() -> None:
    hangs, published = threading.Event(), list[Event]()
    registry = CollectorRegistry()
    recorder = Away(lambda: hangs.wait(20))
    tracking = tracking_to(recorder, registry)

    async def publish(*events: Event) -> None:
        published.extend(events)

    async with running(tracking):
        telling = tracking.telling(publish)
        await telling(progressed(1, 1, 0.5))
        await until(lambda: recorder.calls == 1)
        began = time.monotonic()
        for step in range(2, 1002):
            await telling(progressed(1, step, 0.5))
        assert time.monotonic() - began < 2
        assert len(published) == 1001
        assert recorder.taken == []
        hangs.set()
        await until(lambda: told(registry, "told") == 1001)
        assert recorder.calls == 2  # all that waited about one run is told at once


async def test_a_server_that_comes_back_is_told_everything_in_order(caplog: pytest.LogCaptureFixture) -> None:
    fails = iter([True] * 5)

    def fail_five_times() -> None:
        if next(fails, False):
            raise ConnectionError("no MLflow at http://mlflow:5000")

    registry, recorder = CollectorRegistry(), Away(fail_five_times)
    tracking = tracking_to(recorder, registry)
    async with running(tracking):
        tracking.note(progressed(1, 1, 0.5))
        tracking.note(trained(1))
        tracking.note(promoted(1, 1))
        await until(lambda: told(registry, "told") == 3)
    assert [type(note) for note in recorder.taken] == [RunNote, RunNote, AliasNote]
    said = [line for line in caplog.messages if "cannot be told: no MLflow at" in line]
    assert len(said) == 1


async def test_what_cannot_be_told_is_given_up_in_the_end_and_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)

    def fail() -> None:
        raise TimeoutError

    registry, recorder = CollectorRegistry(), Away(fail)
    tracking = tracking_to(recorder, registry, attempts=3)
    async with running(tracking):
        tracking.note(trained(1))
        await until(lambda: told(registry, "dropped") == 1)
        assert recorder.calls == 3
        recorder.before = lambda: None
        tracking.note(trained(2))
        await until(lambda: told(registry, "told") == 1)


async def test_what_the_server_refuses_stops_nothing_behind_it() -> None:
    def refuse() -> None:
        raise WillNotTake("Changing param values is not allowed")

    registry, recorder = CollectorRegistry(), Away(refuse)
    tracking = tracking_to(recorder, registry)
    async with running(tracking):
        tracking.note(trained(1))
        await until(lambda: told(registry, "refused") == 1)
        assert recorder.calls == 1
        recorder.before = lambda: None
        tracking.note(trained(2))
        await until(lambda: told(registry, "told") == 1)


async def test_memory_is_bounded_and_the_newest_stay() -> None:
    registry, recorder = CollectorRegistry(), Away()
    tracking = tracking_to(recorder, registry, most_waiting=10)
    for step in range(1, 26):
        tracking.note(progressed(1, step, 0.5))
    assert told(registry, "dropped") == 15
    assert registry.get_sample_value("tuneloop_retraining_tracking_waiting") == 10
    async with running(tracking):
        await until(lambda: told(registry, "told") == 10)
    assert [note.step for note in recorder.taken if isinstance(note, RunNote)] == list(range(16, 26))


async def test_an_older_champion_that_comes_later_does_not_move_the_alias_back() -> None:
    """Promotions and rollbacks stand on two topics, and are read from the beginning at every start."""
    registry, recorder = CollectorRegistry(), Away()
    tracking = tracking_to(recorder, registry)
    async with running(tracking):
        for event in (rolled_back(1, 3), promoted(1, 1), promoted(2, 2), rolled_back(1, 3)):
            tracking.note(event)
        await until(lambda: told(registry, "told") == 1)
    [note] = recorder.taken
    assert isinstance(note, AliasNote)
    assert note.revision == 3


async def test_without_an_address_nothing_is_noted_and_mlflow_is_not_imported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    registry = CollectorRegistry()
    tracking = tracking_for("file:///files", registry)
    async with running(tracking):
        tracking.note(trained(1))
        await asyncio.sleep(0.05)
    assert registry.get_sample_value("tuneloop_retraining_tracking_waiting") == 0


async def test_without_the_package_it_is_said_what_to_install(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setitem(sys.modules, "mlflow", None)
    monkeypatch.delitem(sys.modules, "services.retraining.tracking.mlflow_server", raising=False)
    registry = CollectorRegistry()
    tracking = tracking_for("file:///files", registry)
    async with running(tracking):
        tracking.note(trained(1))
        await until(lambda: told(registry, "refused") == 1)
    assert "pip install 'tuneloop[mlflow]'" in caplog.text
