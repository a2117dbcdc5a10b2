"""Committed offsets on the wire: where each group goes on reading. Its group decides who may commit."""

import time
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from kafka.protocol.consumer import OffsetCommitResponse, OffsetFetchResponse

from deploy.laptop.kafka.catalog import Catalog, Commit
from deploy.laptop.kafka.coordinator import Coordinator
from deploy.laptop.kafka.error_codes import ErrorCode
from deploy.laptop.kafka.topics import Topics
from deploy.laptop.kafka.wire import Call

MOST_METADATA_CHARACTERS = 4096  # Kafka's default (offset.metadata.max.bytes), counted as Kafka counts


@dataclass(frozen=True)
class Offsets:
    topics: Topics
    catalog: Catalog
    coordinator: Coordinator

    async def offset_commit(self, call: Call) -> Any:
        """All offsets of a request in one transaction; what is wrong with one of them is that one's error."""
        asked = call.body
        error = self.coordinator.group(asked.group_id).may_commit(
            asked.member_id, asked.group_instance_id, asked.generation_id_or_member_epoch, time.monotonic()
        )
        commits, topics = [], []
        for topic in asked.topics:
            partitions = []
            for each in topic.partitions:
                index = each.partition_index
                metadata = each.committed_metadata or ""
                own = error or self._refusal(topic.name, index, metadata)
                if not own:
                    commits.append(Commit(topic.name, index, each.committed_offset, metadata))
                partitions.append(
                    OffsetCommitResponse.OffsetCommitResponseTopic.OffsetCommitResponsePartition(
                        partition_index=index, error_code=own
                    )
                )
            topics.append(
                OffsetCommitResponse.OffsetCommitResponseTopic(name=topic.name, partitions=partitions)
            )
        self.catalog.commit(asked.group_id, commits)
        return OffsetCommitResponse(topics=topics)

    def _refusal(self, topic: str, partition: int, metadata: str) -> ErrorCode:
        if self.topics.log(topic, partition) is None:
            return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        is_too_large = len(metadata) > MOST_METADATA_CHARACTERS
        return ErrorCode.OFFSET_METADATA_TOO_LARGE if is_too_large else ErrorCode.NONE

    async def offset_fetch(self, call: Call) -> Any:
        """Asked without topics, all that the group has committed; -1 where it has not."""
        asked = call.body
        if call.version < 8:
            topics = None if asked.topics is None else _partitions_asked(asked.topics)
            return OffsetFetchResponse(
                error_code=ErrorCode.NONE,
                topics=self._committed(asked.group_id, topics, OffsetFetchResponse.OffsetFetchResponseTopic),
            )
        answer = OffsetFetchResponse.OffsetFetchResponseGroup
        return OffsetFetchResponse(
            groups=[
                answer(
                    group_id=each.group_id,
                    error_code=ErrorCode.NONE,
                    topics=self._committed(
                        each.group_id,
                        None if each.topics is None else _partitions_asked(each.topics),
                        answer.OffsetFetchResponseTopics,
                    ),
                )
                for each in asked.groups
            ]
        )

    def _committed(self, group_id: str, asked: dict[str, list[int]] | None, topic_answer: Any) -> list[Any]:
        """The answer has one class before version 8 and another since: `topic_answer` is either."""
        known = {(commit.topic, commit.partition): commit for commit in self.catalog.committed(group_id)}
        if asked is None:
            asked = defaultdict(list)
            for topic, partition in known:
                asked[topic].append(partition)
        partition_answer = getattr(topic_answer, "OffsetFetchResponsePartition", None) or (
            topic_answer.OffsetFetchResponsePartitions
        )
        nothing = Commit("", 0, -1, "")
        return [
            topic_answer(
                name=topic,
                partitions=[
                    partition_answer(
                        partition_index=partition,
                        committed_offset=known.get((topic, partition), nothing).next_offset,
                        committed_leader_epoch=-1,
                        metadata=known.get((topic, partition), nothing).metadata,
                        error_code=ErrorCode.NONE,
                    )
                    for partition in partitions
                ],
            )
            for topic, partitions in asked.items()
        ]


def _partitions_asked(topics: Any) -> dict[str, list[int]]:
    return {topic.name: list(topic.partition_indexes) for topic in topics}
