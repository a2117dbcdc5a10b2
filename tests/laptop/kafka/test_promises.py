"""What tuneloop relies on in a Kafka broker, tried on the embedded broker and on Apache Kafka alike."""

import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import (
    TIMESTAMP_LOG_APPEND_TIME,
    Consumer,
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import (
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
)
from faststream import AckPolicy
from faststream.confluent import KafkaBroker, KafkaMessage
from kafka import KafkaAdminClient, KafkaConsumer
from kafka import TopicPartition as Partition
from kafka.protocol.metadata import ApiVersionsRequest, ApiVersionsResponse
from kafka.structs import OffsetAndMetadata

from tests.laptop.kafka import group_member
from tests.laptop.kafka.clients import (
    PATIENCE_SECONDS,
    RawConnection,
    Record,
    admin,
    batch_of,
    fresh,
    new_consumer,
    new_topic,
    read,
    read_topic,
    send,
)
from tests.laptop.kafka.three_clients import READERS, READERS_OF_TIMES, WRITERS

DAY_MS = 24 * 3600 * 1000
LOG_APPEND_TIME = {"message.timestamp.type": "LogAppendTime"}
EmbeddedCannot = Callable[[str], None]


@pytest.fixture
def embedded_cannot(request: pytest.FixtureRequest) -> EmbeddedCannot:
    """Call it with the reason: the test then has to fail on the embedded broker."""

    def mark(reason: str) -> None:
        if request.node.callspec.params["kafka"] == "embedded":
            request.applymarker(pytest.mark.xfail(strict=True, reason=reason))

    return mark


def values(messages: list[Any]) -> list[bytes]:
    return [message.value() for message in messages]


def unpadded(metadata: str) -> str:
    """confluent-kafka sends the zero byte that ends a C string along with it."""
    return metadata.removesuffix("\0")


def now_ms() -> int:
    return int(time.time() * 1000)


def await_true(condition: Callable[[], object], seconds: float = PATIENCE_SECONDS) -> None:
    """For what a broker does in its own time; the condition itself asks the broker or polls a consumer."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"not so within {seconds} s"


class TestPromises:
    # records

    @pytest.mark.parametrize("writer", WRITERS)
    def test_what_one_client_writes_all_three_read_as_it_was_sent(self, kafka: str, writer: str) -> None:
        topic = new_topic(kafka)
        sent = [
            Record(b"key", b"value", (("a", b"1"), ("a", b"2"), ("empty", b""))),
            Record(b"key", None),
            Record(None, b""),
        ]
        WRITERS[writer](kafka, topic, sent)
        for reads in READERS.values():
            assert reads(kafka, topic, len(sent)) == sent

    @pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
    def test_compressed_records_come_back_whole(self, kafka: str, codec: str) -> None:
        topic = new_topic(kafka)
        sent = [b"a" * 500 + str(number).encode() for number in range(200)]
        send(kafka, topic, sent, settings={"compression.type": codec, "linger.ms": 20})
        assert values(read_topic(kafka, topic, len(sent))) == sent

    def test_a_message_larger_than_the_reader_asks_for_comes_whole(self, kafka: str) -> None:
        topic = new_topic(kafka)
        sent = [b"small", b"x" * 900_000, b"after"]
        for value in sent:
            send(kafka, topic, [value])
        limits = {"max.partition.fetch.bytes": 1000, "fetch.max.bytes": 1000, "message.max.bytes": 1000}
        assert values(read_topic(kafka, topic, len(sent), settings=limits)) == sent

    def test_a_message_above_the_topics_limit_is_refused_and_the_next_one_kept(self, kafka: str) -> None:
        topic = new_topic(kafka, config={"max.message.bytes": "10000"})
        with pytest.raises(AssertionError, match="MSG_SIZE_TOO_LARGE"):
            send(kafka, topic, [b"x" * 20_000])
        send(kafka, topic, [b"fits"])
        assert values(read_topic(kafka, topic, 1)) == [b"fits"]

    def test_a_batch_sent_twice_is_kept_once_and_acknowledged_twice(self, kafka: str) -> None:
        topic = new_topic(kafka)
        with RawConnection(kafka) as connection:
            who = (connection.producer_id(), 0)
            first = batch_of([b"a", b"b"], producer=who, sequence=0)
            assert connection.produce(topic, first) == (0, 0)
            assert connection.produce(topic, batch_of([b"c"], producer=who, sequence=2)) == (0, 2)
            assert connection.produce(topic, first) == (0, 0)
            assert connection.produce(topic, batch_of([b"d"], producer=who, sequence=3)) == (0, 3)

    def test_a_gap_in_the_sequence_is_refused_and_so_is_an_older_epoch(self, kafka: str) -> None:
        topic = new_topic(kafka)
        with RawConnection(kafka) as connection:
            id = connection.producer_id()
            assert connection.produce(topic, batch_of([b"a"], producer=(id, 0), sequence=0)) == (0, 0)
            gap = connection.produce(topic, batch_of([b"c"], producer=(id, 0), sequence=2))
            assert gap[0] == KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER
            assert connection.produce(topic, batch_of([b"b"], producer=(id, 1), sequence=0)) == (0, 1)
            late = connection.produce(topic, batch_of([b"b"], producer=(id, 0), sequence=1))
            assert late[0] == KafkaError.INVALID_PRODUCER_EPOCH

    def test_damaged_records_are_refused(self, kafka: str) -> None:
        topic = new_topic(kafka)
        damaged = batch_of([b"value"])[:-1] + b"\xff"
        with RawConnection(kafka) as connection:
            assert connection.produce(topic, damaged)[0] == 2  # CORRUPT_MESSAGE

    def test_a_waiting_reader_hears_of_a_record_at_once(self, kafka: str) -> None:
        topic = new_topic(kafka)
        consumer = new_consumer(kafka, settings={"fetch.wait.max.ms": 2000})
        consumer.assign([TopicPartition(topic, 0, 0)])
        producer = Producer({"bootstrap.servers": kafka, "linger.ms": 0})
        took = []
        for _ in range(20):
            started = time.perf_counter()
            producer.produce(topic, b"now", partition=0)
            producer.poll(0)
            assert read(consumer, 1)
            took.append(time.perf_counter() - started)
        consumer.close()
        assert statistics.median(took) < 0.2  # far below the 2 s it was ready to wait

    def test_times_lead_to_the_first_record_at_or_after_them(self, kafka: str) -> None:
        topic = new_topic(kafka)
        start = int(time.time() * 1000) - 100_000
        producer = Producer({"bootstrap.servers": kafka})
        for number in range(50):
            producer.produce(topic, b"v", partition=0, timestamp=start + number * 1000)
            if number % 10 == 9:  # five batches
                assert producer.flush(PATIENCE_SECONDS) == 0
        confluent = new_consumer(kafka)
        asked = [TopicPartition(topic, 0, start + 24_001), TopicPartition(topic, 0, start + 60_000)]
        found = [confluent.offsets_for_times([each], timeout=PATIENCE_SECONDS)[0] for each in asked]
        assert [each.offset for each in found] == [25, -1]  # -1: the end
        confluent.close()
        python = KafkaConsumer(bootstrap_servers=kafka)
        at = python.offsets_for_times({Partition(topic, 0): start + 24_001})[Partition(topic, 0)]
        python.close()
        assert (at.offset, at.timestamp) == (25, start + 25_000)

    # the time of records

    def test_a_topic_may_give_its_records_the_brokers_time_and_all_three_clients_see_it(
        self, kafka: str
    ) -> None:
        topic = new_topic(kafka, config=LOG_APPEND_TIME)
        before = now_ms()
        producer = Producer({"bootstrap.servers": kafka, "compression.type": "zstd"})
        told: list[tuple[int, int]] = []
        for value in (b"a", b"b"):
            producer.produce(
                topic,
                value,
                partition=0,
                timestamp=before - 31 * DAY_MS,
                on_delivery=lambda _, message: told.append(message.timestamp()),
            )
        assert producer.flush(PATIENCE_SECONDS) == 0
        kinds, given = zip(*told, strict=True)
        assert set(kinds) == {TIMESTAMP_LOG_APPEND_TIME}
        assert before <= given[0] <= given[1] <= now_ms()  # the same, if both went in one batch
        for times in READERS_OF_TIMES.values():
            assert times(kafka, topic, 2) == [(True, at) for at in given]

    def test_the_brokers_time_decides_what_a_time_leads_to_and_what_is_kept(self, kafka: str) -> None:
        hour = {"retention.ms": str(3_600_000)}
        kept, dropped = new_topic(kafka, config=LOG_APPEND_TIME | hour), new_topic(kafka, config=hour)
        before = now_ms()
        producer = Producer({"bootstrap.servers": kafka})
        for topic in (kept, dropped):
            producer.produce(topic, b"old", partition=0, timestamp=before - 31 * DAY_MS)
        assert producer.flush(PATIENCE_SECONDS) == 0
        consumer = new_consumer(kafka)
        asked = [TopicPartition(kept, 0, before)]
        assert consumer.offsets_for_times(asked, timeout=PATIENCE_SECONDS)[0].offset == 0
        await_true(lambda: consumer.get_watermark_offsets(TopicPartition(dropped, 0), timeout=5) == (1, 1))
        assert consumer.get_watermark_offsets(TopicPartition(kept, 0), timeout=5) == (0, 1)
        consumer.close()

    def test_a_batch_sent_twice_has_the_time_of_the_first(self, kafka: str) -> None:
        topic = new_topic(kafka, config=LOG_APPEND_TIME)
        with RawConnection(kafka) as connection:
            batch = batch_of([b"a"], producer=(connection.producer_id(), 0), sequence=0)
            first = connection.answer_to_produce(topic, batch)
            time.sleep(0.01)
            again = connection.answer_to_produce(topic, batch)
        assert first.log_append_time_ms > 0
        assert (again.base_offset, again.log_append_time_ms) == (0, first.log_append_time_ms)

    @pytest.mark.parametrize("alter", ["incremental", "whole"])
    def test_the_kind_of_time_can_be_changed_for_what_comes_after(self, kafka: str, alter: str) -> None:
        topic = new_topic(kafka, config={"retention.ms": "-1"})
        old = now_ms() - DAY_MS

        def sent_at() -> int:
            producer = Producer({"bootstrap.servers": kafka})
            producer.produce(topic, b"v", partition=0, timestamp=old)
            assert producer.flush(PATIENCE_SECONDS) == 0
            count = new_consumer(kafka).get_watermark_offsets(TopicPartition(topic, 0), timeout=5)[1]
            return READERS_OF_TIMES["confluent"](kafka, topic, count)[-1][1]

        assert sent_at() == old
        [(name, value)] = LOG_APPEND_TIME.items()
        if alter == "incremental":
            entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
            change = ConfigResource("topic", topic, incremental_configs=[entry])
            admin(kafka).incremental_alter_configs([change])[change].result(PATIENCE_SECONDS)
        else:
            change = ConfigResource("topic", topic, set_config={"retention.ms": "-1", name: value})
            admin(kafka).alter_configs([change])[change].result(PATIENCE_SECONDS)
        # A change is acknowledged by the controller; the broker that is asked may learn of it after.
        await_true(lambda: described(kafka, change)[name].value == value)
        await_true(lambda: sent_at() > old + DAY_MS - 60_000)
        assert READERS_OF_TIMES["confluent"](kafka, topic, 1)[0] == (False, old)

    # groups

    def test_a_note_with_a_commit_comes_back_to_whoever_asks(self, kafka: str) -> None:
        topic, group = new_topic(kafka, partitions=2), fresh("group")
        note = '{"since": "2026-01-01T00:00:00Z", "why": "ClickHouse says “too many parts”"}'
        confluent = new_consumer(kafka, group)
        confluent.commit(offsets=[TopicPartition(topic, 0, 0, note)], asynchronous=False)
        found = confluent.committed([TopicPartition(topic, 0)], timeout=PATIENCE_SECONDS)[0]
        assert (found.offset, unpadded(found.metadata)) == (0, note)
        asked = ConsumerGroupTopicPartitions(group)
        listed = admin(kafka).list_consumer_group_offsets([asked])[group].result(PATIENCE_SECONDS)
        assert [(each.offset, unpadded(each.metadata)) for each in listed.topic_partitions] == [(0, note)]
        python = KafkaConsumer(bootstrap_servers=kafka, group_id=group, enable_auto_commit=False)
        assert unpadded(python.committed(Partition(topic, 0), metadata=True).metadata) == note
        python.commit({Partition(topic, 1): OffsetAndMetadata(0, "from python", -1)})
        assert python.committed(Partition(topic, 1), metadata=True).metadata == "from python"
        # confluent-kafka reads up to a zero byte, which only it commits: else on past the note's end.
        python.commit({Partition(topic, 1): OffsetAndMetadata(0, "from python\0", -1)})
        python.close()
        found = confluent.committed([TopicPartition(topic, 1)], timeout=PATIENCE_SECONDS)[0]
        assert found.metadata == "from python"
        confluent.commit(offsets=[TopicPartition(topic, 0, 0)], asynchronous=False)
        found = confluent.committed([TopicPartition(topic, 0)], timeout=PATIENCE_SECONDS)[0]
        assert not found.metadata
        confluent.close()

    def test_too_long_a_note_is_refused_and_the_commit_before_it_stays(self, kafka: str) -> None:
        topic, group = new_topic(kafka), fresh("group")
        consumer = new_consumer(kafka, group)
        longest = "ä" * 4095
        consumer.commit(offsets=[TopicPartition(topic, 0, 1, longest)], asynchronous=False)
        with pytest.raises(KafkaException, match="OFFSET_METADATA_TOO_LARGE"):
            consumer.commit(offsets=[TopicPartition(topic, 0, 2, longest + "x")], asynchronous=False)
        found = consumer.committed([TopicPartition(topic, 0)], timeout=PATIENCE_SECONDS)[0]
        assert (found.offset, unpadded(found.metadata)) == (1, longest)
        consumer.close()

    def test_a_group_goes_on_where_it_committed(self, kafka: str) -> None:
        topic, group = new_topic(kafka), fresh("group")
        send(kafka, topic, [str(number).encode() for number in range(10)])
        first = new_consumer(kafka, group)
        first.subscribe([topic])
        first.commit(message=read(first, 6)[-1], asynchronous=False)
        first.close()
        assert values(read_topic(kafka, topic, 1, settings={"group.id": group})) == [b"6"]
        second = KafkaConsumer(topic, bootstrap_servers=kafka, group_id=group, enable_auto_commit=False)
        assert second.committed(Partition(topic, 0)) == 6
        second.close()

    def test_members_share_the_partitions_and_take_over_from_one_that_leaves(self, kafka: str) -> None:
        topic, group = new_topic(kafka, partitions=4), fresh("group")
        one, two = (new_consumer(kafka, group, settings={"heartbeat.interval.ms": 200}) for _ in range(2))
        one.subscribe([topic])
        await_true(lambda: held(one) == {0, 1, 2, 3})
        two.subscribe([topic])
        await_true(lambda: len(held(one)) == len(held(two)) == 2 and held(one) | held(two) == {0, 1, 2, 3})
        two.close()
        await_true(lambda: held(one) == {0, 1, 2, 3})
        one.close()

    def test_a_cooperative_member_gives_up_only_what_moves(self, kafka: str) -> None:
        topic, group = new_topic(kafka, partitions=4), fresh("group")
        settings = {"partition.assignment.strategy": "cooperative-sticky", "heartbeat.interval.ms": 200}
        one, two = (new_consumer(kafka, group, settings=settings) for _ in range(2))
        given_up: list[int] = []
        one.subscribe([topic], on_revoke=lambda _, gone: given_up.extend(each.partition for each in gone))
        await_true(lambda: held(one) == {0, 1, 2, 3})
        two.subscribe([topic])
        await_true(lambda: len(held(one)) == len(held(two)) == 2)
        assert set(given_up) == held(two)
        one.close()
        two.close()

    def test_partitions_of_a_killed_member_are_taken_over(self, kafka: str) -> None:
        topic, group = new_topic(kafka, partitions=2), fresh("group")
        command = [sys.executable, group_member.__file__, kafka, topic, group, "6000"]
        killed = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert killed.stdout is not None
        assert killed.stdout.readline() == "0,1\n"
        killed.kill()
        killed.communicate()
        survivor = new_consumer(
            kafka, group, settings={"partition.assignment.strategy": "cooperative-sticky"}
        )
        survivor.subscribe([topic])
        await_true(lambda: held(survivor) == {0, 1})
        survivor.close()

    def test_a_group_can_be_listed_described_and_when_empty_deleted(self, kafka: str) -> None:
        topic, group = new_topic(kafka), fresh("group")
        send(kafka, topic, [b"0", b"1", b"2"])
        consumer = new_consumer(kafka, group)
        consumer.subscribe([topic])
        consumer.commit(message=read(consumer, 2)[-1], asynchronous=False)
        described = admin(kafka).describe_consumer_groups([group])[group].result(PATIENCE_SECONDS)
        assert [member.client_id for member in described.members] == ["rdkafka"]
        consumer.close()
        python = KafkaAdminClient(bootstrap_servers=kafka)
        assert group in str(python.list_groups())
        asked = ConsumerGroupTopicPartitions(group)
        offsets = admin(kafka).list_consumer_group_offsets([asked])[group].result(PATIENCE_SECONDS)
        assert [each.offset for each in offsets.topic_partitions] == [2]
        python.delete_groups([group])
        assert group not in str(python.list_groups())
        python.close()

    # administration

    def test_a_topic_has_the_partitions_it_was_made_with_and_can_grow(self, kafka: str) -> None:
        topic = new_topic(kafka, partitions=2)
        send(kafka, topic, [b"kept"])
        admin(kafka).create_partitions([NewPartitions(topic, 5)])[topic].result(PATIENCE_SECONDS)
        await_true(lambda: len(admin(kafka).list_topics(topic, timeout=5).topics[topic].partitions) == 5)
        with pytest.raises(KafkaException, match="INVALID_PARTITIONS"):
            admin(kafka).create_partitions([NewPartitions(topic, 3)])[topic].result(PATIENCE_SECONDS)
        assert values(read_topic(kafka, topic, 1)) == [b"kept"]

    def test_a_topic_cannot_be_made_twice_or_under_a_bad_name_or_with_a_bad_setting(self, kafka: str) -> None:
        topic = new_topic(kafka)
        for asked, error in (
            (NewTopic(topic, 1, 1), "TOPIC_ALREADY_EXISTS"),
            (NewTopic("no/name", 1, 1), "TOPIC_EXCEPTION"),
            (NewTopic(fresh("t"), 1, 1, config={"retention.ms": "soon"}), "INVALID_CONFIG"),
            (NewTopic(fresh("t"), 1, 1, config={"message.timestamp.type": "Now"}), "INVALID_CONFIG"),
            (NewTopic(fresh("t"), 1, 3), "INVALID_REPLICATION_FACTOR"),
        ):
            with pytest.raises(KafkaException, match=error):
                admin(kafka).create_topics([asked])[asked.topic].result(PATIENCE_SECONDS)

    def test_settings_can_be_read_and_changed(self, kafka: str) -> None:
        topic = new_topic(kafka, config={"retention.ms": "60000"})
        entry = ConfigEntry("retention.ms", "120000", incremental_operation=AlterConfigOpType.SET)
        change = ConfigResource("topic", topic, incremental_configs=[entry])

        def retention() -> str:
            asked = ConfigResource("topic", topic)
            try:
                found = admin(kafka).describe_configs([asked])[asked].result(PATIENCE_SECONDS)
            except KafkaException as error:  # Apache Kafka shows a new topic a moment late
                if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                    raise
                return "not there yet"
            return str(found["retention.ms"].value)

        await_true(lambda: retention() == "60000")
        admin(kafka).incremental_alter_configs([change])[change].result(PATIENCE_SECONDS)
        await_true(lambda: retention() == "120000")

    def test_deleted_records_are_gone_and_the_rest_is_read(self, kafka: str) -> None:
        topic = new_topic(kafka)
        one_each = {"batch.num.messages": 1}  # ten batches, so that the eighth can be the first
        send(kafka, topic, [str(number).encode() for number in range(10)], settings=one_each)
        python = KafkaAdminClient(bootstrap_servers=kafka)
        python.delete_records({Partition(topic, 0): 8})
        python.close()
        assert values(read_topic(kafka, topic, 2)) == [b"8", b"9"]
        consumer = new_consumer(kafka)
        assert consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=5) == (8, 10)
        consumer.close()

    def test_a_deleted_topic_takes_its_offsets_along(self, kafka: str) -> None:
        topic, group = new_topic(kafka), fresh("group")
        send(kafka, topic, [b"old", b"old"])
        consumer = new_consumer(kafka, group)
        consumer.commit(offsets=[TopicPartition(topic, 0, 2)], asynchronous=False)
        admin(kafka).delete_topics([topic])[topic].result(PATIENCE_SECONDS)
        await_true(lambda: topic not in admin(kafka).list_topics(timeout=5).topics)
        asked = [NewTopic(topic, 1, 1)]
        admin(kafka).create_topics(asked)[topic].result(PATIENCE_SECONDS)
        await_true(lambda: consumer.committed([TopicPartition(topic, 0)], timeout=5)[0].offset < 0)
        consumer.close()
        send(kafka, topic, [b"new"])
        assert values(read_topic(kafka, topic, 1, settings={"group.id": group})) == [b"new"]

    def test_a_topic_is_made_by_the_first_record_sent_to_it(self, kafka: str) -> None:
        topic = fresh("auto")
        send(kafka, topic, [b"first"])
        assert values(read_topic(kafka, topic, 1)) == [b"first"]

    def test_an_unknown_version_of_api_versions_is_answered_with_the_list(self, kafka: str) -> None:
        with RawConnection(kafka) as connection:
            connection.socket.sendall(bytes.fromhex("0000000e 0012 7fff 00000007 0003 726177 00"))
            answer = ApiVersionsResponse.decode(connection.answer(), version=0, header=True)
            assert answer.error_code == 35  # UNSUPPORTED_VERSION
            again = ApiVersionsRequest(client_software_name="raw", client_software_version="1")
            assert connection.ask(again, ApiVersionsResponse, 3).error_code == 0

    # the framework tuneloop's services are written with

    async def test_a_faststream_batch_that_failed_twice_is_handled_in_the_end(self, kafka: str) -> None:
        topic = new_topic(kafka, partitions=2)
        sent = {str(number).encode() for number in range(19)}
        for partition in (0, 1):
            send(kafka, topic, sorted(sent)[partition::2], partition=partition)
        handled: set[bytes] = set()
        failures = iter([True, True])
        done = asyncio.Event()
        broker = KafkaBroker(kafka, ack_policy=AckPolicy.NACK_ON_ERROR, enable_idempotence=True, acks="all")

        async def untouched(message: KafkaMessage) -> Any:
            return message.body

        @broker.subscriber(
            topic, group_id=fresh("group"), auto_offset_reset="earliest", batch=True, decoder=untouched
        )
        async def store(message: KafkaMessage) -> None:
            if next(failures, False):
                raise RuntimeError("the store is down")
            handled.update(raw.value() for raw in message.raw_message)
            if handled == sent:
                done.set()

        async with broker:
            await broker.start()
            await asyncio.wait_for(done.wait(), 30)
        assert next(failures, None) is None

    # what the embedded broker leaves out

    def test_a_transaction_is_read_when_it_is_committed(
        self, kafka: str, embedded_cannot: EmbeddedCannot
    ) -> None:
        embedded_cannot("no transactions: tuneloop's ids derive from causes, so at-least-once is enough")
        topic = new_topic(kafka)
        producer = Producer({"bootstrap.servers": kafka, "transactional.id": fresh("transaction")})
        producer.init_transactions(PATIENCE_SECONDS)
        producer.begin_transaction()
        producer.produce(topic, b"committed")
        producer.commit_transaction(PATIENCE_SECONDS)
        settings = {"isolation.level": "read_committed"}
        assert values(read_topic(kafka, topic, 1, settings=settings)) == [b"committed"]

    def test_a_topic_can_be_compacted(self, kafka: str, embedded_cannot: EmbeddedCannot) -> None:
        embedded_cannot("no compaction: state topics are small and kept for ever")
        new_topic(kafka, config={"cleanup.policy": "compact"})

    def test_a_group_can_use_the_new_protocol(self, kafka: str, embedded_cannot: EmbeddedCannot) -> None:
        embedded_cannot("no KIP-848: classic groups do all that tuneloop needs")
        topic = new_topic(kafka)
        send(kafka, topic, [b"value"])
        new = {
            "bootstrap.servers": kafka,
            "group.id": fresh("group"),
            "group.protocol": "consumer",
            "auto.offset.reset": "earliest",
        }
        consumer = Consumer(new)
        consumer.subscribe([topic])
        found = read(consumer, 1, seconds=4)
        consumer.close()
        assert values(found) == [b"value"]


def described(kafka: str, topic: ConfigResource) -> dict[str, ConfigEntry]:
    found: dict[str, ConfigEntry] = admin(kafka).describe_configs([topic])[topic].result(PATIENCE_SECONDS)
    return found


def held(consumer: Consumer) -> set[int]:
    """The partitions of one topic that a member holds after a short poll."""
    consumer.poll(0.05)
    return {each.partition for each in consumer.assignment()}
