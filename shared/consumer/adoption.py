"""Version 0.1 had a consumer group for each topic, `service.topic`: we go on where those stopped."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from confluent_kafka import OFFSET_INVALID, ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from shared.kafka import Kafka

PATIENCE_SECONDS = 10

log = logging.getLogger(__name__)


def adopt_offsets(service: str, topics: Iterable[str], kafka: Kafka) -> None:
    """Gives the group `service` the offsets of the old groups, where it has none of its own. Blocks.

    Raises KafkaException when Kafka does not answer: begin then, and a month of events comes again.
    """
    admin = AdminClient(kafka.client("tuneloop-adoption"))
    listed = admin.list_consumer_groups(request_timeout=PATIENCE_SECONDS).result(PATIENCE_SECONDS)
    groups = {group.group_id for group in listed.valid}
    old = [f"{service}.{topic}" for topic in topics if f"{service}.{topic}" in groups]
    if not old:
        return
    own = _offsets(admin, service) if service in groups else {}
    adopted = {
        place: offset
        for group in old
        for place, offset in _offsets(admin, group).items()
        if place not in own and group == f"{service}.{place[0]}"
    }
    if not adopted:
        return
    wanted = [TopicPartition(topic, number, offset) for (topic, number), offset in adopted.items()]
    try:
        (future,) = admin.alter_consumer_group_offsets(
            [ConsumerGroupTopicPartitions(service, wanted)], request_timeout=PATIENCE_SECONDS
        ).values()
        for place in future.result(PATIENCE_SECONDS).topic_partitions:
            if place.error is not None:
                raise KafkaException(place.error)
    except KafkaException:
        if adopted.keys() <= _offsets(admin, service).keys():
            return  # another process of this service was quicker, and has begun already
        raise
    log.info("%s: goes on where the consumer groups of version 0.1 stopped: %s", service, ", ".join(old))


def _offsets(admin: AdminClient, group: str) -> dict[tuple[str, int], int]:
    (future,) = admin.list_consumer_group_offsets(
        [ConsumerGroupTopicPartitions(group)], request_timeout=PATIENCE_SECONDS
    ).values()
    return {
        (place.topic, place.partition): place.offset
        for place in future.result(PATIENCE_SECONDS).topic_partitions
        if place.offset is not None and place.offset not in (OFFSET_INVALID, -1)
    }
