"""Makes a cluster's topics what they must be: asks, decides, creates, alters. Calls block, and all end."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import contextmanager
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from shared.backoff import SaysSeldom
from shared.events.envelope import Topic
from shared.kafka import CannotUseKafka, Kafka
from shared.topics.away import why_away, why_not_reached
from shared.topics.cluster import Cluster, Existing
from shared.topics.commands import Refusal, alter, create
from shared.topics.plan import Plan, planned
from shared.topics.wanted import settings

BROKER_SECONDS = 3.0  # for one broker to say who there is
ADMIN_SECONDS = 10.0  # for the controller to create or alter
NOT_ALLOWED = (
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
)
NEVER = (
    *NOT_ALLOWED,
    KafkaError.POLICY_VIOLATION,
    KafkaError.INVALID_CONFIG,
    KafkaError.INVALID_REPLICATION_FACTOR,
    KafkaError.INVALID_PARTITIONS,
)
"""Errors that trying again does not mend."""

log = logging.getLogger(__name__)


class KafkaAway(TimeoutError):
    """Kafka does not answer for now. The message says why, and what to look at."""


def declare(topics: Iterable[Topic], kafka: Kafka, replication: int, patience_seconds: float) -> None:
    """Like `declare_now`; waits for a broker that is not there yet, as long as its patience lasts."""
    topics, said = list(topics), SaysSeldom()
    deadline = time.monotonic() + patience_seconds
    while True:
        try:
            declare_now(topics, kafka, replication)
        except KafkaAway as away:
            if time.monotonic() > deadline:
                raise
            if said.is_due(str(away), time.monotonic()):
                log.warning("waiting for Kafka: %s", away)
            time.sleep(1)
        else:
            return


def declare_now(topics: Iterable[Topic], kafka: Kafka, replication: int) -> None:
    """Creates the topics that are missing; checks the others, and alters what is safe to alter.

    `replication`: how many brokers keep each topic, 0 for as many as there are, three at most. Raises
    KafkaAway, and CannotUseKafka where somebody must change something first. Ends within half a minute.
    """
    _Declaring(kafka).declare(list(topics), replication)


class _Declaring:
    def __init__(self, kafka: Kafka) -> None:
        self._servers = kafka.servers
        self._reported: list[str] = []
        self._advertised: dict[int, str] = {}
        self._admin = AdminClient(
            {
                **kafka.client("tuneloop-topics"),
                "log_level": 0,
                "error_cb": lambda error: self._reported.append(error.str()),
                "socket.connection.setup.timeout.ms": int(BROKER_SECONDS * 1000),
            }
        )

    def declare(self, topics: Sequence[Topic], replication: int) -> None:
        plan = planned(topics, self._cluster(topics), replication, self._servers)
        if not plan.wait_for:
            self._create(plan)
        self._alter(plan)
        for remark in plan.remarks:
            log.warning("Kafka: %s", remark)
        if plan.refusals:
            raise CannotUseKafka(_said(plan.refusals))
        if plan.wait_for:
            raise KafkaAway(f"waiting for {plan.wait_for}")

    def _cluster(self, topics: Sequence[Topic]) -> Cluster:
        try:
            metadata = self._admin.list_topics(timeout=BROKER_SECONDS)
        except KafkaException:
            self._admin.poll(0)
            raise KafkaAway(why_away(self._servers, self._reported)) from None
        self._advertised = {one.id: f"{one.host}:{one.port}" for one in metadata.brokers.values()}
        there = [topic.name for topic in topics if topic.name in metadata.topics]
        found = self._settings(there)
        return Cluster(
            frozenset(metadata.brokers),
            {
                name: Existing([part.replicas for part in topic.partitions.values()], found.get(name))
                for name, topic in metadata.topics.items()
            },
        )

    def _settings(self, names: Sequence[str]) -> dict[str, Mapping[str, str]]:
        """Of each of these topics; of one that we may not read, nothing."""
        if not names:
            return {}
        resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
        found: dict[str, Mapping[str, str]] = {}
        for resource, future in self._admin.describe_configs(
            resources, request_timeout=ADMIN_SECONDS
        ).items():
            entries = self._answer(future, allowed=NOT_ALLOWED)
            if entries is not None:
                found[resource.name] = {name: str(entry.value) for name, entry in entries.items()}
        return found

    def _create(self, plan: Plan) -> None:
        if not plan.create:
            return
        wanted = {topic.name: topic for topic in plan.create}
        new = [
            NewTopic(topic.name, topic.partitions, plan.replication, config=settings(topic, plan.replication))
            for topic in plan.create
        ]
        created = self._admin.create_topics(
            new, operation_timeout=ADMIN_SECONDS, request_timeout=ADMIN_SECONDS
        )
        for name, future in created.items():
            command = create(
                self._servers, wanted[name], plan.replication, settings(wanted[name], plan.replication)
            )
            with _refusing(plan, f"{name} is missing and cannot be created", command):
                self._answer(future, allowed=(KafkaError.TOPIC_ALREADY_EXISTS,))  # another was quicker

    def _alter(self, plan: Plan) -> None:
        if not plan.alter:
            return
        resources = [
            ConfigResource(
                ResourceType.TOPIC,
                name,
                incremental_configs=[
                    ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET)
                    for key, value in changes.items()
                ],
            )
            for name, changes in plan.alter.items()
        ]
        altered = self._admin.incremental_alter_configs(resources, request_timeout=ADMIN_SECONDS)
        for resource, future in altered.items():
            changes = plan.alter[resource.name]
            said = ", ".join(f"{key}={value}" for key, value in changes.items())
            what = f"{resource.name} may lose records and cannot be altered (wanted: {said})"
            with _refusing(plan, what, alter(self._servers, resource.name, changes)):
                self._answer(future)
                log.warning("Kafka: %s is altered, so that it loses nothing: %s", resource.name, said)

    def _answer(self, future: Future[Any], allowed: Sequence[int] = ()) -> Any:
        """None for an allowed error. Raises KafkaException for one that never mends, else KafkaAway."""
        try:
            return future.result(ADMIN_SECONDS + 1)
        except KafkaException as failure:
            error = failure.args[0]
            if error.code() in allowed:
                return None
            if error.code() in NEVER:
                raise
            why = error.str()
        except FutureTimeout:
            why = "no answer in time"
        self._admin.poll(0)
        raise KafkaAway(f"{why_not_reached(self._servers, self._advertised, self._reported)} ({why})")


@contextmanager
def _refusing(plan: Plan, what: str, command: str) -> Iterator[None]:
    """An error that never mends becomes a refusal of the plan, so that all of them are said at once."""
    try:
        yield
    except KafkaException as failure:
        why = failure.args[0]
        said = "this client has no right to do it" if why.code() in NOT_ALLOWED else why.str()
        plan.refusals.append(Refusal(f"{what}: {said}.", command))


def _said(refusals: Sequence[Refusal]) -> str:
    lines = ["Kafka must be changed before this can run:"]
    for refusal in refusals:
        lines.append(f"- {refusal.what}")
        if refusal.command:
            lines.append(f"  {refusal.command}")
    return "\n".join(lines)
