"""How far each service is behind, and what stands still since when and why."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import httpx
from confluent_kafka import Consumer, TopicPartition
from fastapi import FastAPI

from services.workloads.consumer_lag import Committed, SetApart, Span, group_topics, lag_of
from services.workloads.consumer_offsets import ConsumerOffsets
from services.workloads.consumers_api import consumer_routes
from shared.consumer.waiting import Waiting
from shared.events import FeedbackGiven
from shared.events.envelope import now, record
from shared.kafka import Kafka
from shared.problems import answer_with_problems
from shared.topics import declare, topics_of
from tests.servers.http import with_door
from tests.shared.consuming import commit_as_another_tool, eventually, feedback, own_topic, produce, running

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
NOTE = Waiting(NOON, "ClickHouseError").to_note()


def test_lag_is_counted_from_what_is_committed_and_still_there() -> None:
    spans = {("t", 0): Span(0, 10), ("t", 1): Span(5, 9), ("t", 2): Span(3, 3), ("other", 0): Span(0, 99)}
    (lag,) = lag_of("s", ["t"], {("t", 0): Committed(10), ("t", 1): Committed(2)}, spans)
    assert (lag.service, lag.topic, lag.behind) == ("s", "t", 4)
    assert lag.next_of == {1: 5}


def test_a_group_that_never_committed_has_everything_before_it() -> None:
    (lag,) = lag_of("s", ["t"], {}, {("t", 0): Span(4, 10)})
    assert (lag.behind, lag.next_of) == (6, {0: 4})


def test_what_stands_apart_is_read_from_the_note_at_the_offset() -> None:
    spans = {("t", 0): Span(0, 9), ("t", 1): Span(0, 9)}
    committed = {("t", 0): Committed(3, NOTE), ("t", 1): Committed(3, "a note of somebody else's")}
    (lag,) = lag_of("s", ["t"], committed, spans)
    assert lag.set_apart == (SetApart(0, NOON, "ClickHouseError"),)


def test_whoever_only_watches_or_reads_state_has_no_lag() -> None:
    topics = group_topics()
    assert "console" not in topics
    assert "model_gateway" not in topics
    assert "workload-added-v1" not in topics["human_review"]
    assert "review-given-v1" in topics["human_review"]


async def test_it_says_of_each_service_what_waits_and_since_when(kafka: str) -> None:
    kind = own_topic(FeedbackGiven, partitions=2)
    topic, group = kind.topic.name, f"group-of-{kind.topic.name}"
    await asyncio.to_thread(declare, topics_of([kind]), Kafka(kafka), 1, 30)
    produce(kafka, topic, {0: [b"1", b"2", b"3"], 1: [b"1"]})
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": group})
    places = [TopicPartition(topic, 0, 1, NOTE), TopicPartition(topic, 1, 1, "")]
    await asyncio.to_thread(consumer.commit, offsets=places, asynchronous=False)
    consumer.close()
    app = FastAPI()
    answer_with_problems(app)
    app.include_router(consumer_routes(ConsumerOffsets({group: [topic, "not-there-v1"]}, Kafka(kafka)), now))
    with_door(app)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://t", timeout=30) as http:
        found = (await http.get("/consumers")).json()
    assert [one["topic"] for one in found] == [topic, "not-there-v1"]
    assert (found[0]["service"], found[0]["behind"], found[1]["behind"]) == (group, 2, 0)
    (apart,) = found[0]["set_apart"]
    assert apart == {"partition": 0, "since": "2026-01-01T12:00:00Z", "why": "ClickHouseError"}
    assert 0 <= found[0]["oldest_seconds"] < 60


async def test_what_another_tool_noted_says_nothing_and_hides_nothing(kafka: str) -> None:
    kind = own_topic(FeedbackGiven, partitions=24)
    topic, group = kind.topic.name, f"group-of-{kind.topic.name}"
    await asyncio.to_thread(declare, topics_of([kind]), Kafka(kafka), 1, 30)
    await asyncio.to_thread(produce, kafka, topic, {number: [b"1"] for number in range(24)})
    await asyncio.to_thread(commit_as_another_tool, kafka, group, topic, 24)
    (lag,) = await asyncio.to_thread(ConsumerOffsets({group: [topic]}, Kafka(kafka)).lag)
    assert (lag.behind, lag.set_apart) == (24, ())


async def test_a_partition_whose_handler_fails_is_seen_from_outside_until_it_goes_on(kafka: str) -> None:
    kind = own_topic(FeedbackGiven, partitions=2)
    topic, mended = kind.topic.name, asyncio.Event()

    async def handle(event: FeedbackGiven) -> None:
        if not mended.is_set():
            raise ConnectionError("the store is away")

    async with running(kafka, {kind: handle}) as service:
        offsets = ConsumerOffsets({service.name: [topic]}, Kafka(kafka))

        def stands_still() -> bool:
            (lag,) = offsets.lag()
            return [apart.partition for apart in lag.set_apart] == [1]

        def is_done() -> bool:
            (lag,) = offsets.lag()
            return not lag.set_apart and not lag.behind

        await service_publishes(kafka, topic)
        await eventually(stands_still)
        assert "ConnectionError" in offsets.lag()[0].set_apart[0].why
        mended.set()
        await eventually(is_done, 30)


async def service_publishes(kafka: str, topic: str) -> None:
    value = record(feedback("f", "p"), "test").value
    await asyncio.to_thread(produce, kafka, topic, {1: [value]})


async def test_while_kafka_is_away_it_is_to_be_asked_again() -> None:
    app = FastAPI()
    answer_with_problems(app)
    app.include_router(consumer_routes(ConsumerOffsets({"s": ["t"]}, Kafka("127.0.0.1:9")), now))
    with_door(app)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://t", timeout=30) as http:
        answer = await http.get("/consumers")
    assert answer.status_code == 503
    assert answer.headers["retry-after"]
