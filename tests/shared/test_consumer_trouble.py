"""What consuming promises when something is wrong: it is seen, it is said, and there is a way on."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka import Consumer, KafkaException, TopicPartition

from shared.broker import make_publish
from shared.consumer import Batch, ConsumerRecord, Invalid, Sample
from shared.consumer.group import GroupConsumer
from shared.consumer.settings import ConsumerSettings
from shared.consumer.waiting import Waiting
from shared.events import ModelPromoted, PredictionLogged, record
from shared.events.fast_prediction import FastPrediction, read_predictions
from shared.kafka import Kafka
from shared.topics import declare, topics_of
from tests.shared.consuming import (
    commit_as_another_tool,
    committed,
    eventually,
    logged,
    own_topic,
    produce,
    running,
)

Records = list[ConsumerRecord[PredictionLogged]]
VALUE = logged("p").model_dump_json().encode()


def note(servers: str, group: str, topic: str, partition: int = 0) -> Waiting | None:
    """What stands beside the committed offset."""
    consumer = Consumer({"bootstrap.servers": servers, "group.id": group})
    try:
        (place,) = consumer.committed([TopicPartition(topic, partition)], timeout=20)
    except KafkaException:  # a broker that has just started knows no coordinator yet
        return None
    finally:
        consumer.close()
    return Waiting.from_note(place.metadata)


async def test_what_another_tool_notes_beside_an_offset_stops_no_consumer(kafka: str) -> None:
    kind, partitions = own_topic(PredictionLogged, 24), 24
    topic, group, handled = kind.topic.name, f"test-{uuid4().hex[:8]}", list[PredictionLogged]()
    await asyncio.to_thread(declare, topics_of([kind]), Kafka(kafka), 1, 30)
    await asyncio.to_thread(commit_as_another_tool, kafka, group, topic, partitions)

    async def handle(event: PredictionLogged) -> None:
        handled.append(event)

    async with running(kafka, {kind: handle}, name=group):
        await asyncio.to_thread(produce, kafka, topic, {number: [VALUE] for number in range(partitions)})
        await eventually(lambda: len(handled) == partitions)
    assert committed(kafka, group, topic, partitions) == dict.fromkeys(range(partitions), 1)


def letters(servers: str, topic: str, most: int = 1000, seconds: float = 5) -> list[Any]:
    """The records on a topic, as long as they keep coming."""
    consumer = Consumer(
        {"bootstrap.servers": servers, "group.id": uuid4().hex, "auto.offset.reset": "earliest"}
    )
    consumer.subscribe([topic])
    found: list[Any] = []
    try:
        while len(found) < most and (message := consumer.poll(20 if not found else seconds)) is not None:
            assert message.error() is None
            found.append(message)
    finally:
        consumer.close()
    return found


async def test_what_comes_while_a_batch_is_handled_is_the_next_one_of_all_partitions(kafka: str) -> None:
    kind, batches = own_topic(PredictionLogged), list[Records]()
    may_go_on = asyncio.Event()

    async def store(batch: Records) -> None:
        batches.append(batch)
        await may_go_on.wait()

    async with running(kafka, {kind: Batch(store)}) as service:
        await asyncio.to_thread(produce, kafka, kind.topic.name, {0: [VALUE]})
        await eventually(lambda: len(batches) == 1)
        await asyncio.to_thread(
            produce, kafka, kind.topic.name, {0: [VALUE] * 900, 1: [VALUE] * 700, 2: [VALUE] * 3000}
        )
        await asyncio.sleep(1)
        may_go_on.set()
        wanted = {0: 901, 1: 700, 2: 3000}
        await eventually(lambda: committed(kafka, service.name, kind.topic.name, 3) == wanted)
    assert len(batches) < 6
    for number, count in wanted.items():
        offsets = [one.offset for batch in batches for one in batch if one.partition == number]
        assert offsets == list(range(count))


async def test_predictions_are_read_many_at_a_time_with_the_invalid_among_them_set_aside(kafka: str) -> None:
    kind, seen = own_topic(PredictionLogged, partitions=1), list[ConsumerRecord[Any]]()

    async def store(batch: Records) -> list[Invalid]:
        seen.extend(batch)
        return [Invalid(one, "no good") for one in batch if one.event.prediction_id == "p-3"]

    async with running(kafka, {kind: Batch(store, read_predictions)}) as service:
        events = [kind.model_validate(logged(f"p-{number}").model_dump()) for number in range(5)]
        headers = dict(record(events[0], "test").headers)
        values = [one.to_json() for one in events]
        values.insert(2, b'{"secret": 1}')
        await asyncio.to_thread(produce, kafka, kind.topic.name, {0: values}, headers=headers, key=b"k")
        await eventually(lambda: committed(kafka, service.name, kind.topic.name, 1) == {0: 6})
        aside = await asyncio.to_thread(letters, kafka, kind.topic.dead_letters, 2)
    assert [one.event.prediction_id for one in seen] == ["p-0", "p-1", "p-2", "p-3", "p-4"]
    assert all(isinstance(one.event, FastPrediction) for one in seen)
    assert all(abs(one.appended_at / 1000 - datetime.now(UTC).timestamp()) < 60 for one in seen)
    by_offset = {dict(one.headers())["dead_letter_offset"]: one for one in aside}
    assert by_offset[b"2"].value() == b'{"secret": 1}'
    assert kind.model_validate_json(by_offset[b"4"].value()) == events[3]


async def test_a_record_that_makes_the_handler_fail_for_ever_is_found_named_and_can_be_set_aside(
    kafka: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.consumer.progress.SAID_AFTER", timedelta(seconds=0.5))
    kind, calls = own_topic(PredictionLogged, partitions=1), list[int]()

    async def store(batch: Records) -> None:
        calls.append(len(batch))
        if any(one.offset == 1234 for one in batch):
            raise ValueError("it cannot be stored")

    topic, consumes = kind.topic.name, {kind: Batch(store)}
    async with running(kafka, consumes) as service:
        await asyncio.to_thread(produce, kafka, topic, {0: [VALUE] * 2000})
        await eventually(lambda: committed(kafka, service.name, topic, 1) == {0: 1234}, 30)
        await eventually(
            lambda: (said := note(kafka, service.name, topic)) is not None and "record 1234 alone" in said.why
        )
        first = note(kafka, service.name, topic)
        assert len(calls) < 40
    assert first is not None
    assert abs(first.since - datetime.now(UTC)) < timedelta(seconds=40)
    async with running(kafka, consumes, name=service.name):  # a restart mends nothing, and forgets nothing
        await asyncio.sleep(3)
        again = note(kafka, service.name, topic)
        assert again is not None
        assert again.since == first.since
    settings = ConsumerSettings(set_aside=f"{topic}/0@1234")
    async with running(kafka, consumes, name=service.name, settings=settings):
        await eventually(lambda: committed(kafka, service.name, topic, 1) == {0: 2000})
        await eventually(lambda: note(kafka, service.name, topic) is None)
        (aside,) = await asyncio.to_thread(letters, kafka, kind.topic.dead_letters, 1)
    assert dict(aside.headers())["dead_letter_offset"] == b"1234"
    assert aside.value() == VALUE


async def test_a_partition_that_stopped_at_too_many_invalid_records_goes_on_by_a_setting(
    kafka: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.consumer.progress.SAID_AFTER", timedelta(seconds=0.5))
    kind = own_topic(PredictionLogged, partitions=1)

    async def store(batch: Records) -> None:
        return

    topic, consumes = kind.topic.name, {kind: Batch(store, read_predictions)}
    async with running(kafka, consumes) as service:
        await asyncio.to_thread(produce, kafka, topic, {0: [b"no JSON"] * 900 + [VALUE]})
        await eventually(
            lambda: (
                (said := note(kafka, service.name, topic)) is not None
                and "CONSUMER_MOST_INVALID_IN_A_ROW" in said.why
            )
        )
        assert committed(kafka, service.name, topic, 1).get(0, 0) <= 100
    settings = ConsumerSettings(most_invalid_in_a_row=10_000, most_invalid_share=1)
    async with running(kafka, consumes, name=service.name, settings=settings):
        await eventually(lambda: committed(kafka, service.name, topic, 1) == {0: 901})
        assert note(kafka, service.name, topic) is None


async def test_the_largest_record_that_kafka_takes_can_be_set_aside(kafka: str) -> None:
    kind = own_topic(PredictionLogged, partitions=1)

    async def store(batch: Records) -> None:
        return

    large = json.dumps({"a": "x" * 1_010_000}).encode()
    async with running(kafka, {kind: Batch(store)}) as service:
        await asyncio.to_thread(
            produce, kafka, kind.topic.name, {0: [large, VALUE]}, settings={"message.max.bytes": 1_048_000}
        )
        await eventually(lambda: committed(kafka, service.name, kind.topic.name, 1) == {0: 2})
        (aside,) = await asyncio.to_thread(letters, kafka, kind.topic.dead_letters, 1)
    assert large.startswith(aside.value())
    assert dict(aside.headers())["dead_letter_truncated"] == b"true"


async def test_poison_in_a_state_topic_holds_up_no_process(kafka: str) -> None:
    state = own_topic(ModelPromoted, partitions=1)
    early = b'{"workload":"t","revision":1,"run_id":"r","promoted_at":"0001-01-01T00:00:00+14:00"}'
    await asyncio.to_thread(declare, topics_of([state]), Kafka(kafka), 1, 30)
    await asyncio.to_thread(produce, kafka, state.topic.name, {0: [early, *[b"\xff"] * 300, b""]})
    for _ in range(2):
        async with running(kafka, {state: asyncio.Queue[Any]().put}) as service:  # it becomes ready
            skipped = service.registry.get_sample_value(
                "tuneloop_skipped_records_total", {"service": service.name, "topic": state.topic.name}
            )
            assert skipped == 302


async def test_a_live_watcher_of_very_many_reads_a_few_and_knows_how_many_there_were(kafka: str) -> None:
    kind, seen = own_topic(PredictionLogged), list[ConsumerRecord[Any]]()

    async def watch(records: Records) -> None:
        seen.extend(records)

    async with running(kafka, {kind: Sample(watch)}, from_now=True):
        await asyncio.to_thread(produce, kafka, kind.topic.name, {n: [VALUE] * 1000 for n in range(3)})
        await eventually(lambda: sum(1 + one.unseen for one in seen) == 3000)
    assert len(seen) < 100


async def test_how_long_the_oldest_record_waits_is_a_metric(kafka: str) -> None:
    kind, may_go_on = own_topic(PredictionLogged, partitions=1), asyncio.Event()

    async def store(batch: Records) -> None:
        await may_go_on.wait()

    async with running(kafka, {kind: Batch(store)}) as service:

        def metric(name: str) -> float:
            labels = {"service": service.name, "topic": kind.topic.name}
            return service.registry.get_sample_value(f"tuneloop_consumer_{name}", labels) or 0.0

        await make_publish(service.broker, "test")(kind.model_validate(logged("p").model_dump()))
        await eventually(lambda: metric("oldest_record_seconds") > 1)
        assert 0 < metric("retention_used") < 1e-4
        may_go_on.set()
        await eventually(lambda: metric("oldest_record_seconds") == 0)


async def test_a_pause_that_was_meant_for_an_assignment_before_this_one_does_not_last(kafka: str) -> None:
    kind, seen = own_topic(PredictionLogged, partitions=1), list[int]()

    async def store(batch: Records) -> None:
        seen.extend(one.offset for one in batch)

    async with running(kafka, {kind: Batch(store)}) as service:
        await asyncio.to_thread(produce, kafka, kind.topic.name, {0: [VALUE]})
        await eventually(lambda: seen == [0])
        (group,) = (each for each in service.consumers.others if isinstance(each, GroupConsumer))
        group._thread.hold_back((kind.topic.name, 0), True)
        await asyncio.to_thread(produce, kafka, kind.topic.name, {0: [VALUE] * 5})
        await eventually(lambda: seen == list(range(6)))
