"""Topics on real brokers: made as they must be, mended where that is safe, and else refused in words."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import pytest
from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ConfigResource,
    NewTopic,
    ResourcePatternType,
    ResourceType,
)

from shared.events.envelope import Topic
from shared.kafka import CannotUseKafka, Kafka
from shared.topics import KafkaAway, declare, declare_now
from tests.servers.kafka import apache_kafka
from tests.shared.consuming import produce


@pytest.fixture
def name() -> str:
    return f"topics-{uuid4().hex[:8]}"


def settings_of(kafka: str, name: str) -> dict[str, str]:
    admin = AdminClient({"bootstrap.servers": kafka})
    (future,) = admin.describe_configs([ConfigResource(ResourceType.TOPIC, name)]).values()
    return {key: str(entry.value) for key, entry in future.result(10).items()}


def wait_for(kafka: str, name: str, wanted: dict[str, str]) -> None:
    """A cluster's brokers hear of a change a moment after its controller."""
    until, has = time.monotonic() + 20, dict[str, str]()
    while not has or not wanted.items() <= has.items():
        assert time.monotonic() < until, has
        with suppress(KafkaException):  # a topic that was made just now is not known to all
            has = settings_of(kafka, name)
        time.sleep(0.1)


def create(kafka: str, name: str, **config: str) -> None:
    admin = AdminClient({"bootstrap.servers": kafka})
    said = {key.replace("_", "."): value for key, value in config.items()}
    (future,) = admin.create_topics([NewTopic(name, 1, 1, config=said)]).values()
    future.result(10)
    wait_for(kafka, name, said)


def test_a_missing_topic_is_made_so_that_it_loses_nothing(kafka: str, name: str) -> None:
    declare_now([Topic(name, key="k", partitions=2, retention=None)], Kafka(kafka), 0)
    wait_for(kafka, name, {"retention.ms": "-1", "cleanup.policy": "delete", "retention.bytes": "-1"})
    assert len(AdminClient({"bootstrap.servers": kafka}).list_topics(name, 10).topics[name].partitions) == 2


def test_a_state_topic_with_a_weeks_retention_is_kept_for_ever_from_the_next_start_on(
    kafka: str, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    create(kafka, name, retention_ms="604800000", max_message_bytes="65536")
    state = [Topic(name, key="k", partitions=1, retention=None)]
    with caplog.at_level(logging.WARNING):
        declare(state, Kafka(kafka), 0, 30)
        wait_for(kafka, name, {"retention.ms": "-1", "max.message.bytes": "1048588"})
        declare(state, Kafka(kafka), 0, 30)
    assert len([line for line in caplog.messages if "is altered" in line]) == 1


def test_what_is_published_a_month_late_is_kept_by_when_it_came(kafka: str, name: str) -> None:
    create(kafka, name)
    declare([Topic(name, key="k", partitions=1)], Kafka(kafka), 0, 30)
    month_ago = int((time.time() - 31 * 86400) * 1000)
    produce(kafka, name, {0: [b"backfill"]}, timestamp=month_ago)
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": name, "auto.offset.reset": "earliest"})
    consumer.assign([TopicPartition(name, 0, 0)])
    message = consumer.poll(10)
    consumer.close()
    assert message is not None
    kind, appended_ms = message.timestamp()
    assert kind == TIMESTAMP_LOG_APPEND_TIME
    assert time.time() * 1000 - appended_ms < 60_000


def test_three_replicas_on_one_broker_are_refused_at_once_with_the_true_cause(kafka: str, name: str) -> None:
    with pytest.raises(
        CannotUseKafka, match="KAFKA_REPLICATION=3 asks for 3 brokers, and this cluster has 1"
    ):
        declare([Topic(name, key="k")], Kafka(kafka), 3, 60)


def test_a_broker_that_is_not_there_is_named_with_the_reason() -> None:
    with pytest.raises(KafkaAway, match=r"127\.0\.0\.1:9 .*Connection refused.*KAFKA_BOOTSTRAP_SERVERS"):
        declare([Topic("any", key="k")], Kafka("127.0.0.1:9"), 0, 0)
    with pytest.raises(KafkaAway, match=r"nosuch\.invalid.*DNS"):
        declare([Topic("any", key="k")], Kafka("nosuch.invalid:9092"), 0, 0)


@pytest.fixture
def kafka_home() -> Path:
    if not (home := os.environ.get("KAFKA_HOME")):
        pytest.skip("no Apache Kafka here: set KAFKA_HOME to a folder of its jars")
    return Path(home)


def test_a_listener_that_is_advertised_wrongly_is_named(kafka_home: Path, tmp_path: Path) -> None:
    wrong = {"advertised.listeners": "PLAINTEXT://127.0.0.1:9,CONTROLLER://127.0.0.1:{controller}"}
    with (
        apache_kafka(kafka_home, tmp_path, wrong) as kafka,
        pytest.raises(KafkaAway, match=r"sends its clients on to 127\.0\.0\.1:9, .*advertised\.listeners"),
    ):
        declare([Topic("any", key="k")], Kafka(kafka), 0, 0)


def test_without_the_rights_it_says_what_somebody_with_them_must_do(kafka_home: Path, tmp_path: Path) -> None:
    guarded = {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found": "true",
    }
    with apache_kafka(kafka_home, tmp_path, guarded) as kafka:
        create(kafka, "there", retention_ms="1000")
        deny(
            kafka,
            [
                (ResourceType.BROKER, "kafka-cluster", AclOperation.CREATE),
                (ResourceType.TOPIC, "missing", AclOperation.CREATE),
                (ResourceType.TOPIC, "there", AclOperation.ALTER_CONFIGS),
            ],
        )
        with pytest.raises(CannotUseKafka) as refusal:
            declare([Topic("missing", key="k"), Topic("there", key="k", partitions=1)], Kafka(kafka), 0, 30)
    said = str(refusal.value)
    assert "no right" in said
    assert "--create --topic missing --partitions 3" in said
    assert "--entity-name there --add-config retention.ms=2592000000" in said


def deny(kafka: str, forbidden: Sequence[tuple[ResourceType, str, AclOperation]]) -> None:
    """Takes these rights from everybody. Where one is taken all others must be given in words."""
    admin = AdminClient({"bootstrap.servers": kafka})

    def rule(kind: ResourceType, name: str, what: AclOperation, verdict: AclPermissionType) -> AclBinding:
        return AclBinding(kind, name, ResourcePatternType.LITERAL, "User:ANONYMOUS", "*", what, verdict)

    allowed = {(kind, name) for kind, name, _ in forbidden}
    rules = [rule(*one, AclOperation.ALL, AclPermissionType.ALLOW) for one in allowed]
    rules += [rule(*one, AclPermissionType.DENY) for one in forbidden]
    for future in admin.create_acls(rules).values():
        future.result(10)
