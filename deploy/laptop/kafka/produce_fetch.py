"""Records in and out: Produce, Fetch, ListOffsets, InitProducerId."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from kafka.protocol.consumer import FetchResponse, ListOffsetsResponse
from kafka.protocol.producer import InitProducerIdResponse, ProduceResponse

from deploy.laptop.kafka.batch import InvalidBatch
from deploy.laptop.kafka.catalog import Catalog
from deploy.laptop.kafka.error_codes import ErrorCode
from deploy.laptop.kafka.group_commit import GroupCommit
from deploy.laptop.kafka.log import NotOffered, OffsetOutOfRange, PartitionLog, TooLarge
from deploy.laptop.kafka.sequences import OutOfOrder, Placed, StaleEpoch
from deploy.laptop.kafka.topics import Topics
from deploy.laptop.kafka.wire import Call

logger = logging.getLogger(__name__)

LATEST, EARLIEST, LARGEST_TIMESTAMP = -1, -2, -3
_REFUSALS = {
    InvalidBatch: ErrorCode.CORRUPT_MESSAGE,
    NotOffered: ErrorCode.INVALID_RECORD,
    TooLarge: ErrorCode.MESSAGE_TOO_LARGE,
    OutOfOrder: ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER,
    StaleEpoch: ErrorCode.INVALID_PRODUCER_EPOCH,
    OSError: ErrorCode.KAFKA_STORAGE_ERROR,
}


@dataclass(frozen=True)
class ProduceFetch:
    topics: Topics
    catalog: Catalog
    group_commit: GroupCommit | None = None
    """Given if a batch is acknowledged only when it is synced."""

    async def produce(self, call: Call) -> Any:
        """None with acks=0: the protocol wants no answer then."""
        topic_answer = ProduceResponse.TopicProduceResponse
        answers = [
            topic_answer(
                name=topic.name,
                partition_responses=[
                    self._append(topic.name, each.index, each.records) for each in topic.partition_data
                ],
            )
            for topic in call.body.topic_data
        ]
        if self.group_commit is not None:
            await self._await_disk(answers, self.group_commit)
        return ProduceResponse(responses=answers) if call.body.acks != 0 else None

    async def _await_disk(self, answers: Iterable[Any], group_commit: GroupCommit) -> None:
        """What was appended, or was there already, is acknowledged when it is synced."""
        kept = [
            (self.topics.log(topic.name, each.index), each)
            for topic in answers
            for each in topic.partition_responses
            if each.error_code == ErrorCode.NONE
        ]
        try:
            await group_commit.synced(log for log, _ in kept if log is not None)
        except OSError as problem:
            for _, each in kept:
                each.error_code, each.base_offset = ErrorCode.KAFKA_STORAGE_ERROR, -1
                each.error_message = str(problem)

    def _append(self, topic: str, partition: int, records: bytes | None) -> Any:
        log = self.topics.log(topic, partition)
        error, reason, placed = ErrorCode.NONE, None, Placed(-1, -1)
        if log is None:
            error = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        else:
            try:
                placed = log.append(records or b"")
            except tuple(_REFUSALS) as refusal:
                error = next(code for kind, code in _REFUSALS.items() if isinstance(refusal, kind))
                reason = str(refusal)
                logger.warning("%s-%d: %s: %s", topic, partition, error.name, reason)
        return ProduceResponse.TopicProduceResponse.PartitionProduceResponse(
            index=partition,
            error_code=error,
            base_offset=placed.base_offset,
            log_append_time_ms=placed.append_time_ms,
            log_start_offset=log.start if log else -1,
            record_errors=[],
            error_message=reason,
        )

    async def fetch(self, call: Call) -> Any:
        """Answers when `min_bytes` are there, something is wrong, or the client's time is up."""
        asked = call.body
        if asked.session_id and asked.session_epoch > 0:
            return FetchResponse(error_code=ErrorCode.FETCH_SESSION_ID_NOT_FOUND, responses=[])
        until = time.monotonic() + asked.max_wait_ms / 1000
        logs = [self.topics.log(topic.topic, p.partition) for topic in asked.topics for p in topic.partitions]
        arrived = asyncio.Event()
        with _watching([log for log in logs if log is not None], arrived):
            while True:
                arrived.clear()
                if self._wants_cold(asked):
                    answer, size, is_final = await asyncio.to_thread(self._read, asked)
                else:
                    answer, size, is_final = self._read(asked)
                left = until - time.monotonic()
                if is_final or size >= asked.min_bytes or left <= 0:
                    return answer
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(arrived.wait(), left)

    def _wants_cold(self, asked: Any) -> bool:
        """Does it need records that the disk may have to fetch? Others must not wait for that."""
        logs = (
            (self.topics.log(topic.topic, p.partition), p) for topic in asked.topics for p in topic.partitions
        )
        return any(log is not None and log.is_cold(p.fetch_offset) for log, p in logs)

    def _read(self, asked: Any) -> tuple[Any, int, bool]:
        """(answer, bytes of records in it, whether waiting for more is no use)."""
        size, is_final, topics = 0, False, []
        for topic in asked.topics:
            partitions = []
            for each in topic.partitions:
                room = min(each.partition_max_bytes, asked.max_bytes - size)
                part = self._read_partition(topic.topic, each, room, is_first=size == 0)
                size += len(part.records)
                is_final = is_final or part.error_code != ErrorCode.NONE
                partitions.append(part)
            topics.append(FetchResponse.FetchableTopicResponse(topic=topic.topic, partitions=partitions))
        return FetchResponse(error_code=ErrorCode.NONE, session_id=0, responses=topics), size, is_final

    def _read_partition(self, topic: str, asked: Any, room: int, *, is_first: bool) -> Any:
        answer = FetchResponse.FetchableTopicResponse.PartitionData
        log = self.topics.log(topic, asked.partition)
        if log is None:
            error = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
            return answer(
                partition_index=asked.partition, error_code=error, high_watermark=-1,
                aborted_transactions=None, preferred_read_replica=-1, records=b"",
            )  # fmt: skip
        error, records = ErrorCode.NONE, b""
        try:
            records = log.read(asked.fetch_offset, room, first_whole=is_first)
        except OffsetOutOfRange:
            error = ErrorCode.OFFSET_OUT_OF_RANGE
        except OSError as problem:
            error = ErrorCode.KAFKA_STORAGE_ERROR
            logger.error(
                "%s-%d: reading from offset %d: %s", topic, asked.partition, asked.fetch_offset, problem
            )
        return answer(
            partition_index=asked.partition,
            error_code=error,
            high_watermark=log.high_watermark,
            last_stable_offset=log.high_watermark,
            log_start_offset=log.start,
            aborted_transactions=None,
            preferred_read_replica=-1,
            records=records,
        )

    async def list_offsets(self, call: Call) -> Any:
        """Off the loop where times are asked for: records have to be read and decoded for those."""
        asked = call.body.topics
        if any(p.timestamp not in (LATEST, EARLIEST) for topic in asked for p in topic.partitions):
            return await asyncio.to_thread(self._offsets, asked)
        return self._offsets(asked)

    def _offsets(self, asked: Any) -> Any:
        topic_answer = ListOffsetsResponse.ListOffsetsTopicResponse
        return ListOffsetsResponse(
            topics=[
                topic_answer(
                    name=topic.name,
                    partitions=[
                        self._offset(topic.name, p.partition_index, p.timestamp) for p in topic.partitions
                    ],
                )
                for topic in asked
            ]
        )

    def _offset(self, topic: str, partition: int, timestamp: int) -> Any:
        log = self.topics.log(topic, partition)
        error, found = ErrorCode.NONE, None
        if log is None:
            error = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        elif timestamp < LARGEST_TIMESTAMP:
            error = ErrorCode.INVALID_REQUEST
        else:
            try:
                found = _find(log, timestamp)
            except OSError as problem:
                error = ErrorCode.KAFKA_STORAGE_ERROR
                logger.error("%s-%d: looking for time %d: %s", topic, partition, timestamp, problem)
        offset, at = found or (-1, -1)
        return ListOffsetsResponse.ListOffsetsTopicResponse.ListOffsetsPartitionResponse(
            partition_index=partition, error_code=error, timestamp=at, offset=offset, leader_epoch=0
        )

    async def init_producer_id(self, call: Call) -> Any:
        if call.body.transactional_id is not None:
            error = ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED  # fatal in every client: no endless retry
            return InitProducerIdResponse(error_code=error, producer_id=-1, producer_epoch=-1)
        producer_id = self.catalog.next_producer_id()
        return InitProducerIdResponse(error_code=ErrorCode.NONE, producer_id=producer_id, producer_epoch=0)


def _find(log: PartitionLog, timestamp: int) -> tuple[int, int] | None:
    if timestamp == LATEST:
        return log.high_watermark, -1
    if timestamp == EARLIEST:
        return log.start, -1
    return log.newest() if timestamp == LARGEST_TIMESTAMP else log.first_at_or_after(timestamp)


@contextlib.contextmanager
def _watching(logs: list[PartitionLog], arrived: asyncio.Event) -> Any:
    for log in logs:
        log.watchers.add(arrived.set)
    try:
        yield
    finally:
        for log in logs:
            log.watchers.discard(arrived.set)
