"""What outboxes hold is published, each record under its own id, however often publishing fails."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from shared.events.envelope import Record, record
from shared.outbox import Delivery, OutboxSettings, orphaned_outboxes, own_outbox
from shared.outbox.lines import lines_of
from tests.shared.outbox.records import ids, outbox, predicted, prediction, small, told, waiting


class Broker:
    """Fails as often as told; then keeps what is published."""

    def __init__(self, failures: int = 0) -> None:
        self.failures, self.attempts, self.published = failures, list[list[Record]](), list[Record]()

    def publish(self, records: Sequence[Record]) -> None:
        self.attempts.append(list(records))
        if len(self.attempts) <= self.failures:
            raise ConnectionError("away")
        self.published += records


@asynccontextmanager
async def running(delivery: Delivery) -> AsyncIterator[None]:
    work = asyncio.create_task(delivery.run_for_ever())
    await asyncio.sleep(0)
    try:
        yield
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)


async def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


async def test_records_are_published_as_they_come(tmp_path: Path) -> None:
    broker, wanted = Broker(), [predicted(number) for number in range(3)]
    with outbox(tmp_path) as opened:
        async with running(Delivery(opened, broker.publish)):
            for number in range(3):
                await opened.append([wanted[number]])
                await until(lambda: len(broker.published) == number + 1)  # noqa: B023 - awaited at once
            await until(lambda: opened.backlog_bytes == 0)
    assert told(broker.published) == told(wanted)


async def test_after_a_failure_the_same_batch_is_published_again(tmp_path: Path) -> None:
    broker = Broker(failures=1)
    with outbox(tmp_path) as opened:
        await opened.append([predicted(number) for number in range(3)])
        async with running(Delivery(opened, broker.publish)):
            await until(lambda: opened.backlog_bytes == 0)
    assert broker.attempts == [broker.published, broker.published]


async def test_a_line_that_is_no_record_is_kept_aside_once_and_stops_nothing(tmp_path: Path) -> None:
    broker = Broker(failures=2)
    with outbox(tmp_path) as opened:
        opened._write(b"\0\0\0\n" + lines_of([small("good")], 1), 1)
        async with running(Delivery(opened, broker.publish)):
            await until(lambda: opened.backlog_bytes == 0)
    assert ids(broker.published) == ["good"]
    assert (tmp_path / "outbox" / "damaged").read_bytes() == b"\0\0\0\n"


async def test_what_0_2_left_on_the_disk_is_delivered_after_the_upgrade(tmp_path: Path) -> None:
    """A folder as the gateway of 0.2 leaves it: bare predictions, the first of them published."""
    lines = [prediction(number).model_dump_json().encode() + b"\n" for number in range(3)]
    (tmp_path / "outbox").mkdir()
    (tmp_path / "outbox" / "lock").touch()
    (tmp_path / "outbox" / "000000000007.jsonl").write_bytes(b"".join(lines) + b'{"prediction_id":"to')
    place = f'{{"segment": 7, "offset": {len(lines[0])}}}'
    (tmp_path / "outbox" / "published.json").write_text(place)
    broker = Broker()
    with outbox(tmp_path) as opened:
        await opened.append([small("new")])
        async with running(Delivery(opened, broker.publish)):
            await until(lambda: opened.backlog_bytes == 0)
    old = [prediction(number) for number in (1, 2)]
    assert ids(broker.published) == [*(record(one, "").headers["ce_id"] for one in old), "new"]


async def test_what_a_dead_process_left_is_delivered_by_another_on_its_volume(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.outbox.delivery.LOOK_FOR_ORPHANS_SECONDS", 0.05)
    broker = Broker(failures=1)
    with outbox(tmp_path) as own:
        dying = own_outbox(tmp_path, OutboxSettings())
        await dying.append([small(str(number)) for number in range(1500)])
        delivery = Delivery(own, broker.publish, partial(orphaned_outboxes, tmp_path, OutboxSettings()))
        async with running(delivery):
            await own.append([small("own")])
            await until(lambda: ids(broker.published) == ["own"])
            dying.close()  # as by the process's death
            await until(lambda: len(broker.published) == 1501)
            await until(lambda: not [*(tmp_path / "outbox-1").glob("*.jsonl")])
            assert delivery.backlog_bytes == 0


async def test_a_process_that_is_told_to_stop_delivers_what_it_can_first(tmp_path: Path) -> None:
    broker = Broker()
    with outbox(tmp_path) as opened:
        delivery = Delivery(opened, broker.publish)
        async with running(delivery):
            await opened.append([small(str(number)) for number in range(3000)])
            await delivery.drain(10)
            assert len(broker.published) == 3000
            await opened.append([small("late")])
            await asyncio.sleep(0.2)
            assert len(broker.published) == 3000


async def test_stopping_waits_no_longer_than_it_may_and_says_what_is_left(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broker = Broker(failures=10**6)
    with outbox(tmp_path) as opened:
        await opened.append([small("left")])
        delivery = Delivery(opened, broker.publish)
        async with running(delivery):
            began = time.monotonic()
            await delivery.drain(0.3)
            assert 0.3 <= time.monotonic() - began < 5
        assert ids(waiting(opened)) == ["left"]
    assert f"bytes of records are not in Kafka yet; they stay in {tmp_path}" in caplog.text


async def test_stopping_waits_for_nothing_if_kafka_was_never_there(tmp_path: Path) -> None:
    with outbox(tmp_path) as opened:
        await opened.append([small("left")])
        await asyncio.wait_for(Delivery(opened, Broker().publish).drain(60), 5)


async def test_records_that_wait_too_long_are_said_loudly_and_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broker = Broker(failures=2)
    with outbox(tmp_path, alarm_age_seconds=3600.0) as opened:
        two_hours_ago = int((time.time() - 7200) * 1000)
        opened._write(lines_of([small("old")], two_hours_ago), two_hours_ago)
        delivery = Delivery(opened, broker.publish)
        assert 7100 < delivery.oldest_seconds < 7300
        async with running(delivery):
            await until(lambda: opened.backlog_bytes == 0)
    assert ids(broker.published) == ["old"]
    [alarm] = [said for said in caplog.records if said.levelno == logging.ERROR]
    assert "records have waited 2.0 hours for Kafka" in alarm.getMessage()
