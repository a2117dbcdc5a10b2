"""Administration on the wire: topics and partitions made, deleted, grown; records deleted."""

from dataclasses import dataclass
from typing import Any

from kafka.protocol.admin import (
    CreatePartitionsResponse,
    CreateTopicsResponse,
    DeleteRecordsResponse,
    DeleteTopicsResponse,
)

from deploy.laptop.kafka.error_codes import DONE, ErrorCode, Outcome
from deploy.laptop.kafka.topic_config import InvalidConfig, TopicConfig
from deploy.laptop.kafka.topics import InvalidTopicName, Topic, Topics
from deploy.laptop.kafka.wire import Call


@dataclass(frozen=True)
class Admin:
    topics: Topics

    async def create_topics(self, call: Call) -> Any:
        answers = []
        for asked in call.body.topics:
            partitions = len(asked.assignments) or (1 if asked.num_partitions == -1 else asked.num_partitions)
            error, message = self._create(asked, partitions, validate_only=call.body.validate_only)
            answers.append(
                CreateTopicsResponse.CreatableTopicResult(
                    name=asked.name,
                    error_code=error,
                    error_message=message,
                    topic_config_error_code=ErrorCode.NONE,
                    num_partitions=partitions,
                    replication_factor=1,
                    configs=[],
                )
            )
        return CreateTopicsResponse(topics=answers)

    def _create(self, asked: Any, partitions: int, *, validate_only: bool) -> Outcome:
        config = {each.name: each.value for each in asked.configs}
        if self.topics.get(asked.name) is not None:
            return ErrorCode.TOPIC_ALREADY_EXISTS, f"Topic '{asked.name}' already exists."
        if partitions < 1:
            return ErrorCode.INVALID_PARTITIONS, f"{partitions} partitions: at least one is needed"
        if asked.replication_factor not in (-1, 1) and not asked.assignments:
            return ErrorCode.INVALID_REPLICATION_FACTOR, "one broker can keep one replica"
        try:
            self.topics.check_name(asked.name)
            TopicConfig.of(config)
        except InvalidTopicName as problem:
            return ErrorCode.INVALID_TOPIC, str(problem)
        except InvalidConfig as problem:
            return ErrorCode.INVALID_CONFIG, str(problem)
        if not validate_only:
            self.topics.create(asked.name, partitions, config)
        return DONE

    async def delete_topics(self, call: Call) -> Any:
        answers = []
        for name in call.body.topic_names:
            topic, error = self.topics.get(name), ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
            if topic is not None:
                self.topics.delete(topic)
                error = ErrorCode.NONE
            answers.append(DeleteTopicsResponse.DeletableTopicResult(name=name, error_code=error))
        return DeleteTopicsResponse(responses=answers)

    async def create_partitions(self, call: Call) -> Any:
        answers = []
        for asked in call.body.topics:
            topic = self.topics.get(asked.name)
            error, message = DONE
            if topic is None:
                error = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
            elif asked.count <= topic.row.partitions:
                error = ErrorCode.INVALID_PARTITIONS
                message = f"it has {topic.row.partitions} partitions: they can only become more"
            elif not call.body.validate_only:
                self.topics.grow(topic, asked.count)
            answers.append(
                CreatePartitionsResponse.CreatePartitionsTopicResult(
                    name=asked.name, error_code=error, error_message=message
                )
            )
        return CreatePartitionsResponse(results=answers)

    async def delete_records(self, call: Call) -> Any:
        topic_answer = DeleteRecordsResponse.DeleteRecordsTopicResult
        return DeleteRecordsResponse(
            topics=[
                topic_answer(
                    name=asked.name,
                    partitions=[
                        self._delete_records(self.topics.get(asked.name), each.partition_index, each.offset)
                        for each in asked.partitions
                    ],
                )
                for asked in call.body.topics
            ]
        )

    def _delete_records(self, topic: Topic | None, partition: int, before: int) -> Any:
        """`before` -1 means all; answers with the offset that is the first one now."""
        error, first = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, -1
        if topic is not None and 0 <= partition < len(topic.logs):
            log = topic.logs[partition]
            wanted = log.high_watermark if before == -1 else before
            if not 0 <= wanted <= log.high_watermark:
                error = ErrorCode.OFFSET_OUT_OF_RANGE
            else:
                error = ErrorCode.NONE
                self.topics.delete_records(topic, partition, max(wanted, log.start))
                first = log.start
        return DeleteRecordsResponse.DeleteRecordsTopicResult.DeleteRecordsPartitionResult(
            partition_index=partition, low_watermark=first, error_code=error
        )
