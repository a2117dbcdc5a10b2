"""What an app, a service that was taken over and a stranger can do on a team's Apache Kafka.

Only where KAFKA_HOME names one: a cluster of its own is started, with TLS, passwords, an authorizer and the
ACLs that are made from `shared/flow.py`.
"""

from __future__ import annotations

import atexit
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from contextlib import ExitStack, suppress
from functools import cache
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from kafka import KafkaAdminClient
from kafka import TopicPartition as Partition
from kafka.errors import KafkaError

from shared.events import (
    EVENTS,
    Event,
    FeedbackGiven,
    ModelPromoted,
    PredictionCorrected,
    PredictionLogged,
    PredictionReported,
    ReviewGiven,
    RollbackRequested,
    WorkloadAdded,
)
from shared.flow import FLOW
from shared.kafka import Kafka, KafkaSecurity
from shared.kafka_acls import acls_of, acls_of_apps
from shared.topics import declare, topics_of
from tests.attacks.attack import Attack, attack
from tests.attacks.target import Target
from tests.servers.secured_kafka import SecuredKafka, outcomes, secured_kafka, security

TAKEN_OVER = "human_review"
READ_SECONDS = 5.0
ANSWER_SECONDS = 15.0
NODE = 1
OF_SERVICES = (PredictionLogged, FeedbackGiven, ReviewGiven, PredictionCorrected, WorkloadAdded)
Run = Callable[[SecuredKafka], str]


def on_cluster(run: Run) -> Attack | Run:
    """An attack where there is a Kafka to try it on."""

    def on_the_one(target: Target) -> str:
        return run(cluster())

    on_the_one.__name__, on_the_one.__doc__ = run.__name__, run.__doc__
    return attack(on_the_one) if os.environ.get("KAFKA_HOME") else run


@cache
def cluster() -> SecuredKafka:
    """Started once, with records on its topics; ended with this process."""
    stack = ExitStack()
    atexit.register(stack.close)
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="attacked-kafka-"))
    running = stack.enter_context(secured_kafka(Path(os.environ["KAFKA_HOME"]), Path(folder) / "kafka"))
    admin = running.seen_by("admin")
    declare(topics_of(EVENTS), admin, 1, 30)
    for service in FLOW:
        running.add_user(service, acls_of(service))
    running.add_user("app", acls_of_apps())
    assert not any(outcomes(admin, [kind.topic.name for kind in EVENTS]).values())
    return running


@on_cluster
def an_app_promotes_a_model(kafka: SecuredKafka) -> str:
    """A forged ModelPromoted: every gateway answers users by what it names."""
    return _written(kafka.seen_by("app"), [ModelPromoted])


@on_cluster
def an_app_speaks_for_a_service(kafka: SecuredKafka) -> str:
    """Predictions as the gateway's own, reviews nobody gave, a workload's definition."""
    return _written(kafka.seen_by("app"), OF_SERVICES)


@on_cluster
def an_app_plants_a_dead_letter(kafka: SecuredKafka) -> str:
    """An operator who replays it would publish it in a service's name."""
    return _taken(outcomes(kafka.seen_by("app"), [kind.topic.dead_letters for kind in EVENTS]))


@on_cluster
def an_app_reads_what_users_wrote(kafka: SecuredKafka) -> str:
    """Every text that users sent lies on Kafka for thirty days."""
    return _read(kafka.seen_by("app"), PredictionLogged, PredictionReported)


@on_cluster
def an_app_deletes_records(kafka: SecuredKafka) -> str:
    """Of the champions, so that a gateway that starts has none; of its own topic, before they are read."""
    kinds = (ModelPromoted, PredictionReported)
    return _deleted_records(kafka, "app", kinds)


@on_cluster
def an_app_deletes_topics(kafka: SecuredKafka) -> str:
    topics = [WorkloadAdded.topic.name, PredictionReported.topic.name]
    return _allowed(kafka.seen_by("app"), lambda admin: admin.delete_topics(topics))


@on_cluster
def an_app_lets_records_expire(kafka: SecuredKafka) -> str:
    """A retention of a millisecond deletes as well."""
    return _shortened(kafka.seen_by("app"))


@on_cluster
def an_app_moves_a_service_past_its_events(kafka: SecuredKafka) -> str:
    """It commits the end of a topic as the service's group, and what waits there is never handled."""
    place = TopicPartition(ReviewGiven.topic.name, 0, 1)
    wanted = [ConsumerGroupTopicPartitions("human_review", [place])]
    return _allowed(
        kafka.seen_by("app"),
        lambda admin: admin.alter_consumer_group_offsets(wanted, request_timeout=READ_SECONDS),
    )


@on_cluster
def an_app_takes_a_services_partitions(kafka: SecuredKafka) -> str:
    """It joins the service's group, is given a share of its events and handles none of them."""
    settings = {**kafka.seen_by("app").client("app"), "group.id": "human_review", "log_level": 0}
    consumer = Consumer(settings)
    given: list[TopicPartition] = []
    consumer.subscribe([ReviewGiven.topic.name], on_assign=lambda _, places: given.extend(places))
    try:
        _poll(consumer)
    finally:
        consumer.close()
    return f"it was given {len(given)} partitions" if given else ""


@on_cluster
def an_app_gives_itself_rights(kafka: SecuredKafka) -> str:
    everything = AclBinding(
        ResourceType.TOPIC, "*", ResourcePatternType.LITERAL, "User:app", "*", AclOperation.ALL,
        AclPermissionType.ALLOW,
    )  # fmt: skip
    return _allowed(kafka.seen_by("app"), lambda admin: admin.create_acls([everything]))


@on_cluster
def an_app_changes_a_services_password(kafka: SecuredKafka) -> str:
    info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
    wanted = UserScramCredentialUpsertion("shadow_deployment", info, b"known to the app")
    return _allowed(kafka.seen_by("app"), lambda admin: admin.alter_user_scram_credentials([wanted]))


@on_cluster
def a_service_that_was_taken_over_promotes_a_model(kafka: SecuredKafka) -> str:
    """Nobody but shadow_deployment says which model answers; not even who replays dead letters."""
    said = {
        service: _written(kafka.seen_by(service), [ModelPromoted])
        for service in FLOW
        if service != "shadow_deployment"
    }
    return "; ".join(f"{service}: {what}" for service, what in said.items() if what)


@on_cluster
def a_service_that_was_taken_over_speaks_for_another(kafka: SecuredKafka) -> str:
    others = (PredictionLogged, WorkloadAdded, RollbackRequested)
    return _written(kafka.seen_by(TAKEN_OVER), others)


@on_cluster
def a_service_that_was_taken_over_deletes_its_traces(kafka: SecuredKafka) -> str:
    """Records of what it wrote and read are kept whatever it wants."""
    kinds = (ReviewGiven, PredictionCorrected)
    return _deleted_records(kafka, TAKEN_OVER, kinds) or _shortened(kafka.seen_by(TAKEN_OVER))


@on_cluster
def a_stranger_without_a_password_is_let_in(kafka: SecuredKafka) -> str:
    """By TLS alone, by a wrong password, by a user that there is not, or in plain text."""
    address, ca = kafka.broker.address, str(kafka.ca)
    strangers = {
        "TLS alone": KafkaSecurity.model_construct(security_protocol="SSL", ssl_ca=ca),
        "a wrong password": security("app", kafka.ca, "guessed"),
        "no such user": security("nobody", kafka.ca, "guessed"),
        "plain text": KafkaSecurity.model_construct(),
    }
    return "; ".join(f"by {how}" for how, one in strangers.items() if _sees_topics(Kafka(address, one)))


@on_cluster
def a_broker_that_nobody_vouches_for_is_told_a_password(kafka: SecuredKafka) -> str:
    """An impostor on the way: our clients must hang up before they say who they are."""
    ours = security("app", kafka.ca).model_copy(update={"ssl_ca": ""})  # the system's authorities alone
    return "our client took it for the true one" if _sees_topics(Kafka(kafka.broker.address, ours)) else ""


def _admin(kafka: Kafka) -> AdminClient:
    return AdminClient({**kafka.client("attacker"), "log_level": 0})


def _written(kafka: Kafka, kinds: Iterable[type[Event]]) -> str:
    return _taken(outcomes(kafka, [kind.topic.name for kind in kinds]))


def _taken(said: Mapping[str, int | None]) -> str:
    """By topic what became of a record: no error is a success."""
    taken = [topic for topic, error in said.items() if error is None]
    return f"Kafka took a record of {', '.join(taken)}" if taken else ""


def _read(kafka: Kafka, *kinds: type[Event]) -> str:
    consumer = Consumer({**kafka.reader("attacker"), "log_level": 0})
    for_each = [(kind.topic.name, number) for kind in kinds for number in range(kind.topic.partitions)]
    consumer.assign([TopicPartition(*place, 0) for place in for_each])
    try:
        count = _poll(consumer)
    finally:
        consumer.close()
    return f"it read {count} records" if count else ""


def _poll(consumer: Consumer) -> int:
    """How many records come."""
    count, until = 0, time.monotonic() + READ_SECONDS
    while time.monotonic() < until:
        count += sum(message.error() is None for message in consumer.consume(100, 0.2))
    return count


def _deleted_records(kafka: SecuredKafka, user: str, kinds: Iterable[type[Event]]) -> str:
    """Asks the broker itself: a client that may not see who leads would not even ask."""
    before = {kind: _starts(kafka, kind) for kind in kinds}
    who = kafka.seen_by(user).security
    attacker = KafkaAdminClient(
        bootstrap_servers=kafka.broker.address,
        security_protocol=who.security_protocol,
        sasl_mechanism=who.sasl_mechanism,
        sasl_plain_username=who.sasl_username,
        sasl_plain_password=who.sasl_password,
        ssl_cafile=who.ssl_ca,
    )
    try:
        for kind in before:
            places = {Partition(kind.topic.name, number): -1 for number in range(kind.topic.partitions)}
            with suppress(KafkaError):
                attacker.delete_records(places, partition_leader_id=NODE)
    finally:
        attacker.close()
    gone = [kind.topic.name for kind, starts in before.items() if _starts(kafka, kind) != starts]
    return f"records of {', '.join(gone)} are gone" if gone else ""


def _starts(kafka: SecuredKafka, kind: type[Event]) -> list[int]:
    """Of each partition the oldest record's offset."""
    consumer = Consumer(kafka.seen_by("admin").reader("tests"))
    try:
        places = [TopicPartition(kind.topic.name, number) for number in range(kind.topic.partitions)]
        return [int(consumer.get_watermark_offsets(place, 10)[0]) for place in places]
    finally:
        consumer.close()


def _shortened(kafka: Kafka) -> str:
    shorter = [ConfigEntry("retention.ms", "1", incremental_operation=AlterConfigOpType.SET)]
    names = (ReviewGiven.topic.name, PredictionReported.topic.name)
    wanted = [ConfigResource(ResourceType.TOPIC, name, incremental_configs=shorter) for name in names]
    return _allowed(kafka, lambda admin: admin.incremental_alter_configs(wanted))


def _allowed(kafka: Kafka, ask: Callable[[AdminClient], Mapping[Any, Future[Any]]]) -> str:
    """What was not refused."""
    admin, done = _admin(kafka), []
    for what, answer in ask(admin).items():
        try:
            result = answer.result(ANSWER_SECONDS)
        except KafkaException:
            continue
        failed = [one.error for one in getattr(result, "topic_partitions", ()) if one.error is not None]
        if not failed:
            done.append(str(what))
    return f"it was done: {', '.join(done)}" if done else ""


def _sees_topics(kafka: Kafka) -> bool:
    try:
        return bool(_admin(kafka).list_topics(timeout=READ_SECONDS).topics)
    except KafkaException:
        return False
