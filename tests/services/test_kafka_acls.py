"""On Apache Kafka with an authorizer everybody may do what `flow.py` says, and no more."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType
from prometheus_client import CollectorRegistry

from services.kafka_acls import AclCheck
from shared.broker import make_broker
from shared.consumer import Batch
from shared.consumer.metrics import ConsumerMetrics
from shared.consumer.ownership import Ownership
from shared.consumer.process import ProcessConsumers
from shared.consumer.records import ConsumerRecord
from shared.consumer.settings import ConsumerSettings
from shared.events import EVENTS, Event, ModelPromoted, PredictionLogged, PredictionReported
from shared.flow import APPS, FLOW
from shared.kafka import Kafka
from shared.kafka_acls import Acl, Operation, Resource, acls_of, acls_of_apps
from shared.service import Service
from shared.topics import declare, topics_of
from tests.servers.model import ROOT
from tests.servers.secured_kafka import PLAIN, SecuredKafka, environment, outcomes, password_of, secured_kafka
from tests.servers.services import ServiceProcess

REFUSED = {KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.GROUP_AUTHORIZATION_FAILED}
TOPICS = [topic.name for topic in topics_of(EVENTS)]


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredKafka]:
    """With a user for each service and one for apps, and the ACLs that are generated for them."""
    if not (home := os.environ.get("KAFKA_HOME")):
        pytest.skip("no Apache Kafka here: set KAFKA_HOME to a folder of its jars")
    with secured_kafka(Path(home), tmp_path_factory.mktemp("secured")) as running:
        declare(topics_of(EVENTS), running.seen_by("admin"), 1, 30)
        for service in FLOW:
            running.add_user(service, acls_of(service))
        running.add_user("app", acls_of_apps())
        yield running


@pytest.fixture
def app(secured: SecuredKafka) -> Kafka:
    return secured.seen_by("app")


@pytest.mark.parametrize("name", sorted(FLOW))
async def test_a_service_reads_writes_commits_and_sets_aside_what_it_must(
    secured: SecuredKafka, name: str
) -> None:
    kafka, part = secured.seen_by(name), FLOW[name]
    await asyncio.to_thread(declare, topics_of(part.consumes | part.produces), kafka, 1, 30)
    await asyncio.to_thread(AclCheck(kafka, [name]).check)
    sent = {kind.topic.name: [example(kind)] for kind in part.consumes}
    sent |= {kind.topic.name: [b"no event", example(kind)] for kind in part.consumed_as_group}
    seen: set[type[Event]] = set()

    def noted(kind: type[Event]) -> Batch:
        async def handle(consumed: list[ConsumerRecord[Event]]) -> None:
            seen.add(kind)

        return Batch(handle)

    registry = CollectorRegistry()
    broker = make_broker(kafka, name, registry)
    service = Service(
        name, {kind: noted(kind) for kind in part.consumes}, consumes_from_now=not part.produces
    )
    consumers = ProcessConsumers(
        [service], {name: Ownership()}, broker.producer, kafka, ConsumerMetrics(registry), ConsumerSettings()
    )
    running = [asyncio.create_task(one.run()) for one in (consumers.state, *consumers.others)]
    try:
        for one in (consumers.state, *consumers.others):
            await asyncio.wait_for(one.ready(), 30)
        await asyncio.to_thread(written, secured.seen_by("admin"), sent)
        produced = {kind.topic.name: [example(kind)] for kind in part.produces}
        await asyncio.to_thread(written, kafka, produced)
        async with asyncio.timeout(60):
            while seen < part.consumes:
                assert not any(task.done() and task.exception() for task in running)
                await asyncio.sleep(0.1)
            for kind in part.consumed_as_group:
                while not await asyncio.to_thread(set_aside, secured, kind, name):
                    await asyncio.sleep(0.2)
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await broker.stop()


def set_aside(secured: SecuredKafka, kind: type[Event], service: str) -> bool:
    """Whether a dead letter of this service lies there."""
    found = read_all(secured.seen_by("admin"), kind.topic.dead_letters)
    return any(dict(one.headers() or ()).get("dead_letter_service") == service.encode() for one in found)


def test_nobody_writes_what_the_flow_does_not_say(secured: SecuredKafka) -> None:
    """State is never set aside, so not even the service that replays dead letters writes another's state."""
    for user in (*FLOW, "app"):
        acls = acls_of(user) if user in FLOW else acls_of_apps()
        written_by_it = {one.name for one in acls if one.operation is Operation.WRITE}
        said = outcomes(secured.seen_by(user), TOPICS)
        assert {topic for topic, error in said.items() if error is None} == written_by_it
        assert {error for error in said.values() if error is not None} <= REFUSED
    for user, part in FLOW.items():
        writes = {one.name for one in acls_of(user) if one.operation is Operation.WRITE}
        states = {kind.topic.name for kind in EVENTS if kind.is_state}
        assert writes & states == {kind.topic.name for kind in part.produces if kind.is_state}


def test_an_app_writes_what_is_written_for_apps_alone(app: Kafka) -> None:
    forged: tuple[type[Event], ...] = (ModelPromoted, PredictionLogged)
    said = outcomes(app, [kind.topic.name for kind in (*APPS, *forged)])
    assert {topic for topic, error in said.items() if error is None} == {kind.topic.name for kind in APPS}


@pytest.mark.parametrize("kind", [ModelPromoted, PredictionReported], ids=lambda kind: kind.__name__)
def test_an_app_reads_nothing(secured: SecuredKafka, app: Kafka, kind: type[Event]) -> None:
    written(secured.seen_by("admin"), {kind.topic.name: [example(kind)]})
    consumer = Consumer({**app.reader("app"), "log_level": 0})
    try:
        topic = kind.topic
        consumer.assign([TopicPartition(topic.name, number, 0) for number in range(topic.partitions)])
        said = list(polled(consumer))
    finally:
        consumer.close()
    assert {error.code() for one in said if (error := one.error()) is not None} <= REFUSED
    assert said
    assert all(one.error() for one in said)


def test_an_app_deletes_and_alters_nothing(secured: SecuredKafka, app: Kafka) -> None:
    admin = AdminClient({**app.client("app"), "log_level": 0})
    kinds: tuple[type[Event], ...] = (*APPS, ModelPromoted)
    written(secured.seen_by("admin"), {kind.topic.name: [example(kind)] for kind in kinds})
    before = {kind.topic.name: values(secured, kind.topic.name) for kind in kinds}
    for topic in before:
        shorter = ConfigEntry("retention.ms", "1", incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[shorter])
        for asked in (
            admin.delete_records([TopicPartition(topic, 0, -1)]),
            admin.delete_topics([topic]),
            admin.incremental_alter_configs([resource]),
        ):
            (future,) = asked.values()
            with pytest.raises(KafkaException) as refused:
                future.result(10)
            # The second: it does not even see who leads the partition of which records were to go.
            assert refused.value.args[0].code() in {*REFUSED, KafkaError._NOENT}
    assert {topic: values(secured, topic) for topic in before} == before


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_a_user_is_known_by_a_password(secured: SecuredKafka, mechanism: str) -> None:
    user = PLAIN if mechanism == "PLAIN" else "app"
    secured.allow(user, acls_of_apps())
    kafka = secured.seen_by(user)
    asked = replace(kafka, security=kafka.security.model_copy(update={"sasl_mechanism": mechanism}))
    assert set(outcomes(asked, [kind.topic.name for kind in APPS]).values()) == {None}


def test_a_user_is_known_by_a_certificate(secured: SecuredKafka) -> None:
    secured.allow("CN=client", acls_of_apps())
    of_apps = {kind.topic.name for kind in APPS}
    said = outcomes(secured.by_certificate, [*of_apps, ModelPromoted.topic.name])
    assert {topic for topic, error in said.items() if error is None} == of_apps


def test_a_right_that_is_lost_is_named_and_what_waited_is_read_when_it_is_back(
    secured: SecuredKafka, database_url: str, tmp_path: Path
) -> None:
    acls = acls_of("human_review")
    reading = Acl(Resource.TOPIC, "prediction-flagged-v1", Operation.READ)
    kafka = secured.add_user("losing", acls)
    process = ServiceProcess(
        ["human_review"], tmp_path, {**environment(kafka), "CLICKHOUSE_URL": database_url}
    )
    process.start()
    try:
        process.await_status("/health/ready", 200)
        secured.take_all_from("losing")
        secured.allow("losing", acls - {reading})
        said = process.await_status("/health/ready", 503).json()["missing"]
        [lost] = [one for one in said if one["what"] == "Kafka ACLs"]
        assert lost["why"] == (
            "Kafka does not let losing READ topic prediction-flagged-v1: "
            "`python -m deploy.kafka_acls` prints what allows it"
        )
        assert lost["why"] in process.log
        written(secured.seen_by("admin"), {"prediction-flagged-v1": [b"came meanwhile"]})
        secured.allow("losing", {reading})
        process.await_status("/health/ready", 200)
        awaited(lambda: b"came meanwhile" in values(secured, "prediction-flagged-v1-dead-letter"))
        assert password_of("losing") not in process.log
    finally:
        process.kill()


def test_a_process_without_its_rights_says_which_and_waits_for_them(
    secured: SecuredKafka, database_url: str, tmp_path: Path
) -> None:
    few = acls_of("human_review") - {Acl(Resource.GROUP, "human_review", Operation.READ)}
    kafka = secured.add_user("waiting", few)
    process = ServiceProcess(
        ["human_review"], tmp_path, {**environment(kafka), "CLICKHOUSE_URL": database_url}
    )
    process.start()
    try:
        awaited(lambda: "waiting for Kafka ACLs" in process.log)
        assert "does not let waiting READ group human_review: `python -m deploy.kafka_acls`" in process.log
        secured.allow("waiting", acls_of("human_review"))
        process.await_status("/health/ready", 200)
    finally:
        process.kill()


def example(kind: type[Event]) -> bytes:
    folder = ROOT / "shared" / "contracts" / "examples" / kind.topic.name
    return sorted(folder.glob("*.json"))[-1].read_bytes()


def written(kafka: Kafka, values: Mapping[str, Iterable[bytes]]) -> None:
    producer = Producer({**kafka.client("tests"), "log_level": 0})
    errors: list[KafkaError | None] = []
    for topic, records in values.items():
        for value in records:
            producer.produce(topic, value, on_delivery=lambda error, _: errors.append(error))
    assert producer.flush(20) == 0
    assert not any(errors), errors


def polled(consumer: Consumer, seconds: float = 5) -> Iterator[Message]:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        yield from consumer.consume(100, 0.2)


def values(secured: SecuredKafka, topic: str) -> list[bytes]:
    return [message.value() or b"" for message in read_all(secured.seen_by("admin"), topic)]


def read_all(kafka: Kafka, topic: str) -> list[Message]:
    """What lies on the topic's first partition."""
    consumer = Consumer(kafka.reader("tests"))
    try:
        _, end = consumer.get_watermark_offsets(TopicPartition(topic, 0), 10)
        consumer.assign([TopicPartition(topic, 0, 0)])
        found: list[Message] = []
        while len(found) < end:
            found += consumer.consume(100, 1)
        return found
    finally:
        consumer.close()


def awaited(check: Callable[[], bool], seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < until
        time.sleep(0.2)  # another process: there is nothing to await
