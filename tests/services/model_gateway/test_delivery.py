"""The outbox's records are published, each under its own id, however often publishing fails."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from services.model_gateway.delivery import Delivery
from services.model_gateway.outbox import Outbox
from shared.events import Event, PredictionLogged, now


def prediction(number: int) -> PredictionLogged:
    return PredictionLogged(
        prediction_id=f"p-{number}",
        workload="tickets",
        predicted_at=now(),
        input="Where is my\r\n money?\u2028",
        answer="refund",
        confidence=0.9,
        adapter="tickets-1",
    )


class Broker:
    """Fails as often as told; then keeps what is published."""

    def __init__(self, failures: int = 0) -> None:
        self.failures, self.attempts, self.published = failures, list[list[Event]](), list[Event]()
        self.got = asyncio.Event()

    async def publish(self, *events: Event) -> None:
        self.attempts.append(list(events))
        if len(self.attempts) <= self.failures:
            raise ConnectionError("away")
        self.published.extend(events)
        self.got.set()


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    return Outbox(tmp_path, segment_bytes=1 << 20, most_bytes=1 << 30, fsync=False)


async def test_records_are_said_as_they_come(outbox: Outbox) -> None:
    broker = Broker()
    delivering = asyncio.create_task(Delivery(outbox, broker.publish).run_for_ever())
    wanted = [prediction(number) for number in range(3)]
    for number in range(3):
        broker.got.clear()
        await outbox.append(wanted[number].model_dump_json().encode())
        await broker.got.wait()
    delivering.cancel()
    assert broker.published == wanted


async def test_after_a_failure_the_same_batch_is_published_again(outbox: Outbox) -> None:
    broker = Broker(failures=1)
    for number in range(3):
        await outbox.append(prediction(number).model_dump_json().encode())
    with pytest.raises(ConnectionError):
        await Delivery(outbox, broker.publish).run_for_ever()
    delivering = asyncio.create_task(Delivery(outbox, broker.publish).run_for_ever())
    await broker.got.wait()
    delivering.cancel()
    assert broker.attempts[0] == broker.attempts[1] == broker.published


async def test_a_line_that_is_no_record_is_kept_aside_and_stops_nothing(
    outbox: Outbox, tmp_path: Path
) -> None:
    broker = Broker()
    await outbox.append(b"\0\0\0")
    await outbox.append(prediction(1).model_dump_json().encode())
    delivering = asyncio.create_task(Delivery(outbox, broker.publish).run_for_ever())
    await broker.got.wait()
    delivering.cancel()
    assert [event.event_id for event in broker.published] == [prediction(1).event_id]
    assert (tmp_path / "damaged").read_bytes() == b"\0\0\0\n"
