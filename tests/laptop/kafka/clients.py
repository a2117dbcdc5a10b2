"""What a test does with a broker, in few words; confluent-kafka where the client does not matter."""

import itertools
import socket
import time
import uuid
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from confluent_kafka import Consumer, Message, Producer
from confluent_kafka.admin import AdminClient, NewTopic
from kafka.protocol import producer as produce_protocol
from kafka.record.default_records import DefaultRecordBatchBuilder

PATIENCE_SECONDS = 15
Settings = Mapping[str, Any]
NONE: Settings = {}
_NOT_YET = (3, 6)  # unknown partition, not its leader: for a moment after a topic was made


class Record(NamedTuple):
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()


def fresh(prefix: str) -> str:
    return f"{prefix}-{uuid.uuid4().hex[:8]}"


@lru_cache
def admin(address: str) -> AdminClient:
    """Kept, because the client fails its own requests when it is collected before they are answered. It
    outlives brokers that tests kill, and would say so on standard error for as long as the tests run.
    """
    return AdminClient({"bootstrap.servers": address, "log_level": 0})


def new_topic(address: str, partitions: int = 1, config: Mapping[str, str] | None = None) -> str:
    name = fresh("topic")
    topic = NewTopic(name, num_partitions=partitions, replication_factor=1, config=dict(config or {}))
    admin(address).create_topics([topic])[name].result(PATIENCE_SECONDS)
    return name


def send(
    address: str, topic: str, values: Iterable[bytes], *, partition: int = 0, settings: Settings = NONE
) -> list[Message]:
    """Idempotent, acks=all; returns the acknowledged messages, fails on the first that was not."""
    producer = Producer({"bootstrap.servers": address, "acks": "all", "enable.idempotence": True, **settings})
    kept: list[Message] = []
    failed: list[Any] = []

    def delivered(error: Any, message: Message) -> None:
        if error is None:
            kept.append(message)
        else:
            failed.append(error)

    for value in values:
        producer.produce(topic, value, partition=partition, on_delivery=delivered)
        producer.poll(0)
    assert producer.flush(PATIENCE_SECONDS) == 0
    assert not failed, failed[0]
    return kept


def new_consumer(address: str, group: str | None = None, settings: Settings = NONE) -> Consumer:
    return Consumer(
        {
            "bootstrap.servers": address,
            "group.id": group or fresh("group"),
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "session.timeout.ms": 6000,
            **settings,
        }
    )


def read(consumer: Consumer, count: int, seconds: float = PATIENCE_SECONDS) -> list[Message]:
    """`count` messages, or as many as came within `seconds`."""
    found: list[Message] = []
    until = time.monotonic() + seconds
    while len(found) < count and time.monotonic() < until:
        found += [m for m in consumer.consume(count - len(found), timeout=0.1) if m.error() is None]
    return found


def read_topic(address: str, topic: str, count: int, settings: Settings = NONE) -> list[Message]:
    consumer = new_consumer(address, settings=settings)
    consumer.subscribe([topic])
    try:
        return read(consumer, count)
    finally:
        consumer.close()


def batch_of(values: Iterable[bytes], *, producer: tuple[int, int] = (-1, -1), sequence: int = -1) -> bytes:
    """One record batch as a producer makes it now; `producer` is (id, epoch)."""
    now_ms = int(time.time() * 1000)
    builder = DefaultRecordBatchBuilder(2, 0, False, *producer, sequence, 1 << 30)
    for offset, value in enumerate(values):
        builder.append(offset, now_ms, None, value, [])
    return bytes(builder.build())


class RawConnection:
    """One request at a time, as bytes on a socket."""

    _ids = itertools.count(1)

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), timeout=PATIENCE_SECONDS)

    def __enter__(self) -> "RawConnection":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def ask(self, request: Any, response: Any, version: int) -> Any:
        request.API_VERSION = version
        request.with_header(next(self._ids), "raw")
        self.socket.sendall(request.encode(header=True, framed=True))
        return response.decode(self.answer(), version=version, header=True)

    def answer(self) -> bytes:
        """The next frame; raises ConnectionError if the other side has closed."""
        return self._exactly(int.from_bytes(self._exactly(4), "big"))

    def _exactly(self, size: int) -> bytes:
        received = b""
        while len(received) < size:
            part = self.socket.recv(size - len(received))
            if not part:
                raise ConnectionResetError("closed by the broker")
            received += part
        return received

    def produce(self, topic: str, batch: bytes) -> tuple[int, int]:
        """(error code, base offset) of a batch for partition 0."""
        answer = self.answer_to_produce(topic, batch)
        return answer.error_code, answer.base_offset

    def answer_to_produce(self, topic: str, batch: bytes) -> Any:
        data = produce_protocol.ProduceRequest.TopicProduceData
        request = produce_protocol.ProduceRequest(
            acks=-1,
            timeout_ms=5000,
            transactional_id=None,
            topic_data=[data(name=topic, partition_data=[data.PartitionProduceData(index=0, records=batch)])],
        )
        partition = None
        while partition is None or partition.error_code in _NOT_YET:
            answer = self.ask(request, produce_protocol.ProduceResponse, 9)
            partition = answer.responses[0].partition_responses[0]
        return partition

    def producer_id(self) -> int:
        """Asks until there is one: a broker that has just started has none yet."""
        request = produce_protocol.InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=1000)
        found = -1
        while found < 0:
            found = self.ask(request, produce_protocol.InitProducerIdResponse, 4).producer_id
        return found
