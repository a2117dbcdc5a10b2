"""What is done about a cluster's topics, decided from facts alone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import pytest

from shared.events.envelope import Topic
from shared.topics.away import why_away, why_not_reached
from shared.topics.cluster import Cluster, Existing
from shared.topics.commands import reassignment
from shared.topics.plan import Plan, planned
from shared.topics.wanted import retention_ms, settings

STATE = Topic("model-promoted-v1", key="workload", partitions=1, retention=None)
EVENTS = Topic("prediction-logged-v1", key="prediction_id", partitions=2)
MONTH = timedelta(days=30) // timedelta(milliseconds=1)


def cluster(brokers: int, **topics: Existing) -> Cluster:
    return Cluster(
        frozenset(range(1, brokers + 1)), {name.replace("_", "-"): of for name, of in topics.items()}
    )


def existing(
    topic: Topic, replicas: int = 3, partitions: int | None = None, has: Mapping[str, str] | None = None
) -> Existing:
    """As it would have been created, but for what is said."""
    placed = [list(range(1, replicas + 1))] * (topic.partitions if partitions is None else partitions)
    return Existing(placed, settings(topic, replicas) | dict(has or {}))


def plan(topic: Topic, found: Existing, brokers: int = 3, asked: int = 0) -> Plan:
    return planned([topic], Cluster(frozenset(range(1, brokers + 1)), {topic.name: found}), asked, "k:9092")


@pytest.mark.parametrize(
    ("brokers", "replication", "insync"), [(1, 1, "1"), (2, 2, "1"), (3, 3, "2"), (9, 3, "2")]
)
def test_a_new_topic_is_kept_on_as_many_brokers_as_there_are_three_at_most(
    brokers: int, replication: int, insync: str
) -> None:
    made = planned([STATE], cluster(brokers), 0, "k:9092")
    assert (made.create, made.replication) == ([STATE], replication)
    assert settings(STATE, made.replication)["min.insync.replicas"] == insync
    assert bool(made.remarks) == (brokers < 3)


def test_state_is_kept_for_ever_and_the_rest_for_its_retention() -> None:
    assert settings(STATE, 3)["retention.ms"] == "-1"
    assert settings(EVENTS, 3)["retention.ms"] == str(MONTH) == str(retention_ms(EVENTS))


def test_what_is_asked_for_goes_before_what_the_cluster_has() -> None:
    assert planned([STATE], cluster(5), 1, "k:9092").replication == 1


def test_more_replicas_than_brokers_are_refused_by_the_settings_name() -> None:
    (refusal,) = planned([STATE], cluster(1), 3, "k:9092").refusals
    assert "KAFKA_REPLICATION=3 asks for 3 brokers, and this cluster has 1" in refusal.what


def test_while_a_broker_is_away_no_topic_is_made_with_fewer_replicas_for_ever() -> None:
    two_of_three = Cluster(frozenset({1, 2}), {"other": Existing([[1, 2, 3]])})
    made = planned([STATE], two_of_three, 0, "k:9092")
    assert made.replication == 3
    assert made.wait_for.startswith("broker 3, which is away")


def test_a_topic_that_is_as_it_should_be_is_left_alone() -> None:
    for topic in (STATE, EVENTS):
        made = plan(topic, existing(topic))
        assert (made.create, made.alter, made.refusals, made.remarks) == ([], {}, [], [])


@pytest.mark.parametrize(
    ("topic", "has", "change"),
    [
        (STATE, {"retention.ms": "604800000"}, {"retention.ms": "-1"}),
        (STATE, {"retention.bytes": "1000"}, {"retention.bytes": "-1"}),
        (STATE, {"cleanup.policy": "compact"}, {"cleanup.policy": "delete"}),
        (STATE, {"cleanup.policy": "compact,delete"}, {"cleanup.policy": "delete"}),
        (EVENTS, {"retention.ms": "604800000"}, {"retention.ms": str(MONTH)}),
        (EVENTS, {"message.timestamp.type": "CreateTime"}, {"message.timestamp.type": "LogAppendTime"}),
        (EVENTS, {"min.insync.replicas": "1"}, {"min.insync.replicas": "2"}),
        (EVENTS, {"max.message.bytes": "65536"}, {"max.message.bytes": "1048588"}),
        (EVENTS, {"unclean.leader.election.enable": "true"}, {"unclean.leader.election.enable": "false"}),
    ],
)
def test_what_keeps_more_is_altered(topic: Topic, has: dict[str, str], change: dict[str, str]) -> None:
    made = plan(topic, existing(topic, has=has))
    assert (made.alter, made.refusals) == ({topic.name: change}, [])


@pytest.mark.parametrize(
    ("topic", "has"),
    [
        (EVENTS, {"retention.ms": "-1"}),
        (EVENTS, {"retention.ms": str(2 * MONTH)}),
        (EVENTS, {"min.insync.replicas": "3"}),
        (EVENTS, {"max.message.bytes": "10485760"}),
    ],
)
def test_what_keeps_more_already_is_left(topic: Topic, has: dict[str, str]) -> None:
    assert plan(topic, existing(topic, has=has)).alter == {}


def test_compacted_events_are_refused_for_the_change_would_delete_old_ones() -> None:
    (refusal,) = plan(EVENTS, existing(EVENTS, has={"cleanup.policy": "compact"})).refusals
    assert "compacted" in refusal.what
    assert refusal.command == (
        "kafka-configs.sh --bootstrap-server k:9092 --alter --entity-type topics "
        "--entity-name prediction-logged-v1 --add-config cleanup.policy=delete"
    )


def test_a_topic_on_one_broker_of_three_is_refused_with_the_move_and_the_way_to_accept_it() -> None:
    (refusal,) = plan(EVENTS, existing(EVENTS, replicas=1)).refusals
    assert "kept on 1 of 3 brokers" in refusal.what
    assert "KAFKA_REPLICATION=1" in refusal.what
    assert '"replicas":[1,2,3]' in refusal.command
    assert '"replicas":[1,3,2]' in refusal.command
    assert plan(EVENTS, existing(EVENTS, replicas=1), asked=1).refusals == []


def test_a_move_never_names_a_broker_twice_and_keeps_where_it_is() -> None:
    made = reassignment("t", Existing([[2], [3, 1]]), [1, 2, 3], 3)
    assert '"partition":0,"replicas":[2,1,3]' in made
    assert '"partition":1,"replicas":[3,1,2]' in made


def test_a_topic_that_nobody_can_write_to_is_refused() -> None:
    (refusal,) = plan(
        EVENTS, existing(EVENTS, replicas=1, has={"min.insync.replicas": "2"}), brokers=1
    ).refusals
    assert "min.insync.replicas=2" in refusal.what
    assert "--add-config min.insync.replicas=1" in refusal.command


def test_fewer_partitions_lose_nothing_and_are_only_said() -> None:
    made = plan(EVENTS, existing(EVENTS, partitions=1))
    assert made.refusals == []
    assert "--partitions 2" in made.remarks[0]
    assert plan(EVENTS, existing(EVENTS, partitions=12)).remarks == []


def test_a_limit_in_bytes_is_the_operators_and_said() -> None:
    made = plan(EVENTS, existing(EVENTS, has={"retention.bytes": "1000000"}))
    assert made.alter == {}
    assert "retention.bytes=1000000" in made.remarks[0]


def test_settings_that_may_not_be_read_are_no_reason_to_stop() -> None:
    made = plan(EVENTS, Existing([[1, 2, 3]] * 2, None))
    assert (made.alter, made.refusals) == ({}, [])
    assert "right to read" in made.remarks[0]


def test_why_kafka_is_away_names_the_cause_once() -> None:
    refused = (
        "a:1/bootstrap: Connect to ipv4#127.0.0.1:1 failed: Connection refused (after 0ms in state CONNECT)"
    )
    said = why_away("a:1", [refused, "1/1 brokers are down", refused])
    assert said.count("Connection refused") == 1
    assert "brokers are down" not in said
    unresolved = (
        "a:1/bootstrap: Failed to resolve 'a:1': Name or service not known (after 1ms in state CONNECT)"
    )
    assert "DNS" in why_away("a:1", [unresolved])


def test_a_listener_that_is_advertised_wrongly_is_named() -> None:
    said = why_not_reached("kafka:9092", {1: "localhost:9092"}, ["localhost:9092/1: Connect failed: refused"])
    assert "sends its clients on to localhost:9092" in said
    assert "advertised.listeners" in said
    assert "overloaded" in why_not_reached("kafka:9092", {1: "kafka:9092"}, [])


def test_it_is_named_too_where_the_metadata_themselves_were_asked_of_it() -> None:
    elsewhere = "127.0.0.1:9/1: Connect to ipv4#127.0.0.1:9 failed: Connection refused"
    said = why_away("127.0.0.1:9092", [elsewhere])
    assert "sends its clients on to 127.0.0.1:9" in said
    itself = "127.0.0.1:9092/1: Connect to ipv4#127.0.0.1:9092 failed: Connection refused"
    assert "Is it running?" in why_away("127.0.0.1:9092", [itself])
