"""What must be changed by hand, and the command that does it, with the tools that come with Kafka; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shared.events.envelope import Topic
from shared.topics.cluster import Existing


@dataclass(frozen=True)
class Refusal:
    """What must be changed before anything may run."""

    what: str
    command: str = ""
    """One that changes it."""


def reassign(servers: str, name: str, existing: Existing, brokers: Sequence[int], replication: int) -> str:
    return (
        f"echo '{reassignment(name, existing, brokers, replication)}' > move.json && "
        f"kafka-reassign-partitions.sh --bootstrap-server {servers} --execute "
        "--reassignment-json-file move.json"
    )


def reassignment(name: str, existing: Existing, brokers: Sequence[int], replication: int) -> str:
    """What kafka-reassign-partitions.sh reads: each partition stays where it is, and goes on others too."""
    parts = []
    for number, now in enumerate(existing.replicas):
        others = [broker for broker in brokers if broker not in now]
        turned = others[number % len(others) :] + others[: number % len(others)] if others else []
        replicas = ",".join(map(str, [*now, *turned][:replication]))
        parts.append(f'{{"topic":"{name}","partition":{number},"replicas":[{replicas}]}}')
    return f'{{"version":1,"partitions":[{",".join(parts)}]}}'


def alter(servers: str, name: str, changes: Mapping[str, str]) -> str:
    said = ",".join(f"{key}={value}" for key, value in changes.items())
    return (
        f"kafka-configs.sh --bootstrap-server {servers} --alter --entity-type topics --entity-name {name} "
        f"--add-config {said}"
    )


def create(servers: str, topic: Topic, replication: int, settings: Mapping[str, str]) -> str:
    said = " ".join(f"--config {key}={value}" for key, value in settings.items())
    return (
        f"kafka-topics.sh --bootstrap-server {servers} --create --topic {topic.name} "
        f"--partitions {topic.partitions} --replication-factor {replication} {said}"
    )


def add_partitions(servers: str, topic: Topic) -> str:
    return (
        f"kafka-topics.sh --bootstrap-server {servers} --alter --topic {topic.name} "
        f"--partitions {topic.partitions}"
    )
