"""Two hands at one round at the same moment: what ended it stands, in memory and in the table."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from clickhouse_connect.driver.exceptions import ClickHouseError

from services.workloads.progress import Waits
from services.workloads.published_views import PublishedViews
from services.workloads.round_progress import Round, Stage, of_cycle, of_request
from services.workloads.rounds import Rounds
from services.workloads.store import WorkloadStore
from shared.clickhouse import ClickHouse
from shared.events import CycleStarted, TrainingFailed, TrainingRequested
from shared.migrations import migrate
from shared.workload import Training
from tests.servers.views import views_as_tables
from tests.services.workloads.conftest import (
    NOON,
    READ_VIEWS,
    WHO,
    Workloads,
    answer_lost,
    body,
    corrected,
    judged,
    minutes,
)
from tests.services.workloads.test_following import evaluated

CYCLE = of_cycle("tickets", "c1", failures=3, corrections=2, revision=1)
REQUESTED = TrainingRequested(
    request_id="q1",
    workload="tickets",
    revision=1,
    dataset_id="d2",
    training=Training(rank=4, max_steps=10),
    requested_by="ada",
    reason="a test",
    requested_at=NOON,
)


class Gate:
    """Holds up what comes to it, once it is shut."""

    def __init__(self) -> None:
        self.open, self.somebody = asyncio.Event(), asyncio.Event()
        self.open.set()

    async def pass_it(self) -> None:
        if not self.open.is_set():
            self.somebody.set()
            await self.open.wait()

    @asynccontextmanager
    async def held_up(self, slow: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
        """While `slow` stands at the gate the block runs; then it goes through and comes to its end."""
        self.open.clear()
        slowly = asyncio.create_task(slow)
        async with asyncio.timeout(30):
            await self.somebody.wait()
            yield
            self.open.set()
            await slowly


class SlowStore(WorkloadStore):
    """Real tables behind a ClickHouse that takes its time: before the first write, after each read."""

    def __init__(self, clickhouse: ClickHouse) -> None:
        super().__init__(clickhouse)
        self.writing, self.reading = Gate(), Gate()
        self.is_away, self.reads = False, 0

    async def keep_round(self, round_: Round) -> None:
        if not self.writing.somebody.is_set():
            await self.writing.pass_it()
        await super().keep_round(round_)

    async def rounds(self) -> list[Round]:
        if self.is_away:
            raise ClickHouseError("away")
        self.reads += 1
        found = await super().rounds()
        await self.reading.pass_it()
        return found


@dataclass(frozen=True)
class SlowViews(PublishedViews):
    """What candidates wait for, known here a while after it was so."""

    reading: Gate

    async def shadow_waits(self) -> dict[str, Waits]:
        await self.reading.pass_it()
        return {"r": Waits(NOON, "the model server is full")}


@pytest.fixture
async def store(clickhouse: ClickHouse) -> SlowStore:
    await views_as_tables(clickhouse, *READ_VIEWS)
    await migrate(clickhouse, "workloads")
    return SlowStore(clickhouse)


@pytest.fixture
async def views(clickhouse: ClickHouse) -> SlowViews:
    return SlowViews(clickhouse, Gate())


@pytest.fixture
async def rounds(store: SlowStore, views: SlowViews) -> Rounds:
    known = Rounds(store, views, lambda: datetime.now(UTC), on_over=lambda: None)
    await known.load()
    return known


def failed(run_id: str = REQUESTED.run_id) -> TrainingFailed:
    return TrainingFailed(
        run_id=run_id, workload="tickets", dataset_id="d2", cycle_id=None, reason="nan", failed_at=NOON
    )


async def soon(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """Begun, and as far as it comes while others are held up."""
    task = asyncio.create_task(work)
    await asyncio.wait([task], timeout=1)
    return task


async def outcome(rounds: Rounds, round_id: str) -> tuple[str, str]:
    """As it is known here, and as a process that starts now reads it."""
    here = rounds.get("tickets", round_id)
    await rounds.load()
    there = rounds.get("tickets", round_id)
    return (here.outcome if here else "unknown", there.outcome if there else "unknown")


async def test_a_verdict_stands_though_the_evaluation_before_it_is_still_being_kept(
    rounds: Rounds, store: SlowStore
) -> None:
    """Each topic has a consumer of its own: after a restart they hand over what waited at the same time."""
    await rounds.begin(CYCLE)
    async with store.writing.held_up(rounds.apply(evaluated("c1"))):
        verdict = await soon(rounds.apply(judged("c1")))
    await verdict
    assert await outcome(rounds, "c1") == ("promoted", "promoted")


async def test_a_run_that_failed_is_not_begun_again_by_who_asked_for_it(
    rounds: Rounds, store: SlowStore
) -> None:
    """The outbox begins a round before it publishes; whoever asked is still about to."""
    async with store.writing.held_up(rounds.begin(of_request(REQUESTED))):

        async def outbox() -> None:
            await rounds.begin(of_request(REQUESTED))
            await rounds.apply(failed())

        published = await soon(outbox())
    await published
    assert await outcome(rounds, "q1") == ("failed", "failed")


async def test_a_verdict_that_comes_while_somebody_looks_stands(rounds: Rounds, views: SlowViews) -> None:
    await rounds.begin(replace(CYCLE, stage=Stage.SHADOW, run_id="r"))
    async with views.reading.held_up(rounds.look("tickets")):
        await rounds.apply(judged("c1"))
    assert await outcome(rounds, "c1") == ("promoted", "promoted")


async def test_a_verdict_that_comes_while_the_table_is_read_stands(rounds: Rounds, store: SlowStore) -> None:
    await rounds.begin(CYCLE)
    async with store.reading.held_up(rounds.load()):
        verdict = await soon(rounds.apply(judged("c1")))
    await verdict
    assert await outcome(rounds, "c1") == ("promoted", "promoted")


async def test_whoever_comes_while_the_table_is_read_waits_for_what_it_says(
    rounds: Rounds, store: SlowStore
) -> None:
    await store.keep_round(replace(CYCLE, version=1))  # by another process
    rounds.forget()
    async with store.reading.held_up(rounds.refresh()):
        second = await soon(rounds.refresh())
        assert not second.done()
    await second
    assert rounds.under_way("tickets") is not None


async def test_however_many_follow_what_another_process_does_the_table_is_read_once_for_them(
    rounds: Rounds, store: SlowStore
) -> None:
    rounds.owns = lambda workload: False
    before = store.reads
    async with store.reading.held_up(rounds.look("tickets")):
        await store.keep_round(replace(CYCLE, version=1))  # by that process
        following = [asyncio.create_task(rounds.look("tickets")) for _ in range(9)]
        await soon(rounds.look("tickets"))
    await asyncio.gather(*following)
    assert store.reads - before == 2, "once for who came first, and once for all that came meanwhile"
    assert rounds.under_way("tickets") is not None


async def test_a_table_that_could_not_be_read_is_read_again(rounds: Rounds, store: SlowStore) -> None:
    await store.keep_round(replace(CYCLE, version=1))  # by another process
    rounds.forget()
    store.is_away = True
    with pytest.raises(ClickHouseError):
        await rounds.refresh()
    store.is_away = False
    await rounds.refresh()
    assert rounds.under_way("tickets") is not None


async def test_a_round_that_another_process_ended_is_not_begun_again(rounds: Rounds) -> None:
    """Given the workload, the outbox begins what was not published, before anybody has read the rounds."""
    other = Rounds(rounds.store, rounds.views, rounds.clock, rounds.on_over)
    await other.begin(CYCLE)
    await other.apply(judged("c1"))
    rounds.forget()
    await rounds.begin(CYCLE)
    assert await outcome(rounds, "c1") == ("promoted", "promoted")


async def test_a_run_that_failed_before_its_round_was_begun_has_failed(
    rounds: Rounds, store: SlowStore
) -> None:
    """The process that stored the training was killed, or lost the workload, before it began the round."""
    await store.keep_training(REQUESTED, is_published=True)
    await rounds.apply(failed())
    await rounds.begin(of_request(REQUESTED))
    assert await outcome(rounds, "q1") == ("failed", "failed")


async def test_a_requested_run_moves_no_round_but_its_own(rounds: Rounds, store: SlowStore) -> None:
    """The dataset's own round goes on, whatever comes of a training that somebody asked for."""
    await store.keep_training(REQUESTED, is_published=True)
    own = replace(CYCLE, dataset_id="d2", stage=Stage.TRAINING)
    await rounds.begin(own)
    await rounds.apply(failed())
    assert await outcome(rounds, "c1") == ("", "")


@asynccontextmanager
async def failing_to_begin(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """ClickHouse takes what was decided, and then nothing more."""

    async def away(self: Rounds, round_: Round) -> None:
        raise ClickHouseError("away")

    with monkeypatch.context() as patched:
        patched.setattr(Rounds, "begin", away)
        yield


async def shown(workloads: Workloads) -> tuple[str, str, bool]:
    shown = (await workloads.client.get("/workloads/tickets/status")).json()["round"]
    return (shown["kind"], shown["stage"], shown["is_over"])


async def test_a_revision_whose_round_could_not_be_kept_has_one_when_it_is_published(
    workloads: Workloads, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refusal of its rows names no dataset: without a round nobody would hear of it."""
    async with failing_to_begin(monkeypatch):
        assert (await workloads.client.post("/workloads", json=body())).status_code == 503
    assert workloads.wakes_outbox()
    await workloads.apply(*await workloads.publish_all())
    assert await shown(workloads) == ("revision", "dataset", False)


async def test_a_cycle_whose_round_could_not_be_kept_is_the_only_one(
    workloads: Workloads, monkeypatch: pytest.MonkeyPatch
) -> None:
    await workloads.add_and_promote()
    await workloads.publish_all()
    await workloads.apply(corrected("a", "refund"))
    async with failing_to_begin(monkeypatch):
        assert (await workloads.cycle()).status_code == 503
    assert workloads.wakes_outbox()
    workloads.time = minutes(61)
    assert (await workloads.cycle()).status_code == 409
    [started] = await workloads.publish_all()
    assert isinstance(started, CycleStarted)
    assert await shown(workloads) == ("cycle", "failures", False)


async def test_a_training_that_is_asked_for_again_after_a_503_can_be_followed(
    workloads: Workloads, clickhouse: ClickHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    await workloads.add_and_promote()
    await workloads.publish_all()
    row = {"dataset_id": "d2", "workload": "tickets", "version": 2, "published_at": NOON}
    await clickhouse.insert("datasets_v1", [row])
    wish = WHO | {"idempotency_key": "k"}
    async with failing_to_begin(monkeypatch):
        assert (await workloads.client.post("/workloads/tickets/trainings", json=wish)).status_code == 503
    assert workloads.wakes_outbox()
    asked = (await workloads.client.post("/workloads/tickets/trainings", json=wish)).json()
    followed = await workloads.client.get(f"/workloads/tickets/rounds/{asked['round_id']}")
    assert (followed.status_code, followed.json()["stage"]) == (200, "training")


async def test_a_cycle_that_is_asked_for_again_after_a_503_is_published(
    workloads: Workloads, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would stand in the way of every other for ever."""
    await workloads.add_and_promote()
    await workloads.publish_all()
    await workloads.apply(corrected("a", "refund"))
    with answer_lost(monkeypatch, WorkloadStore, "keep_cycle"):
        assert (await workloads.cycle()).status_code == 503
    assert (await workloads.cycle()).status_code == 409
    assert workloads.wakes_outbox()
    [started] = await workloads.publish_all()
    assert isinstance(started, CycleStarted)


async def test_a_training_that_is_asked_for_again_after_a_503_is_published(
    workloads: Workloads, clickhouse: ClickHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    await workloads.add_and_promote()
    await workloads.publish_all()
    row = {"dataset_id": "d2", "workload": "tickets", "version": 2, "published_at": NOON}
    await clickhouse.insert("datasets_v1", [row])
    wish = WHO | {"idempotency_key": "k"}
    with answer_lost(monkeypatch, WorkloadStore, "keep_training"):
        assert (await workloads.client.post("/workloads/tickets/trainings", json=wish)).status_code == 503
    assert (await workloads.client.post("/workloads/tickets/trainings", json=wish)).is_success
    assert workloads.wakes_outbox()
    [requested] = await workloads.publish_all()
    assert isinstance(requested, TrainingRequested)


async def test_a_revision_that_is_added_or_retired_again_after_a_503_is_published(
    workloads: Workloads, monkeypatch: pytest.MonkeyPatch
) -> None:
    with answer_lost(monkeypatch, WorkloadStore, "keep_revision"):
        assert (await workloads.client.post("/workloads", json=body())).status_code == 503
    assert (await workloads.client.post("/workloads", json=body())).is_success
    assert workloads.wakes_outbox()
    await workloads.apply(*await workloads.publish_all())
    with answer_lost(monkeypatch, WorkloadStore, "keep_revision"):
        assert (await workloads.client.post("/workloads/tickets/retire", json=WHO)).status_code == 503
    assert (await workloads.client.post("/workloads/tickets/retire", json=WHO)).is_success
    assert workloads.wakes_outbox()
