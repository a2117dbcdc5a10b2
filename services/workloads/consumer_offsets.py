"""Asks Kafka how far the services are: their groups' offsets, and the ends. Calls block, and all end."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from services.workloads.consumer_lag import Committed, Place, Span, TopicLag, lag_of
from services.workloads.kafka_silent import KafkaSilent
from shared.consumer.waiting import note_beside
from shared.kafka import Kafka

ANSWER_SECONDS = 5.0
AGES_SECONDS = 3.0


class ConsumerOffsets:
    """Of the services that consume as a group which has their name."""

    def __init__(self, topics_of: Mapping[str, Sequence[str]], kafka: Kafka) -> None:
        """`topics_of`: each service's topics, those excepted that every process reads for itself."""
        self._topics_of, self._kafka = topics_of, kafka
        self._admin: AdminClient | None = None

    def lag(self) -> list[TopicLag]:
        """Of every service on every topic of its. Raises KafkaSilent."""
        if self._admin is None:
            self._admin = AdminClient({**self._kafka.client("tuneloop-lag"), "log_level": 0})
        try:
            spans = self._spans(self._admin)
            return [
                lag
                for service, topics in self._topics_of.items()
                for lag in lag_of(service, topics, self._committed(self._admin, service), spans)
            ]
        except KafkaException as failure:
            raise KafkaSilent(failure.args[0].str()) from failure
        except FutureTimeout:
            raise KafkaSilent(f"no answer within {ANSWER_SECONDS:.0f} s") from None

    def oldest(self, places: Iterable[tuple[str, int, int]]) -> dict[tuple[str, int, int], float]:
        """When the records at these places were appended, in Unix seconds: of as many as answer in time."""
        waiting = {(topic, number): offset for topic, number, offset in places}
        if not waiting:
            return {}
        found: dict[tuple[str, int, int], float] = {}
        consumer = Consumer(
            {
                **self._kafka.reader("tuneloop-lag"),
                "auto.offset.reset": "earliest",
                "fetch.message.max.bytes": 1024,  # one record of each is enough: the first always comes whole
                "log_level": 0,
            }
        )
        try:
            consumer.assign([TopicPartition(*place, offset) for place, offset in waiting.items()])
            deadline = time.monotonic() + AGES_SECONDS
            while waiting and time.monotonic() < deadline:
                for message in consumer.consume(100, 0.2):
                    place: Place = (str(message.topic()), int(message.partition() or 0))
                    if message.error() is None and place in waiting:
                        found[*place, waiting.pop(place)] = message.timestamp()[1] / 1000
                        consumer.pause([TopicPartition(*place)])
        except KafkaException:
            pass  # an age is worth nobody's waiting: it is left out
        finally:
            consumer.close()
        return found

    def _committed(self, admin: AdminClient, group: str) -> dict[Place, Committed]:
        (future,) = admin.list_consumer_group_offsets(
            [ConsumerGroupTopicPartitions(group)], request_timeout=ANSWER_SECONDS
        ).values()
        return {
            (one.topic, one.partition): Committed(one.offset, note_beside(one))
            for one in future.result(ANSWER_SECONDS + 1).topic_partitions
            if one.error is None
        }

    def _spans(self, admin: AdminClient) -> dict[Place, Span]:
        wanted = {topic for topics in self._topics_of.values() for topic in topics}
        known = admin.list_topics(timeout=ANSWER_SECONDS).topics
        places = [
            TopicPartition(topic, number)
            for topic in sorted(wanted & known.keys())
            for number in known[topic].partitions
        ]
        starts, ends = (
            self._offsets(admin, places, spec) for spec in (OffsetSpec.earliest(), OffsetSpec.latest())
        )
        return {place: Span(starts[place], end) for place, end in ends.items()}

    def _offsets(
        self, admin: AdminClient, places: Sequence[TopicPartition], spec: OffsetSpec
    ) -> dict[Place, int]:
        if not places:
            return {}
        asked: Mapping[TopicPartition, Future[Any]] = admin.list_offsets(
            dict.fromkeys(places, spec), request_timeout=ANSWER_SECONDS
        )
        return {
            (place.topic, place.partition): future.result(ANSWER_SECONDS + 1).offset
            for place, future in asked.items()
        }
