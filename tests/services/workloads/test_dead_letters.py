"""Dead letters are listed without what they hold, shown, sent again as they were, or let go."""

from __future__ import annotations

import asyncio
import json
import os
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from confluent_kafka import Consumer, Message, Producer, TopicPartition
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from services.console.commands import Commands
from services.workloads.app import build
from services.workloads.dead_letters import (
    DeadLetter,
    RawRecord,
    Wanted,
    counts,
    is_the_original,
    read_letter,
    replayed,
    undecided,
)
from shared.addresses import Addresses
from shared.broker import make_broker, make_publish
from shared.clickhouse import ClickHouse
from shared.events import FeedbackGiven, ModelPromoted
from shared.events.envelope import now, record
from shared.files import Files
from shared.kafka import Kafka
from shared.migrations import migrate
from shared.model_server import ModelServer
from shared.problems import answer_with_problems
from shared.projections import Workloads
from shared.service import ServiceContext
from shared.service_client import ServiceClient
from shared.topics import declare, topics_of
from tests.servers.http import serving, with_door
from tests.servers.model import ROOT
from tests.services.workloads.test_command_line import COMMAND
from tests.shared.consuming import eventually, feedback, running

AT = datetime(2026, 1, 1, tzinfo=UTC)
WHO = {"requested_by": "ann", "reason": "mended"}
TOPIC = FeedbackGiven.topic


def headers(**changes: str) -> list[tuple[str, bytes | None]]:
    said = {
        "ce_id": "one",
        "dead_letter_reason": "its workload is not known",
        "dead_letter_service": "prediction_logging",
        "dead_letter_topic": "feedback-given-v1",
        "dead_letter_partition": "2",
        "dead_letter_offset": "41",
    }
    return [(name, value.encode()) for name, value in (said | changes).items()]


def kept(value: bytes = b"{}", **changes: str) -> RawRecord:
    return RawRecord(b"key", value, headers(**changes), int(AT.timestamp() * 1000))


def letter(**changes: Any) -> DeadLetter:
    found = read_letter(kept(), 0, 7)
    assert found is not None
    return replace(found, **changes)


def test_a_letter_says_where_it_came_from_and_a_stranger_is_none() -> None:
    found = letter()
    assert (found.topic, found.partition, found.offset, found.at) == ("feedback-given-v1", 2, 41, AT)
    assert read_letter(RawRecord(None, b"x", [("a", b"\xff")], 0), 0, 0) is None
    assert read_letter(kept(dead_letter_offset="x"), 0, 0) is None


def test_when_it_was_set_aside_is_said_by_its_header_else_by_kafka() -> None:
    said = read_letter(kept(dead_letter_at="2026-01-02T00:00:00+00:00"), 0, 0)
    assert said is not None
    assert said.at == AT + timedelta(days=1)


def test_one_that_was_cut_or_is_only_a_reference_is_not_whole() -> None:
    for found in (read_letter(kept(dead_letter_truncated="true"), 0, 0), read_letter(kept(b""), 0, 0)):
        assert found is not None
        assert not found.is_whole


def test_each_is_listed_once_the_newest_first_and_no_more_when_decided() -> None:
    letters = [letter(), letter(), letter(id="two", at=AT + timedelta(hours=1)), letter(id="three")]
    assert [one.id for one in undecided(letters, ["three"])] == ["two", "one"]


def test_wanted_narrows_by_topic_service_and_time() -> None:
    assert Wanted().holds(letter())
    assert not Wanted(topic="other").holds(letter())
    assert not Wanted(service="other").holds(letter())
    assert not Wanted(since=AT + timedelta(seconds=1)).holds(letter())
    assert counts([letter(), letter(id="two")]) == {("feedback-given-v1", "prediction_logging"): 2}


def test_what_stands_at_the_place_now_counts_only_if_it_is_the_record_it_was() -> None:
    same = RawRecord(b"key", b"{}", [], 0)
    assert is_the_original(letter(), kept(), same)
    assert not is_the_original(letter(), kept(), replace(same, value=b"other"))
    assert not is_the_original(letter(), kept(), replace(same, key=b"other"))
    assert not is_the_original(letter(), kept(), None)
    assert is_the_original(letter(is_whole=False), kept(b"he"), replace(same, value=b"head and tail"))


def test_the_original_goes_back_as_it_was_and_a_copy_with_key_and_value() -> None:
    original = RawRecord(b"key", b"{}", [("ce_id", b"e"), ("trace-bin", b"\xff"), ("traceparent", b"00")], 0)
    back = replayed(letter(), kept(), original)
    assert back is not None
    assert (back.topic, back.key, back.value, back.headers) == (
        "feedback-given-v1",
        b"key",
        b"{}",
        {"ce_id": "e"},
    )
    copy = replayed(letter(), kept(), None)
    assert copy is not None
    assert (copy.key, copy.value, copy.headers) == (b"key", b"{}", {"content-type": "application/json"})
    structured = kept(b'{"specversion": "1.0", "type": "t", "data": {}}')
    assert (again := replayed(letter(), structured, None)) is not None
    assert again.headers == {"content-type": "application/cloudevents+json"}
    told = replace(structured, headers=[*structured.headers, ("content-type", b"application/json")])
    assert (third := replayed(letter(), told, None)) is not None
    assert third.headers == {"content-type": "application/json"}
    assert replayed(letter(is_whole=False), kept(b"he"), None) is None


@pytest.fixture
async def app(kafka: str, clickhouse: ClickHouse, tmp_path: Path) -> AsyncIterator[FastAPI]:
    """The HTTP of `workloads` over a real broker and real tables."""
    await asyncio.to_thread(declare, topics_of([FeedbackGiven]), Kafka(kafka), 1, 30)
    await migrate(clickhouse, "workloads")
    registry = CollectorRegistry()
    broker = make_broker(Kafka(kafka), "desk", registry)
    context = ServiceContext(
        Addresses(kafka_bootstrap_servers=kafka),
        make_publish(broker, "workloads"),
        clickhouse,
        Files((tmp_path / "files").as_uri(), tmp_path / "cache"),
        ModelServer("http://127.0.0.1:9"),
        now,
        registry,
        tmp_path,
        producer=broker.producer,
        kafka=Kafka(kafka),
    )
    app = FastAPI()
    answer_with_problems(app)
    for router in build(context).routers:
        app.include_router(router)
    yield with_door(app)
    await broker.stop()


@pytest.fixture
async def desk(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://desk", timeout=60) as http:
        yield http


class Aside:
    """Records that a service set aside on the real topic: it knows no workload at all."""

    def __init__(self, kafka: str, desk: httpx.AsyncClient) -> None:
        self.kafka, self.desk = kafka, desk
        self.since = now().isoformat()

    async def letters(self, count: int, **query: str) -> list[dict[str, Any]]:
        """So many, once they are there."""
        async with asyncio.timeout(40):
            while True:
                answer = await self.desk.get("/dead-letters", params={"since": self.since, **query})
                assert answer.status_code == 200, answer.text
                found: dict[str, Any] = answer.json()
                if found["total"] >= count:
                    assert found["total"] == count
                    return list(found["letters"])
                await asyncio.sleep(0.2)


@pytest.fixture
async def aside(kafka: str, desk: httpx.AsyncClient) -> Aside:
    return Aside(kafka, desk)


def set_aside(kafka: str, *letters: tuple[bytes | None, bytes, dict[str, str]]) -> None:
    """Puts them where a consumer would."""
    producer = Producer({"bootstrap.servers": kafka})
    for key, value, said in letters:
        producer.produce(TOPIC.dead_letters, value, key, headers=said)
    assert producer.flush(20) == 0


def put(kafka: str, value: bytes, **more: Any) -> tuple[int, int]:
    """A record on the topic; where it stands."""
    places: list[tuple[int, int]] = []

    def delivered(error: object, message: Message) -> None:
        assert error is None
        places.append((int(message.partition() or 0), int(message.offset() or 0)))

    producer = Producer({"bootstrap.servers": kafka})
    producer.produce(TOPIC.name, value, on_delivery=delivered, **more)
    assert producer.flush(20) == 0
    return places[0]


def said_of(letter_id: str, partition: int, offset: int, **more: str) -> dict[str, str]:
    return {
        "ce_id": letter_id,
        "dead_letter_reason": "workload: unknown",
        "dead_letter_service": "prediction_logging",
        "dead_letter_topic": TOPIC.name,
        "dead_letter_partition": str(partition),
        "dead_letter_offset": str(offset),
        "dead_letter_at": now().isoformat(),
        **more,
    }


def from_place(kafka: str, since: dict[int, int]) -> list[Message]:
    """All records of the topic from these offsets on."""
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": "test", "auto.offset.reset": "earliest"})
    try:
        consumer.assign([TopicPartition(TOPIC.name, number, offset) for number, offset in since.items()])
        return [one for one in consumer.consume(100, 3) if one.error() is None]
    finally:
        consumer.close()


def ends(kafka: str) -> dict[int, int]:
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": "test"})
    try:
        return {
            number: consumer.get_watermark_offsets(TopicPartition(TOPIC.name, number), 10)[1]
            for number in range(TOPIC.partitions)
        }
    finally:
        consumer.close()


async def test_a_list_tells_no_payload_and_one_shows_it(aside: Aside) -> None:
    value = b'{"comment": "call me at 555-1234"}'
    place = put(aside.kafka, value, key=b"p-1", headers={"ce_type": "t"})
    set_aside(aside.kafka, (b"p-1", value, said_of("shown-1", *place)))
    (listed,) = await aside.letters(1)
    assert "555" not in json.dumps(listed)
    assert (listed["service"], listed["reason"]) == ("prediction_logging", "workload: unknown")
    one = (await aside.desk.get("/dead-letters/shown-")).json()
    assert json.loads(one["value"]["text"]) == {"comment": "call me at 555-1234"}
    assert one["key"] == {"text": "p-1"}
    assert one["is_original"]
    await aside.desk.post("/dead-letters/shown-1/drop", json=WHO)


async def test_replayed_it_is_the_record_it_was_and_is_listed_no_more(aside: Aside) -> None:
    event = record(feedback("f-1", "p-1"), "prediction_logging")
    place = put(aside.kafka, event.value, key=event.key, headers=dict(event.headers))
    head = event.value[:20]  # as of one that was too big
    set_aside(aside.kafka, (event.key, head, said_of("cut-1", *place, dead_letter_truncated="true")))
    (listed,) = await aside.letters(1)
    assert not listed["is_whole"]
    before = ends(aside.kafka)
    answer = await aside.desk.post("/dead-letters/cut-1/replay", json=WHO)
    assert (answer.status_code, answer.json()) == (200, {"count": 1})
    (again,) = from_place(aside.kafka, before)
    assert (again.value(), again.key()) == (event.value, event.key)
    assert dict(again.headers() or ())["ce_id"] == event.headers["ce_id"].encode()
    await aside.letters(0)


async def test_of_a_cut_one_whose_record_is_gone_it_says_so_and_publishes_nothing(aside: Aside) -> None:
    lost = said_of("lost-1", 0, 99_999_999, dead_letter_truncated="true")
    set_aside(aside.kafka, (b"k", b"{", lost))
    await aside.letters(1)
    before = ends(aside.kafka)
    answer = await aside.desk.post("/dead-letters/lost-1/replay", json=WHO)
    assert answer.status_code == 409
    assert "Send it again" in answer.json()["detail"]
    assert ends(aside.kafka) == before
    await aside.desk.post("/dead-letters/lost-1/drop", json=WHO)
    await aside.letters(0)


async def test_one_that_claims_another_topic_is_not_sent_there(aside: Aside) -> None:
    """A service that was taken over may write its own dead letters; whoever replays them may write more."""
    value = b'{"champion": "theirs"}'
    posing = said_of("posing-1", 0, 99_999_999, dead_letter_topic=ModelPromoted.topic.name)
    set_aside(aside.kafka, (b"k", value, posing), (b"k", b"{", said_of("honest-1", 0, 99_999_999)))
    (listed,) = await aside.letters(1)
    assert listed["id"] == "honest-1"
    assert (await aside.desk.post("/dead-letters/posing-1/replay", json=WHO)).status_code == 404
    await aside.desk.post("/dead-letters/honest-1/drop", json=WHO)


async def test_many_are_decided_together_when_their_number_is_confirmed(aside: Aside) -> None:
    places = [put(aside.kafka, b"{}", key=b"k") for _ in range(3)]
    set_aside(aside.kafka, *((b"k", b"{}", said_of(f"many-{n}", *place)) for n, place in enumerate(places)))
    await aside.letters(3)
    wish = {**WHO, "topic": TOPIC.name, "since": aside.since}
    refused = await aside.desk.post("/dead-letters/replay", json={**wish, "count": 2})
    assert (refused.status_code, refused.json()["total"]) == (409, 3)
    ambiguous = await aside.desk.post("/dead-letters/many/drop", json=WHO)
    assert ambiguous.status_code == 409
    assert (await aside.desk.post("/dead-letters/nosuch/drop", json=WHO)).status_code == 404
    before = ends(aside.kafka)
    assert (await aside.desk.post("/dead-letters/replay", json={**wish, "count": 3})).json() == {"count": 3}
    assert len(from_place(aside.kafka, before)) == 3
    await aside.letters(0)


async def test_what_a_consumer_sets_aside_is_found_with_its_reason(aside: Aside, kafka: str) -> None:
    async def never(event: FeedbackGiven) -> None:
        raise AssertionError("nothing of this reads well")

    marker = f"broken since {aside.since}".encode()
    async with running(kafka, {FeedbackGiven: never}, workloads=Workloads()):
        put(kafka, marker, key=b"k")

        def is_aside() -> bool:
            return any(value == marker for value in dead_letters(kafka))

        await eventually(is_aside, 30)
    found = [one for one in await listed(aside) if one["reason"] == "the value is not valid JSON in UTF-8"]
    assert found
    assert found[0]["service"].startswith("test-")


async def listed(aside: Aside) -> list[dict[str, Any]]:
    answer = await aside.desk.get("/dead-letters", params={"since": aside.since})
    return list(answer.json()["letters"])


def dead_letters(kafka: str) -> list[bytes]:
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": "test", "auto.offset.reset": "earliest"})
    try:
        consumer.assign([TopicPartition(TOPIC.dead_letters, 0, 0)])
        return [one.value() or b"" for one in consumer.consume(1000, 2) if one.error() is None]
    finally:
        consumer.close()


async def test_the_command_line_lists_shows_replays_and_drops(
    app: FastAPI, aside: Aside, tmp_path: Path
) -> None:
    places = [put(aside.kafka, b"{}", key=b"k") for _ in range(3)]
    set_aside(
        aside.kafka, *((b"k", b"{}", said_of(f"{n}-by-hand", *place)) for n, place in enumerate(places))
    )
    await aside.letters(3)
    async with serving(app) as url:

        async def tuneloop(*arguments: str) -> tuple[int, str]:
            process = await asyncio.create_subprocess_exec(
                *COMMAND, "--url", url, "dead-letters", *arguments, cwd=tmp_path,
                env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=PIPE, stderr=STDOUT,
            )  # fmt: skip
            output, _ = await asyncio.wait_for(process.communicate(), 60)
            return int(process.returncode or 0), output.decode()

        since = ("--since", aside.since[:19])
        code, listed = await tuneloop("list", *since)
        assert code == 0
        assert "0-by-han" in listed
        assert "3 dead letters: 3 of feedback-given-v1 by prediction_logging." in listed
        code, shown = await tuneloop("show", "0-by")
        assert "workload: unknown" in shown
        assert "its place on the topic it came from" in shown
        assert await tuneloop("drop", "0-by") == (0, "1 dead letter dropped.\n")
        code, asked = await tuneloop("replay", *since)
        assert (code, "--yes" in asked) == (1, True)
        code, done = await tuneloop("replay", *since, "--yes")
        assert (code, done.startswith("2 dead letters replayed.")) == (0, True)
        assert (await tuneloop("drop", *since, "--yes")) == (0, "Nothing matches.\n")
        assert json.loads((await tuneloop("list", *since, "--json"))[1])["total"] == 0
        code, unknown = await tuneloop("show", "nosuch")
        assert (code, len(unknown.splitlines())) == (1, 1)


async def test_the_console_is_told_how_many_wait(app: FastAPI, aside: Aside) -> None:
    place = put(aside.kafka, b"{}", key=b"k")
    set_aside(aside.kafka, (b"k", b"{}", said_of("for-the-console", *place)))
    await aside.letters(1)
    async with serving(app) as url, ServiceClient(url) as workloads:
        said = await Commands(workloads).waiting(now())
    assert "dead letter" in said[-1].sentence
    await aside.desk.post("/dead-letters/for-the-console/drop", json=WHO)
