"""Administration on the wire: metadata, topics, partitions, settings, deletion of records."""

from dataclasses import dataclass
from typing import Any

from kafka.protocol.admin import (
    CreatePartitionsResponse,
    CreateTopicsResponse,
    DeleteRecordsResponse,
    DeleteTopicsResponse,
    DescribeClusterResponse,
    DescribeConfigsResponse,
    IncrementalAlterConfigsResponse,
)
from kafka.protocol.metadata import FindCoordinatorResponse, MetadataResponse

from deploy.laptop.kafka.error_codes import ErrorCode
from deploy.laptop.kafka.topic_config import DEFAULTS, InvalidConfig, TopicConfig
from deploy.laptop.kafka.topics import InvalidTopicName, Topic, Topics
from deploy.laptop.kafka.wire import Call

NODE_ID = 1
_TOPIC_RESOURCE = 2
_OWN_SETTING, _DEFAULT_SETTING = 1, 5
_STRING_SETTING = 2
_SET, _DELETE = 0, 1
_TRANSACTION_COORDINATOR = 1
Outcome = tuple[ErrorCode, str | None]
DONE: Outcome = (ErrorCode.NONE, None)


@dataclass(frozen=True)
class Admin:
    """`host` and `port` are what clients are told to connect to."""

    topics: Topics
    cluster_id: str
    host: str
    port: int

    async def metadata(self, call: Call) -> Any:
        """Topics that are asked for by name and do not exist are created with one partition, as in Kafka."""
        asked = call.body
        everything = asked.topics is None or (call.version == 0 and not asked.topics)
        names = [topic.row.name for topic in self.topics] if everything else [t.name for t in asked.topics]
        may_create = call.version < 4 or asked.allow_auto_topic_creation
        return MetadataResponse(
            brokers=[
                MetadataResponse.MetadataResponseBroker(
                    node_id=NODE_ID, host=self.host, port=self.port, rack=None
                )
            ],
            cluster_id=self.cluster_id,
            controller_id=NODE_ID,
            topics=[self._describe(name, may_create=may_create) for name in names],
        )

    def _describe(self, name: str, *, may_create: bool) -> Any:
        answer = MetadataResponse.MetadataResponseTopic
        topic, error = self.topics.get(name), ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        if topic is None and may_create:
            try:
                topic = self.topics.create(name, 1, {})
            except InvalidTopicName:
                error = ErrorCode.INVALID_TOPIC
        if topic is None:
            return answer(error_code=error, name=name, is_internal=False, partitions=[])
        return answer(
            error_code=ErrorCode.NONE,
            name=name,
            is_internal=False,
            partitions=[
                answer.MetadataResponsePartition(
                    error_code=ErrorCode.NONE,
                    partition_index=index,
                    leader_id=NODE_ID,
                    leader_epoch=0,
                    replica_nodes=[NODE_ID],
                    isr_nodes=[NODE_ID],
                    offline_replicas=[],
                )
                for index in range(topic.row.partitions)
            ],
        )

    async def describe_cluster(self, call: Call) -> Any:
        broker = DescribeClusterResponse.DescribeClusterBroker(
            broker_id=NODE_ID, host=self.host, port=self.port, rack=None
        )
        return DescribeClusterResponse(cluster_id=self.cluster_id, controller_id=NODE_ID, brokers=[broker])

    async def find_coordinator(self, call: Call) -> Any:
        """This broker for every group; for transactions an error that clients take as final."""
        error, message = DONE
        if call.body.key_type == _TRANSACTION_COORDINATOR:
            error = ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED
            message = "transactions are not offered by this broker"
        where = {
            "error_code": error, "error_message": message,
            "node_id": NODE_ID, "host": self.host, "port": self.port,
        }  # fmt: skip
        if call.version < 4:
            return FindCoordinatorResponse(**where)
        answer = FindCoordinatorResponse.Coordinator
        return FindCoordinatorResponse(
            coordinators=[answer(key=k, **where) for k in call.body.coordinator_keys]
        )

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

    async def describe_configs(self, call: Call) -> Any:
        return DescribeConfigsResponse(results=[self._settings(asked) for asked in call.body.resources])

    def _settings(self, asked: Any) -> Any:
        answer = DescribeConfigsResponse.DescribeConfigsResult
        topic = self.topics.get(asked.resource_name) if asked.resource_type == _TOPIC_RESOURCE else None
        if asked.resource_type == _TOPIC_RESOURCE and topic is None:
            error = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
            return answer(
                error_code=error, error_message=f"no topic {asked.resource_name}",
                resource_type=asked.resource_type, resource_name=asked.resource_name, configs=[],
            )  # fmt: skip
        own = topic.row.config if topic is not None else {}
        return answer(
            error_code=ErrorCode.NONE,
            error_message=None,
            resource_type=asked.resource_type,
            resource_name=asked.resource_name,
            configs=[
                answer.DescribeConfigsResourceResult(
                    name=name,
                    value=own.get(name, default),
                    read_only=False,
                    config_source=_OWN_SETTING if name in own else _DEFAULT_SETTING,
                    is_sensitive=False,
                    synonyms=[],
                    config_type=_STRING_SETTING,
                    documentation=None,
                )
                for name, default in DEFAULTS.items()
                if asked.configuration_keys is None or name in asked.configuration_keys
            ],
        )

    async def incremental_alter_configs(self, call: Call) -> Any:
        answers = []
        for asked in call.body.resources:
            error, message = self._alter(asked, validate_only=call.body.validate_only)
            answers.append(
                IncrementalAlterConfigsResponse.AlterConfigsResourceResponse(
                    error_code=error,
                    error_message=message,
                    resource_type=asked.resource_type,
                    resource_name=asked.resource_name,
                )
            )
        return IncrementalAlterConfigsResponse(responses=answers)

    def _alter(self, asked: Any, *, validate_only: bool) -> Outcome:
        if asked.resource_type != _TOPIC_RESOURCE:
            return ErrorCode.INVALID_REQUEST, "only settings of topics can be changed"
        topic = self.topics.get(asked.resource_name)
        if topic is None:
            return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"no topic {asked.resource_name}"
        config = dict(topic.row.config)
        for change in asked.configs:
            if change.config_operation == _SET:
                config[change.name] = change.value
            elif change.config_operation == _DELETE:
                config.pop(change.name, None)
            else:
                return ErrorCode.INVALID_CONFIG, "settings can be set and deleted; none of them is a list"
        try:
            TopicConfig.of(config)
        except InvalidConfig as problem:
            return ErrorCode.INVALID_CONFIG, str(problem)
        if not validate_only:
            self.topics.configure(topic, config)
        return DONE

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
            wanted = log.end if before == -1 else before
            if not 0 <= wanted <= log.end:
                error = ErrorCode.OFFSET_OUT_OF_RANGE
            else:
                error = ErrorCode.NONE
                self.topics.delete_records(topic, partition, max(wanted, log.start))
                first = log.start
        return DeleteRecordsResponse.DeleteRecordsTopicResult.DeleteRecordsPartitionResult(
            partition_index=partition, low_watermark=first, error_code=error
        )
