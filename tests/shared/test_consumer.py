"""What consuming promises on every broker: nothing is skipped, nothing spins, bad records go aside."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions

from shared.broker import make_publish
from shared.consumer import Batch, ConsumerRecord, Handler, Invalid
from shared.consumer.ownership import partition_of
from shared.events import FeedbackGiven, PredictionLogged, RollbackRequested, WorkloadAdded
from shared.events.envelope import Event, record
from shared.kafka import Kafka
from shared.projections import Workloads
from shared.topics import declare, topics_of
from tests.shared.consuming import (
    added,
    committed,
    eventually,
    feedback,
    logged,
    own_topic,
    produce,
    running,
)

Records = list[ConsumerRecord[PredictionLogged]]


def dead_letter(servers: str, topic: str, service: str, key: str | None) -> dict[str, str]:
    """The headers of the record with this key that the service set aside."""
    letters = Consumer(
        {"bootstrap.servers": servers, "group.id": uuid4().hex, "auto.offset.reset": "earliest"}
    )
    letters.subscribe([topic])
    try:
        while True:
            message = letters.poll(20)
            assert message is not None
            headers = message.headers() or ()
            found = {name: value.decode() for name, value in headers if isinstance(value, bytes)}
            if found["dead_letter_service"] == service and message.key() == (key and key.encode()):
                return found
    finally:
        letters.close()


async def test_what_is_published_is_consumed_whole_and_in_order_of_its_key(kafka: str) -> None:
    kind = own_topic(FeedbackGiven)
    consumed: asyncio.Queue[FeedbackGiven] = asyncio.Queue()
    async with running(kafka, {kind: consumed.put}) as service:
        wanted = [f"{number:02}" for number in range(40)]
        events = [
            kind.model_validate(feedback(name, f"prediction-{number % 2}").model_dump())
            for number, name in enumerate(wanted)
        ]
        await make_publish(service.broker, "test")(*events)
        back = [await asyncio.wait_for(consumed.get(), 20) for _ in wanted]
    assert sorted(event.feedback_id for event in back) == wanted
    for prediction in ("prediction-0", "prediction-1"):
        of_key = [event.feedback_id for event in back if event.prediction_id == prediction]
        assert of_key == sorted(of_key)


async def test_a_partition_that_is_added_is_consumed_within_seconds(kafka: str) -> None:
    """Ours are named in the log with the command that adds what they lack."""
    kind = own_topic(FeedbackGiven, partitions=1)
    consumed: asyncio.Queue[FeedbackGiven] = asyncio.Queue()
    async with running(kafka, {kind: consumed.put}):
        produce(kafka, kind.topic.name, {0: [record(feedback("f-0", "p-0"), "test").value]})
        await asyncio.wait_for(consumed.get(), 30)  # it knows the topic, and has no cause to ask soon
        admin = AdminClient({"bootstrap.servers": kafka})
        added = admin.create_partitions([NewPartitions(kind.topic.name, 2)])[kind.topic.name]
        await asyncio.to_thread(added.result, 20)
        produce(kafka, kind.topic.name, {1: [record(feedback("f-1", "p-1"), "test").value]})
        assert (await asyncio.wait_for(consumed.get(), 30)).feedback_id == "f-1"


async def test_a_record_is_a_cloudevent_that_can_be_traced(kafka: str) -> None:
    prediction = f"p-{uuid4().hex}"
    async with running(kafka, {PredictionLogged: asyncio.Queue[PredictionLogged]().put}) as service:
        await make_publish(service.broker, "test")(logged(prediction))
    reader = Consumer({"bootstrap.servers": kafka, "group.id": uuid4().hex, "auto.offset.reset": "earliest"})
    reader.subscribe([PredictionLogged.topic.name])
    found: dict[str, object] = {}
    while not found:
        message = reader.poll(20)
        assert message is not None
        if message.key() == prediction.encode():
            found = dict(message.headers() or ())
    reader.close()
    wanted = {"ce_id", "ce_type", "ce_source", "ce_time", "ce_specversion", "content-type", "traceparent"}
    assert wanted <= set(found)


async def test_a_record_is_handled_as_soon_as_it_comes(kafka: str) -> None:
    kind = own_topic(PredictionLogged)
    arrived: asyncio.Queue[float] = asyncio.Queue()

    async def on_logged(event: PredictionLogged) -> None:
        await arrived.put(time.monotonic())

    took = []
    async with running(kafka, {kind: on_logged}) as service:
        publish = make_publish(service.broker, "test")
        for number in range(8):
            await publish(kind.model_validate(logged(f"p-{number}").model_dump()))
            published = time.monotonic()
            took.append(await asyncio.wait_for(arrived.get(), 20) - published)
            await asyncio.sleep(0.2)
    assert sorted(took)[3] < 0.05, took


async def test_a_failed_batch_comes_again_until_it_is_handled(kafka: str) -> None:
    kind = own_topic(PredictionLogged)
    handled, failures = asyncio.Event(), 0

    async def fail_twice(batch: Records) -> None:
        nonlocal failures
        if failures < 2:
            failures += 1
            raise ConnectionError("the store is down")
        handled.set()

    async with running(kafka, {kind: Batch(fail_twice)}) as service:
        await make_publish(service.broker, "test")(kind.model_validate(logged("p").model_dump()))
        await asyncio.wait_for(handled.wait(), 30)
    assert failures == 2


async def test_the_trouble_of_one_partition_stops_that_one_alone_and_does_not_spin(kafka: str) -> None:
    kind = own_topic(PredictionLogged)
    seen: dict[int, set[int]] = {0: set(), 1: set(), 2: set()}
    tries = 0

    async def store(batch: Records) -> None:
        nonlocal tries
        if any(one.partition == 1 and one.offset >= 3 for one in batch):
            tries += 1
            raise ConnectionError("the store refuses this one")
        for one in batch:
            seen[one.partition].add(one.offset)

    value = logged("p").model_dump_json().encode()
    async with running(kafka, {kind: Batch(store)}) as service:
        await asyncio.to_thread(
            produce, kafka, kind.topic.name, {0: [value] * 50, 1: [value] * 8, 2: [value] * 50}
        )
        await eventually(lambda: len(seen[0]) == len(seen[2]) == 50)
        await asyncio.to_thread(produce, kafka, kind.topic.name, {0: [value] * 5})
        await eventually(lambda: len(seen[0]) == 55)
        await eventually(lambda: seen[1] == {0, 1, 2})
        await eventually(lambda: committed(kafka, service.name, kind.topic.name, 3) == {0: 55, 1: 3, 2: 50})
        assert tries < 25
        paused = service.registry.get_sample_value(
            "tuneloop_paused_partitions", {"service": service.name, "topic": kind.topic.name}
        )
        assert paused == 1


async def test_an_event_that_fails_keeps_back_what_follows_it_and_nothing_before(kafka: str) -> None:
    kind = own_topic(PredictionLogged, partitions=1)
    is_well, handled = False, list[str]()

    async def on_logged(event: PredictionLogged) -> None:
        if event.prediction_id == "p-2" and not is_well:
            raise ConnectionError("the store is down")
        handled.append(event.prediction_id)

    values = [logged(f"p-{number}").model_dump_json().encode() for number in range(5)]
    async with running(kafka, {kind: on_logged}) as service:
        await asyncio.to_thread(produce, kafka, kind.topic.name, {0: values})
        await eventually(lambda: committed(kafka, service.name, kind.topic.name, 1) == {0: 2})
        assert handled == ["p-0", "p-1"]
        is_well = True
        await eventually(lambda: committed(kafka, service.name, kind.topic.name, 1) == {0: 5})
    assert handled == [f"p-{number}" for number in range(5)]


async def test_a_handler_that_hangs_is_ended_and_its_events_come_again(
    kafka: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.consumer.worker.HANDLER_SECONDS", 0.3)
    kind = own_topic(PredictionLogged)
    calls, handled = 0, asyncio.Event()

    async def hang_once(batch: Records) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            await asyncio.sleep(3600)
        handled.set()

    async with running(kafka, {kind: Batch(hang_once)}) as service:
        await make_publish(service.broker, "test")(kind.model_validate(logged("p").model_dump()))
        await asyncio.wait_for(handled.wait(), 20)


async def test_an_invalid_record_is_set_aside_and_the_next_one_is_handled(kafka: str) -> None:
    kind = own_topic(PredictionLogged)
    consumed = asyncio.Event()

    async def on_logged(event: PredictionLogged) -> None:
        consumed.set()

    async with running(kafka, {kind: on_logged}) as service:
        await asyncio.to_thread(
            produce, kafka, kind.topic.name, {0: [b'{"secret": "jane@example.com"}']}, key=b"mine"
        )
        await asyncio.to_thread(
            produce, kafka, kind.topic.name, {0: [logged("p").model_dump_json().encode()]}
        )
        await asyncio.wait_for(consumed.wait(), 30)
    found = await asyncio.to_thread(dead_letter, kafka, kind.topic.dead_letters, service.name, "mine")
    assert "prediction_id" in found["dead_letter_reason"]
    assert "jane" not in found["dead_letter_reason"]


async def test_headers_that_no_one_can_read_spoil_no_other_record(kafka: str) -> None:
    kind = own_topic(PredictionLogged, partitions=1)
    ids: asyncio.Queue[str] = asyncio.Queue()

    async def on_logged(event: PredictionLogged) -> None:
        await ids.put(event.prediction_id)

    values = {name: logged(name).model_dump_json().encode() for name in ("binary", "reply", "early", "last")}
    early = values["early"].replace(
        values["early"].split(b'"predicted_at":"')[1].split(b'"')[0], b"0001-01-01T00:00:00+14:00"
    )
    async with running(kafka, {kind: on_logged}) as service:
        for value, headers in (
            (values["binary"], {"traceparent": b"\xff\xfe"}),
            (values["reply"], {"reply_to": b"workload-added-v1"}),
            (early, {}),
            (values["last"], {}),
        ):
            await asyncio.to_thread(produce, kafka, kind.topic.name, {0: [value]}, headers=headers)
        handled = [await asyncio.wait_for(ids.get(), 20) for _ in range(3)]
        await eventually(lambda: committed(kafka, service.name, kind.topic.name, 1) == {0: 4})
    assert handled == ["binary", "reply", "last"]
    found = await asyncio.to_thread(dead_letter, kafka, kind.topic.dead_letters, service.name, None)
    assert found["dead_letter_offset"] == "2"
    assert "0001" not in found["dead_letter_reason"]


async def test_a_handler_may_set_one_event_aside_after_it_stored_the_others(kafka: str) -> None:
    kind = own_topic(PredictionLogged)
    stored = asyncio.Event()

    async def keep_good(batch: Records) -> list[Invalid]:
        if "good" in {consumed.event.prediction_id for consumed in batch}:
            stored.set()
        return [Invalid(consumed, "no good") for consumed in batch if consumed.event.prediction_id == "bad"]

    async with running(kafka, {kind: Batch(keep_good)}) as service:
        events = [kind.model_validate(logged(name).model_dump()) for name in ("bad", "good")]
        await make_publish(service.broker, "test")(*events)
        await asyncio.wait_for(stored.wait(), 30)
        found = await asyncio.to_thread(dead_letter, kafka, kind.topic.dead_letters, service.name, "bad")
    assert found["dead_letter_reason"] == "no good"


async def test_too_many_invalid_records_in_a_row_stop_their_partition_and_no_other(kafka: str) -> None:
    kind = own_topic(PredictionLogged)
    seen = set[int]()

    async def store(batch: Records) -> None:
        seen.update(one.partition for one in batch)

    async with running(kafka, {kind: Batch(store)}) as service:
        await asyncio.to_thread(produce, kafka, kind.topic.name, {0: [b"no JSON"] * 300})
        value = logged("p").model_dump_json().encode()
        await asyncio.to_thread(produce, kafka, kind.topic.name, {1: [value], 2: [value]})
        await eventually(
            lambda: committed(kafka, service.name, kind.topic.name, 3).keys() >= {1, 2} and seen == {1, 2}
        )
        await asyncio.sleep(2)
        assert committed(kafka, service.name, kind.topic.name, 1).get(0, 0) <= 100


async def test_an_event_of_a_new_workload_waits_until_the_workload_is_known(kafka: str) -> None:
    events, state = own_topic(PredictionLogged, partitions=1), own_topic(WorkloadAdded, partitions=1)
    workloads, handled = Workloads(), list[str]()

    async def on_added(event: WorkloadAdded) -> None:
        workloads.apply(event)

    async def on_logged(batch: Records) -> None:
        handled.extend(one.event.prediction_id for one in batch)

    consumes: dict[type[Event], Handler | Batch] = {state: on_added, events: Batch(on_logged)}
    async with running(kafka, consumes, workloads=workloads) as service:
        publish = make_publish(service.broker, "test")
        await publish(events.model_validate(logged("early").model_dump()))
        await asyncio.sleep(1)
        assert handled == []
        await publish(state.model_validate(added("tickets").model_dump()))
        started = time.monotonic()
        await eventually(lambda: handled == ["early"], 10)
        assert time.monotonic() - started < 3


async def test_an_event_of_a_workload_that_never_comes_is_set_aside_in_the_end(
    kafka: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.consumer.unknown_workload.PATIENCE_SECONDS", 1.5)
    kind = own_topic(PredictionLogged, partitions=1)
    workloads, handled = Workloads(), list[str]()
    workloads.apply(added("tickets"))

    async def on_logged(batch: Records) -> None:
        handled.extend(one.event.prediction_id for one in batch)

    async with running(kafka, {kind: Batch(on_logged)}, workloads=workloads) as service:
        publish = make_publish(service.broker, "test")
        for prediction, workload in (("a", "tickets"), ("b", "nobodys"), ("c", "tickets")):
            await publish(kind.model_validate(logged(prediction, workload).model_dump()))
        await eventually(lambda: handled == ["a"])
        await eventually(lambda: handled == ["a", "c"])
        found = await asyncio.to_thread(dead_letter, kafka, kind.topic.dead_letters, service.name, "b")
    assert found["dead_letter_reason"] == "its workload is not known"


async def test_state_is_read_from_its_beginning_by_every_process(kafka: str) -> None:
    state = own_topic(WorkloadAdded, partitions=1)
    first, second = Workloads(), Workloads()

    async def to_first(event: WorkloadAdded) -> None:
        first.apply(event)

    async def to_second(event: WorkloadAdded) -> None:
        second.apply(event)

    async with running(kafka, {state: to_first}, name="same") as service:
        publish = make_publish(service.broker, "test")
        await publish(*(state.model_validate(added(f"w-{number}").model_dump()) for number in range(5)))
        await eventually(lambda: len(first.all()) == 5)
        async with running(kafka, {state: to_second}, name="same"):
            assert len(second.all()) == 5
            await publish(state.model_validate(added("w-5").model_dump()))
            await eventually(lambda: len(first.all()) == len(second.all()) == 6)


async def test_a_live_watcher_begins_with_what_comes_next(kafka: str) -> None:
    kind = own_topic(PredictionLogged)
    seen = list[str]()

    async def watch(batch: Records) -> None:
        seen.extend(one.event.prediction_id for one in batch)

    value = logged("before").model_dump_json().encode()
    async with running(kafka, {own_topic(PredictionLogged): Batch(watch)}) as other:
        publish = make_publish(other.broker, "test")
        await asyncio.to_thread(declare, topics_of([kind]), Kafka(kafka), 1, 30)
        await asyncio.to_thread(produce, kafka, kind.topic.name, {0: [value], 1: [value]})
        async with running(kafka, {kind: Batch(watch)}, from_now=True) as watcher:
            await publish(kind.model_validate(logged("after").model_dump()))
            await eventually(lambda: seen == ["after"])
            assert committed(kafka, watcher.name, kind.topic.name, 3) == {}


async def test_offsets_of_version_0_1_are_adopted_once(kafka: str) -> None:
    kind = own_topic(PredictionLogged)
    topic, name = kind.topic.name, f"test-{uuid4().hex[:8]}"
    seen: dict[int, list[int]] = {0: [], 1: [], 2: []}

    async def store(batch: Records) -> None:
        for one in batch:
            seen[one.partition].append(one.offset)

    await asyncio.to_thread(declare, topics_of([kind]), Kafka(kafka), 1, 30)
    value = logged("p").model_dump_json().encode()
    await asyncio.to_thread(produce, kafka, topic, {0: [value] * 10, 1: [value] * 10, 2: [value] * 2})
    old = Consumer({"bootstrap.servers": kafka, "group.id": f"{name}.{topic}"})
    old.commit(offsets=[TopicPartition(topic, 0, 7), TopicPartition(topic, 1, 10)], asynchronous=False)
    old.close()
    async with running(kafka, {kind: Batch(store)}, name=name):
        await eventually(lambda: seen == {0: [7, 8, 9], 1: [], 2: [0, 1]})
        await eventually(lambda: committed(kafka, name, topic, 3) == {0: 10, 1: 10, 2: 2})
    async with running(kafka, {kind: Batch(store)}, name=name):
        await asyncio.to_thread(produce, kafka, topic, {1: [value]})
        await eventually(lambda: seen[1] == [10])
    assert seen == {0: [7, 8, 9], 1: [10], 2: [0, 1]}


async def test_each_workload_is_owned_by_one_of_two_processes_and_by_the_other_when_it_leaves(
    kafka: str,
) -> None:
    kind = own_topic(RollbackRequested)
    names = [f"workload-{number}" for number in range(40)]

    async def on_requested(event: RollbackRequested) -> None:
        return

    service = f"test-{uuid4().hex[:8]}"
    async with running(kafka, {kind: on_requested}, name=service) as one:
        changes = list[int]()
        one.ownership.on_change(lambda: changes.append(1))
        await eventually(lambda: all(map(one.ownership.owns, names)))
        async with running(kafka, {kind: on_requested}, name=service) as two:
            await eventually(
                lambda: (
                    any(map(two.ownership.owns, names))
                    and all(one.ownership.owns(name) != two.ownership.owns(name) for name in names)
                ),
                30,
            )
        await eventually(lambda: all(map(one.ownership.owns, names)), 30)
    assert len(changes) >= 2


async def test_events_of_a_workload_lie_where_its_owner_looks_for_them(kafka: str) -> None:
    kind = own_topic(RollbackRequested)
    places: asyncio.Queue[tuple[str, int]] = asyncio.Queue()

    async def on_requested(batch: list[ConsumerRecord[RollbackRequested]]) -> None:
        for one in batch:
            await places.put((one.event.workload, one.partition))

    async with running(kafka, {kind: Batch(on_requested)}) as service:
        events = [
            kind(
                request_id=f"r-{number}", workload=f"workload-{number}", requested_by="me", reason="r",
                requested_at=datetime.now(UTC),
            )
            for number in range(20)
        ]  # fmt: skip
        await make_publish(service.broker, "test")(*events)
        found = [await asyncio.wait_for(places.get(), 20) for _ in events]
    assert all(partition == partition_of(name, 3) for name, partition in found)
    assert record(events[0], "test").key == b"workload-0"


async def test_a_stop_is_bounded_even_while_a_handler_hangs(kafka: str) -> None:
    kind = own_topic(PredictionLogged)
    hanging = asyncio.Event()

    async def hang(batch: Records) -> None:
        hanging.set()
        await asyncio.sleep(3600)

    async with running(kafka, {kind: Batch(hang)}) as service:
        await make_publish(service.broker, "test")(kind.model_validate(logged("p").model_dump()))
        await asyncio.wait_for(hanging.wait(), 20)
        stopping = time.monotonic()
    assert time.monotonic() - stopping < 9
    assert committed(kafka, service.name, kind.topic.name, 3) == {}
