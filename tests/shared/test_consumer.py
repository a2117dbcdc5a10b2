"""What a subscription promises on every broker: nothing is skipped, nothing spins, bad records go aside."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from confluent_kafka import Consumer, Producer
from faststream.confluent import KafkaBroker
from prometheus_client import CollectorRegistry

from shared.broker import make_broker, make_publish, pause_seconds
from shared.consumer import (
    Batch,
    ConsumerRecord,
    DeadLetters,
    Handler,
    Invalid,
    TooManyInvalid,
    make_dead_letters,
    subscribe,
)
from shared.events import FeedbackGiven, PredictionLogged, RollbackRequested, WorkloadAdded
from shared.events.envelope import Event
from shared.state import read_state
from shared.topics import declare, topics_of


def logged(prediction_id: str) -> PredictionLogged:
    return PredictionLogged(
        prediction_id=prediction_id, workload="tickets", predicted_at=datetime.now(UTC), input="text",
        answer="refund", confidence=0.5, adapter="a",
    )  # fmt: skip


@asynccontextmanager
async def consuming(
    servers: str, kind: type[Event], handler: Handler | Batch, *, service: str | None = None
) -> AsyncIterator[KafkaBroker]:
    declare(topics_of([kind]), servers, 1, 30)
    registry = CollectorRegistry()
    broker = make_broker(servers, "test", registry)
    subscribe(
        broker, service or f"test-{uuid4().hex[:8]}", kind, handler, make_dead_letters(broker, registry)
    )
    await broker.start()
    try:
        yield broker
    finally:
        await broker.stop()


def dead_letter(servers: str, service: str, key: str) -> dict[str, str]:
    """The headers of the record with this key that the service set aside."""
    letters = Consumer(
        {"bootstrap.servers": servers, "group.id": uuid4().hex, "auto.offset.reset": "earliest"}
    )
    letters.subscribe([PredictionLogged.topic.dead_letters])
    try:
        while True:
            message = letters.poll(20)
            assert message is not None
            headers = message.headers() or ()
            found = {name: value.decode() for name, value in headers if isinstance(value, bytes)}
            if found["dead_letter_service"] == service and message.key() == key.encode():
                return found
    finally:
        letters.close()


async def test_what_is_published_is_consumed_whole_and_in_order_of_its_key(kafka: str) -> None:
    consumed: asyncio.Queue[FeedbackGiven] = asyncio.Queue()
    prediction = f"p-{uuid4().hex}"
    async with consuming(kafka, FeedbackGiven, consumed.put) as broker:
        published = [
            FeedbackGiven(
                feedback_id=f"{prediction}-{number}", prediction_id=prediction, workload="tickets",
                thumb="down", given_at=datetime.now(UTC),
            )
            for number in range(20)
        ]  # fmt: skip
        await make_publish(broker, "test")(*published)
        back: list[FeedbackGiven] = []
        while len(back) < len(published):
            event = await asyncio.wait_for(consumed.get(), 20)
            if event.prediction_id == prediction:
                back.append(event)
    assert sorted(event.feedback_id for event in back) == sorted(event.feedback_id for event in published)


async def test_a_record_is_a_cloudevent_that_can_be_traced(kafka: str) -> None:
    prediction = f"p-{uuid4().hex}"
    async with consuming(kafka, PredictionLogged, asyncio.Queue[PredictionLogged]().put) as broker:
        await make_publish(broker, "test")(logged(prediction))
    reader = Consumer({"bootstrap.servers": kafka, "group.id": uuid4().hex, "auto.offset.reset": "earliest"})
    reader.subscribe([PredictionLogged.topic.name])
    found: dict[str, object] = {}
    while not found:
        message = reader.poll(20)
        assert message is not None
        if message.key() == prediction.encode():
            found = dict(message.headers() or ())
    reader.close()
    assert {
        "ce_id",
        "ce_type",
        "ce_source",
        "ce_time",
        "ce_specversion",
        "content-type",
        "traceparent",
    } <= set(found)


async def test_a_failed_batch_comes_again_until_it_is_handled(kafka: str) -> None:
    mine, handled, failures = f"p-{uuid4().hex}", asyncio.Event(), 0

    async def fail_twice(batch: list[ConsumerRecord[PredictionLogged]]) -> None:
        nonlocal failures
        if mine in [consumed.event.prediction_id for consumed in batch]:
            if failures < 2:
                failures += 1
                raise ConnectionError("the store is down")
            handled.set()

    async with consuming(kafka, PredictionLogged, Batch(fail_twice)) as broker:
        await make_publish(broker, "test")(logged(mine))
        await asyncio.wait_for(handled.wait(), 30)
    assert failures == 2


async def test_an_invalid_record_is_set_aside_and_the_next_one_is_handled(kafka: str) -> None:
    mine, consumed = f"p-{uuid4().hex}", asyncio.Event()

    async def on_logged(event: PredictionLogged) -> None:
        if event.prediction_id == mine:
            consumed.set()

    service = f"test-{uuid4().hex[:8]}"
    async with consuming(kafka, PredictionLogged, on_logged, service=service) as broker:
        producer = Producer({"bootstrap.servers": kafka})
        producer.produce(PredictionLogged.topic.name, b'{"secret": "jane@example.com"}', key=mine.encode())
        producer.flush(10)
        await make_publish(broker, "test")(logged(mine))
        await asyncio.wait_for(consumed.wait(), 30)
    mine_set_aside = await asyncio.to_thread(dead_letter, kafka, service, mine)
    assert "prediction_id" in mine_set_aside["dead_letter_reason"]
    assert "jane" not in mine_set_aside["dead_letter_reason"]


async def test_a_handler_may_set_one_event_aside_after_it_stored_the_others(kafka: str) -> None:
    mine, stored = f"p-{uuid4().hex}", asyncio.Event()
    service = f"test-{uuid4().hex[:8]}"

    async def keep_good(batch: list[ConsumerRecord[PredictionLogged]]) -> list[Invalid]:
        ids = {consumed.event.prediction_id for consumed in batch}
        if f"{mine}-good" in ids:
            stored.set()
        return [
            Invalid(consumed, "no good")
            for consumed in batch
            if consumed.event.prediction_id == f"{mine}-bad"
        ]

    async with consuming(kafka, PredictionLogged, Batch(keep_good), service=service) as broker:
        await make_publish(broker, "test")(logged(f"{mine}-bad"), logged(f"{mine}-good"))
        await asyncio.wait_for(stored.wait(), 30)
        found = await asyncio.to_thread(dead_letter, kafka, service, f"{mine}-bad")
    assert found["dead_letter_reason"] == "no good"


async def test_state_is_read_from_its_beginning(kafka: str) -> None:
    declare(topics_of([WorkloadAdded, RollbackRequested]), kafka, 1, 30)
    assert isinstance(await asyncio.to_thread(read_state, [WorkloadAdded], kafka), list)


def test_too_many_invalid_records_in_a_row_stop_the_partition() -> None:
    letters = DeadLetters(broker=None, set_aside=None, most_in_a_row=3)  # type: ignore[arg-type]
    for _ in range(3):
        letters.count("topic", 0, valid=False)
    with pytest.raises(TooManyInvalid, match="topic/0"):
        letters.count("topic", 0, valid=False)


def test_a_valid_record_ends_a_run_of_invalid_ones() -> None:
    letters = DeadLetters(broker=None, set_aside=None, most_in_a_row=1)  # type: ignore[arg-type]
    for _ in range(5):
        letters.count("topic", 0, valid=False)
        letters.count("topic", 0, valid=True)


def test_the_pause_grows_and_stays_below_the_poll_interval() -> None:
    pauses = [pause_seconds(failures) for failures in range(1, 40)]
    assert pauses == sorted(pauses)
    assert pauses[0] < 0.5
    assert pauses[-1] == 60
