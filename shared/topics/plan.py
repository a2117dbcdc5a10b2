"""From a cluster and the topics that must be in it: what to create, alter, refuse and remark; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from shared.events.envelope import Topic
from shared.topics.cluster import Cluster, Existing
from shared.topics.commands import Refusal, add_partitions, alter, reassign
from shared.topics.wanted import MOST_MESSAGE_BYTES, MOST_REPLICAS, min_insync, retention_ms


@dataclass
class Plan:
    replication: int
    create: list[Topic] = field(default_factory=list)
    alter: dict[str, dict[str, str]] = field(default_factory=dict)
    """By topic; each of these changes keeps more than before."""
    refusals: list[Refusal] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    wait_for: str = ""
    """Not empty: what must be there before missing topics can be created as they should be."""


def planned(topics: Iterable[Topic], cluster: Cluster, asked: int, servers: str) -> Plan:
    """`asked`: how many brokers keep each topic, 0 for as many as there are, three at most."""
    plan = Plan(asked or min(MOST_REPLICAS, len(cluster.known_brokers)))
    if plan.replication > len(cluster.known_brokers):
        plan.refusals.append(_too_few_brokers(plan.replication, len(cluster.brokers)))
        return plan
    for topic in topics:
        existing = cluster.topics.get(topic.name)
        if existing is None:
            plan.create.append(topic)
        else:
            _check(plan, topic, existing, cluster, servers)
    away = cluster.known_brokers - cluster.brokers
    if plan.create and plan.replication > len(cluster.brokers):
        names = ", ".join(map(str, sorted(away)))
        plan.wait_for = (
            f"broker {names}, which is away: new topics are to be kept on {plan.replication} brokers "
            f"(KAFKA_REPLICATION), and {len(cluster.brokers)} run"
        )
    if plan.create and plan.replication < MOST_REPLICAS:
        plan.remarks.append(_kept_on_few(plan.replication))
    return plan


def _too_few_brokers(asked: int, brokers: int) -> Refusal:
    return Refusal(
        f"KAFKA_REPLICATION={asked} asks for {asked} brokers, and this cluster has {brokers}. Set it to "
        f"{brokers} or less, or to 0 for as many as there are, or add brokers."
    )


def _kept_on_few(replication: int) -> str:
    if replication == 1:
        return (
            "topics are kept on one broker alone: what its disk loses is lost. A cluster of 3 keeps them safe"
        )
    return (
        "topics are kept on 2 brokers and acknowledged by one: a failure of both at once may lose records. "
        "A cluster of 3 keeps them safe"
    )


def _check(plan: Plan, topic: Topic, existing: Existing, cluster: Cluster, servers: str) -> None:
    replicas = existing.fewest_replicas
    if replicas < plan.replication:
        plan.refusals.append(_too_few_replicas(topic.name, existing, cluster, plan.replication, servers))
    if len(existing.replicas) < topic.partitions:
        plan.remarks.append(
            f"{topic.name} has {len(existing.replicas)} partitions instead of {topic.partitions}: nothing is "
            "lost by it, but fewer processes share the work. "
            f"{add_partitions(servers, topic)}"
        )
    if existing.settings is None:
        plan.remarks.append(
            f"{topic.name}: its settings cannot be checked, for want of the right to read them"
        )
        return
    changes = _changes(topic, existing.settings, replicas)
    if changes:
        plan.alter[topic.name] = changes
    plan.refusals += _refusals(topic, existing.settings, replicas, servers)
    plan.remarks += _remarks(topic, existing.settings)


def _changes(topic: Topic, has: Mapping[str, str], replicas: int) -> dict[str, str]:
    """What is safe to change: afterwards more is kept than before, never less."""
    changes = {}
    wanted_ms, has_ms = retention_ms(topic), int(has.get("retention.ms", -1))
    if has_ms != -1 and (wanted_ms == -1 or has_ms < wanted_ms):
        changes["retention.ms"] = str(wanted_ms)
    if topic.retention is None:
        if has.get("retention.bytes", "-1") != "-1":
            changes["retention.bytes"] = "-1"
        if has.get("cleanup.policy", "delete") != "delete":
            changes["cleanup.policy"] = "delete"  # without a retention this deletes nothing
    if has.get("message.timestamp.type", "LogAppendTime") != "LogAppendTime":
        changes["message.timestamp.type"] = "LogAppendTime"
    if int(has.get("min.insync.replicas", 1)) < min_insync(replicas):
        changes["min.insync.replicas"] = str(min_insync(replicas))
    if int(has.get("max.message.bytes", MOST_MESSAGE_BYTES)) < MOST_MESSAGE_BYTES:
        changes["max.message.bytes"] = str(MOST_MESSAGE_BYTES)
    if has.get("unclean.leader.election.enable", "false") != "false":
        changes["unclean.leader.election.enable"] = "false"
    return changes


def _refusals(topic: Topic, has: Mapping[str, str], replicas: int, servers: str) -> list[Refusal]:
    refusals = []
    if topic.retention is not None and "compact" in has.get("cleanup.policy", ""):
        refusals.append(
            Refusal(
                f"{topic.name} is compacted (cleanup.policy={has['cleanup.policy']}): of several records of "
                "one key all but the last are lost.",
                alter(servers, topic.name, {"cleanup.policy": "delete"}),
            )
        )
    if (insync := int(has.get("min.insync.replicas", 1))) > replicas:
        refusals.append(
            Refusal(
                f"Nothing can be written to {topic.name}: min.insync.replicas={insync} replicas must have "
                f"each record, and it has {replicas}.",
                alter(servers, topic.name, {"min.insync.replicas": str(min_insync(replicas))}),
            )
        )
    return refusals


def _remarks(topic: Topic, has: Mapping[str, str]) -> list[str]:
    if topic.retention is not None and (most := has.get("retention.bytes", "-1")) != "-1":
        days = topic.retention.days
        return [
            f"{topic.name}: retention.bytes={most} may delete records before their {days} days are over, and "
            "before they are consumed if a service is away for long"
        ]
    return []


def _too_few_replicas(
    name: str, existing: Existing, cluster: Cluster, replication: int, servers: str
) -> Refusal:
    has = existing.fewest_replicas
    return Refusal(
        f"{name} is kept on {has} of {len(cluster.known_brokers)} brokers: a lost disk loses its records. "
        f"Put it on {replication}, or set KAFKA_REPLICATION={has} to accept it.",
        reassign(servers, name, existing, sorted(cluster.brokers), replication),
    )
