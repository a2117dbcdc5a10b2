"""The journal's records are said, each under its own id, however often saying fails."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from services.model_gateway.delivery import Delivery
from services.model_gateway.journal import Journal
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
    """Fails as often as told; then keeps what is said."""

    def __init__(self, failures: int = 0) -> None:
        self.failures, self.attempts, self.said = failures, list[list[Event]](), list[Event]()
        self.got = asyncio.Event()

    async def say(self, *events: Event) -> None:
        self.attempts.append(list(events))
        if len(self.attempts) <= self.failures:
            raise ConnectionError("away")
        self.said.extend(events)
        self.got.set()


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path, segment_bytes=1 << 20, most_bytes=1 << 30, fsync=False)


async def test_records_are_said_as_they_come(journal: Journal) -> None:
    broker = Broker()
    delivering = asyncio.create_task(Delivery(journal, broker.say).run_for_ever())
    wanted = [prediction(number) for number in range(3)]
    for number in range(3):
        broker.got.clear()
        await journal.append(wanted[number].model_dump_json().encode())
        await broker.got.wait()
    delivering.cancel()
    assert broker.said == wanted


async def test_after_a_failure_the_same_batch_is_said_again(journal: Journal) -> None:
    broker = Broker(failures=1)
    for number in range(3):
        await journal.append(prediction(number).model_dump_json().encode())
    with pytest.raises(ConnectionError):
        await Delivery(journal, broker.say).run_for_ever()
    delivering = asyncio.create_task(Delivery(journal, broker.say).run_for_ever())
    await broker.got.wait()
    delivering.cancel()
    assert broker.attempts[0] == broker.attempts[1] == broker.said


async def test_a_line_that_is_no_record_is_kept_aside_and_stops_nothing(
    journal: Journal, tmp_path: Path
) -> None:
    broker = Broker()
    await journal.append(b"\0\0\0")
    await journal.append(prediction(1).model_dump_json().encode())
    delivering = asyncio.create_task(Delivery(journal, broker.say).run_for_ever())
    await broker.got.wait()
    delivering.cancel()
    assert [event.event_id for event in broker.said] == [prediction(1).event_id]
    assert (tmp_path / "damaged").read_bytes() == b"\0\0\0\n"
