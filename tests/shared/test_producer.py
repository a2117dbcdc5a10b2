"""What publishing promises on every broker: all or an error that names topic and cause, within bounds."""

from __future__ import annotations

import asyncio
import ctypes
import re
import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import confluent_kafka
import pytest
from confluent_kafka import Consumer, KafkaError, TopicPartition
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from prometheus_client import CollectorRegistry, generate_latest

from shared.broker import make_broker, make_publish
from shared.events import FeedbackGiven, PredictionLogged
from shared.events.envelope import Record, Topic
from shared.kafka import Kafka
from shared.producer import NotConfirmed, Producer
from shared.producer.batch import Waker
from shared.topics import declare
from tests.servers.kafka import EmbeddedKafka
from tests.shared.consuming import feedback, logged

NOWHERE = "127.0.0.1:9"  # the discard port: nobody listens


@contextmanager
def producer(servers: str, **settings: Any) -> Iterator[Producer]:
    published: Counter[str] = Counter()
    made = Producer(
        {
            "bootstrap.servers": servers,
            "enable.idempotence": True,
            "log_level": 0,
            **{name.replace("_", "."): value for name, value in settings.items()},
        },
        lambda topic, count: published.update({topic: count}),
    )
    try:
        yield made
    finally:
        made.close(0.2)


def topic(servers: str, partitions: int = 3) -> str:
    name = f"{uuid4().hex[:8]}-published-v1"
    declare([Topic(name, key="key", partitions=partitions)], Kafka(servers), 1, 30)
    return name


def records(topic: str, count: int, size: int = 100) -> list[Record]:
    return [Record(topic, b"%d" % number, b"x" * size, {"ce_id": f"id-{number}"}) for number in range(count)]


def stored(servers: str, topic: str, partitions: int = 3) -> list[dict[str, str]]:
    """The headers of all records of a topic."""
    reader = Consumer({"bootstrap.servers": servers, "group.id": uuid4().hex, "log_level": 0})
    places = [TopicPartition(topic, number, 0) for number in range(partitions)]
    reader.assign(places)
    left = sum(reader.get_watermark_offsets(place, timeout=20)[1] for place in places)
    found = list[dict[str, str]]()
    while len(found) < left:
        message = reader.poll(20)
        assert message is not None
        if message.error() is None:
            found.append({name: value.decode() for name, value in message.headers() or ()})
    reader.close()
    return found


def ids(found: Sequence[dict[str, str]]) -> list[str]:
    return sorted(headers["ce_id"] for headers in found)


async def test_a_batch_is_in_kafka_when_publishing_returns_and_is_one_trace(kafka: str) -> None:
    name = topic(kafka)
    with producer(kafka) as made:
        await made.publish_records(records(name, 700))
        found = await asyncio.to_thread(stored, kafka, name)
    assert ids(found) == sorted(f"id-{number}" for number in range(700))
    assert len({headers["traceparent"] for headers in found}) == 1
    assert len(found[0]["traceparent"]) == 55


async def test_records_that_share_headers_have_each_their_own_beside_them(kafka: str) -> None:
    name = topic(kafka)
    shared, other = {"ce_type": "a", "content-type": "application/json"}, {"ce_type": "b"}
    given = [
        *(
            Record(name, b"k", b"v", shared, b"id-%d" % number, f"2026-11-26T10:00:0{number}Z")
            for number in (1, 2)
        ),
        Record(name, b"k", b"v", shared),
        Record(name, b"k", b"v", shared, b"id-3", "2026-11-26T10:00:03Z"),
        *(
            Record(name, b"k", b"v", other, b"id-%d" % number, f"2026-11-26T10:00:0{number}Z")
            for number in (4, 5)
        ),
    ]
    with producer(kafka) as made:
        await made.publish_records(given)
        found = await asyncio.to_thread(stored, kafka, name)
    traces = {one.pop("traceparent") for one in found}
    assert len(traces) == 1
    assert found == [one.headers for one in given]
    assert [one.get("ce_id") for one in found] == ["id-1", "id-2", None, "id-3", "id-4", "id-5"]
    assert found[3] == shared | {"ce_id": "id-3", "ce_time": "2026-11-26T10:00:03Z"}


async def test_what_a_thread_publishes_is_in_kafka_when_it_returns(kafka: str) -> None:
    name = topic(kafka)
    with producer(kafka) as made:
        await asyncio.to_thread(made.publish_and_wait, records(name, 700))
        assert len(await asyncio.to_thread(stored, kafka, name)) == 700


async def test_nothing_published_is_nothing_waited_for() -> None:
    with producer(NOWHERE) as made:
        await asyncio.wait_for(made.publish_records([]), 5)


async def test_events_of_several_topics_go_at_once_in_their_order_and_are_counted(kafka: str) -> None:
    await asyncio.to_thread(declare, [PredictionLogged.topic, FeedbackGiven.topic], Kafka(kafka), 1, 30)
    registry = CollectorRegistry()
    broker = make_broker(Kafka(kafka), "test", registry)
    await broker.connect()
    one, two = logged("p-1"), logged("p-2")
    await make_publish(broker, "test")(one, feedback("f-1", "p-1"), two)
    assert await broker.ping(10)
    await broker.publish(b"{}", PredictionLogged.topic.name, key=b"p", headers={"ce_id": "FastStream's own"})
    await broker.stop()
    counted = generate_latest(registry).decode()
    assert 'tuneloop_published_records_total{topic="prediction-logged-v1"} 3.0' in counted
    assert 'tuneloop_published_records_total{topic="feedback-given-v1"} 1.0' in counted
    found = ids(
        await asyncio.to_thread(stored, kafka, PredictionLogged.topic.name, PredictionLogged.topic.partitions)
    )
    assert {one.event_id, two.event_id, "FastStream's own"} <= set(found)


async def test_more_than_librdkafka_holds_waits_for_room(kafka: str) -> None:
    name = topic(kafka)
    with producer(kafka, queue_buffering_max_messages=50) as made:
        await asyncio.gather(*(made.publish_records(records(name, 300)) for _ in range(3)))
        assert len(await asyncio.to_thread(stored, kafka, name)) == 900


async def test_a_record_that_is_too_big_is_named_by_its_topic_and_spoils_no_other_batch(kafka: str) -> None:
    name = topic(kafka)
    with producer(kafka) as made:
        good = made.publish_records(records(name, 10))
        with pytest.raises(NotConfirmed, match=f"{name}: .*Message size too large"):
            await made.publish_records(records(name, 1, size=2_000_000))
        await good
        assert len(await asyncio.to_thread(stored, kafka, name)) == 10


async def test_a_topic_that_is_not_there_is_named_and_may_come(kafka: str) -> None:
    name = f"{uuid4().hex[:8]}-published-v1"
    with producer(kafka, topic_metadata_propagation_max_ms=300, allow_auto_create_topics=False) as made:
        with pytest.raises(NotConfirmed, match=f"{name}: Kafka has no such topic"):
            await asyncio.wait_for(made.publish_records(records(name, 1)), 30)
        await asyncio.to_thread(declare, [Topic(name, key="key", partitions=3)], Kafka(kafka), 1, 30)
        async with asyncio.timeout(30):
            while True:
                try:
                    await made.publish_records(records(name, 1))
                    break
                except NotConfirmed:
                    await asyncio.sleep(0.2)
        assert len(await asyncio.to_thread(stored, kafka, name)) == 1


async def test_kafkas_silence_ends_and_says_its_cause() -> None:
    one = [Record("tickets-v1", b"k", b"v", {})]
    said = r"tickets-v1: Kafka did not confirm it in 0.7 s .*refused"
    with producer(NOWHERE, message_timeout_ms=700) as made:
        began = time.monotonic()
        with pytest.raises(NotConfirmed, match=said) as caught:
            await made.publish_records(one)
        assert caught.value.args[0].code() == KafkaError._MSG_TIMED_OUT
        with pytest.raises(NotConfirmed, match=said):
            await asyncio.to_thread(made.publish_and_wait, one)
        assert time.monotonic() - began < 20


async def test_whoever_still_waits_when_the_process_ends_hears_so() -> None:
    with producer(NOWHERE) as made:
        loop = asyncio.create_task(made.publish_records(records("tickets-v1", 3)))
        thread = asyncio.create_task(asyncio.to_thread(made.publish_and_wait, records("tickets-v1", 3)))
        await asyncio.sleep(0.3)
        await asyncio.to_thread(made.close, 0.1)
        for waiting in (loop, thread):
            with pytest.raises(NotConfirmed):
                await asyncio.wait_for(waiting, 10)
        with pytest.raises(NotConfirmed, match="this process ends"):
            await made.publish_records(records("tickets-v1", 1))


async def test_who_gives_up_waiting_leaves_the_producer_as_it_was(kafka: str) -> None:
    name = topic(kafka)
    with producer(kafka, linger_ms=300) as made:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(made.publish_records(records(name, 400)), 0.01)
        await made.publish_records(records(name, 1))
        assert len(await asyncio.to_thread(stored, kafka, name)) >= 251


def make_fatal(native: Any) -> None:
    """What an idempotent producer does that cannot go on without a risk of loss or of disorder."""
    [library] = (Path(confluent_kafka.__file__).parent.parent / "confluent_kafka.libs").glob("librdkafka*")
    librdkafka = ctypes.CDLL(str(library))
    handle = ctypes.c_void_p.from_address(id(native) + object.__basicsize__)
    assert librdkafka.rd_kafka_test_fatal_error(handle, 45, b"out of order, as a test wants it") == 0


async def test_after_a_fatal_error_a_new_producer_goes_on(
    kafka: str, caplog: pytest.LogCaptureFixture
) -> None:
    name = topic(kafka)
    with producer(kafka, linger_ms=500) as made:
        await made.publish_records(records(name, 1))
        first = made._native
        waiting = asyncio.create_task(made.publish_records(records(name, 5)))
        await asyncio.sleep(0.1)
        make_fatal(first)
        await asyncio.wait_for(waiting, 30)
        assert made._native is not first
        make_fatal(made._native)
        await asyncio.gather(*(made.publish_records(records(name, 2)) for _ in range(5)))
        found = await asyncio.to_thread(stored, kafka, name)
    assert set(ids(found)) == {f"id-{number}" for number in range(5)}
    assert caplog.text.count("going on with a new one") == 2


async def test_a_broker_that_lost_its_data_is_published_to_again(tmp_path: Path) -> None:
    """Its topic is made anew; the idempotent producer's numbers mean nothing there."""

    kafka = EmbeddedKafka(tmp_path / "kafka")
    await asyncio.to_thread(kafka.start)
    name = topic(kafka.address)
    with producer(kafka.address) as made:
        await made.publish_records(records(name, 50))
        kafka.kill()
        shutil.rmtree(kafka.folder / "data")
        waiting = asyncio.create_task(made.publish_records(records(name, 10)))
        await asyncio.to_thread(kafka.start)
        await asyncio.to_thread(declare, [Topic(name, key="key", partitions=3)], Kafka(kafka.address), 1, 30)
        await asyncio.wait_for(waiting, 60)
        assert len(await asyncio.to_thread(stored, kafka.address, name)) == 10
    kafka.stop()


async def test_under_an_agent_a_batch_is_a_span_of_the_trace_it_belongs_to(
    kafka: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = TracerProvider()
    monkeypatch.setattr(trace, "get_tracer", agent.get_tracer)
    name = topic(kafka)
    with producer(kafka) as made, agent.get_tracer("app").start_as_current_span("request") as request:
        await made.publish_records(records(name, 3))
        [header] = {one["traceparent"] for one in await asyncio.to_thread(stored, kafka, name)}
    assert header.split("-")[1] == f"{request.get_span_context().trace_id:032x}"


def test_a_producer_that_is_not_used_has_no_thread_and_no_connection() -> None:
    before = threading.active_count()
    with producer(NOWHERE):
        assert threading.active_count() == before


def test_librdkafkas_producer_is_made_in_one_file() -> None:
    root = Path(__file__).parent.parent.parent
    sources = [path for folder in ("services", "shared", "deploy") for path in (root / folder).rglob("*.py")]
    makers = [
        path
        for path in sources
        if re.search(r"confluent_kafka(\.| import .*\b)Producer\b", path.read_text("utf-8"))
    ]
    assert [str(path.relative_to(root)) for path in makers] == ["shared/producer/producer.py"]


async def test_reports_are_looked_for_while_somebody_waits_and_no_longer() -> None:
    looks = 0

    def look() -> None:
        nonlocal looks
        looks += 1
        if looks == 3:
            waker.wake(confirmed)

    loop = asyncio.get_running_loop()
    waker, confirmed = Waker(loop, look), loop.create_future()
    with waker.looking():
        await asyncio.wait_for(confirmed, 5)
    await asyncio.sleep(0.05)
    assert looks <= 4
    with waker.looking():
        await asyncio.sleep(0.05)
    assert looks > 5


async def test_whom_another_thread_wakes_need_not_wait_for_a_look() -> None:
    loop = asyncio.get_running_loop()
    waker, confirmed = Waker(loop, lambda: None), loop.create_future()
    await asyncio.to_thread(waker.wake, confirmed)
    await asyncio.wait_for(confirmed, 5)
