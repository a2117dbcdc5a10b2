"""Who and where on the wire: this one node, its topics and partitions; it coordinates every group."""

from dataclasses import dataclass
from typing import Any

from kafka.protocol.admin import DescribeClusterResponse
from kafka.protocol.metadata import FindCoordinatorResponse, MetadataResponse

from deploy.laptop.kafka.error_codes import DONE, ErrorCode
from deploy.laptop.kafka.topics import InvalidTopicName, Topics
from deploy.laptop.kafka.wire import Call

NODE_ID = 1
_TRANSACTION_COORDINATOR = 1


@dataclass(frozen=True)
class Metadata:
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
