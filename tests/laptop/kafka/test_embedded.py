"""What only the embedded broker promises: it survives kill -9, bad disks, bad frames, stays on loopback."""

import socket
import subprocess
import sys
import threading
from collections import defaultdict
from pathlib import Path

import pytest
from confluent_kafka import KafkaError, Message, Producer, TopicPartition
from kafka import KafkaAdminClient
from kafka import TopicPartition as Partition
from kafka.protocol.metadata import ApiVersionsRequest, ApiVersionsResponse

from tests.laptop.kafka.clients import (
    PATIENCE_SECONDS,
    RawConnection,
    batch_of,
    new_consumer,
    new_topic,
    read,
    read_topic,
    send,
)
from tests.servers.kafka import EmbeddedKafka

KILLS = 4
RECORDS_BETWEEN_KILLS = 1500


def started_with(*arguments: str) -> subprocess.CompletedProcess[str]:
    """For starts that are to be refused; one that is not would be seen by the time-out."""
    command = [sys.executable, "-m", "deploy.laptop.kafka", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL)


def last_segment(broker: EmbeddedKafka) -> Path:
    return sorted((broker.folder / "data" / "topics").glob("*/0/*.log"))[-1]


class TestKill:
    def test_nothing_acknowledged_is_lost_doubled_or_disordered(self, broker: EmbeddedKafka) -> None:
        topic = new_topic(broker.address, partitions=2)
        acknowledged: dict[int, list[bytes]] = defaultdict(list)
        failures: list[KafkaError] = []
        enough = threading.Event()

        def delivered(error: KafkaError | None, message: Message) -> None:
            if error is not None:
                failures.append(error)
                return
            acknowledged[message.partition()].append(message.value())
            if sum(map(len, acknowledged.values())) >= due:
                enough.set()

        settings = {"linger.ms": 1, "batch.num.messages": 50, "reconnect.backoff.max.ms": 200, "log_level": 0}
        producer = Producer({"bootstrap.servers": broker.address, "enable.idempotence": True, **settings})
        number = 0
        for kill in range(1, KILLS + 1):
            due = kill * RECORDS_BETWEEN_KILLS
            while not enough.is_set():
                for _ in range(10):
                    producer.produce(topic, str(number).encode(), partition=number % 2, on_delivery=delivered)
                    number += 1
                producer.poll(0.001)
            broker.kill()  # with requests on the way
            enough.clear()
            broker.start()
        assert producer.flush(PATIENCE_SECONDS) == 0
        assert not failures
        found: dict[int, list[bytes]] = defaultdict(list)
        for message in read_topic(broker.address, topic, number):
            found[message.partition()].append(message.value())
        assert found == acknowledged
        for partition in (0, 1):
            assert found[partition] == [str(n).encode() for n in range(partition, number, 2)]

    def test_topics_offsets_and_deleted_records_are_remembered(self, broker: EmbeddedKafka) -> None:
        topic = new_topic(broker.address, partitions=3, config={"retention.ms": "-1"})
        send(broker.address, topic, [b"0", b"1", b"2"])
        consumer = new_consumer(broker.address, "group")
        consumer.subscribe([topic])
        consumer.commit(message=read(consumer, 2)[-1], asynchronous=False)
        consumer.close()
        admin = KafkaAdminClient(bootstrap_servers=broker.address)
        admin.delete_records({Partition(topic, 0): 1})
        admin.close()
        broker.kill()
        broker.start()
        reader = new_consumer(broker.address)
        assert len(reader.list_topics(topic, timeout=5).topics[topic].partitions) == 3
        assert reader.get_watermark_offsets(TopicPartition(topic, 0), timeout=5) == (1, 3)
        reader.close()
        again = {"group.id": "group"}
        assert [m.value() for m in read_topic(broker.address, topic, 1, settings=again)] == [b"2"]

    def test_a_repeated_batch_is_known_after_the_kill(self, broker: EmbeddedKafka) -> None:
        topic = new_topic(broker.address)
        with RawConnection(broker.address) as connection:
            who = (connection.producer_id(), 0)
            batch = batch_of([b"a"], producer=who, sequence=0)
            assert connection.produce(topic, batch) == (0, 0)
        broker.kill()
        broker.start()
        with RawConnection(broker.address) as connection:
            assert connection.produce(topic, batch) == (0, 0)
            assert connection.produce(topic, batch_of([b"b"], producer=who, sequence=1)) == (0, 1)
            assert connection.producer_id() > who[0]


class TestDamage:
    def test_a_torn_tail_is_cut_and_the_log_goes_on_from_there(self, broker: EmbeddedKafka) -> None:
        topic = new_topic(broker.address)
        send(broker.address, topic, [b"whole"])
        broker.kill()
        with last_segment(broker).open("ab") as segment:
            segment.write(batch_of([b"torn"])[:-3])
        broker.start()
        assert "cut" in broker.log
        assert [m.offset() for m in send(broker.address, topic, [b"next"])] == [1]
        assert [m.value() for m in read_topic(broker.address, topic, 2)] == [b"whole", b"next"]

    def test_a_record_that_changed_on_disk_is_cut_and_never_served(self, broker: EmbeddedKafka) -> None:
        topic = new_topic(broker.address)
        send(broker.address, topic, [b"whole"])
        send(broker.address, topic, [b"changed"])
        broker.kill()
        segment = last_segment(broker)
        segment.write_bytes(segment.read_bytes().replace(b"changed", b"chanGed"))
        broker.start()
        assert "checksum" in broker.log
        send(broker.address, topic, [b"next"])
        assert [m.value() for m in read_topic(broker.address, topic, 2)] == [b"whole", b"next"]

    def test_a_full_disk_answers_an_error_and_writing_goes_on_when_there_is_room(
        self, broker: EmbeddedKafka
    ) -> None:
        topic = new_topic(broker.address)
        broker.stop()
        limit = 'ulimit -f 1200 && exec "$@"'  # 600 kB a file: a write ends in its middle, as on a full disk
        broker.start("sh", "-c", limit, "sh")
        large = batch_of([b"x" * 400_000])
        with RawConnection(broker.address) as connection:
            assert connection.produce(topic, large) == (0, 0)
            assert connection.produce(topic, large) == (KafkaError.KAFKA_STORAGE_ERROR, -1)
            assert connection.produce(topic, batch_of([b"small"])) == (0, 1)
            assert connection.produce(topic, large) == (KafkaError.KAFKA_STORAGE_ERROR, -1)
        assert last_segment(broker).stat().st_size < 410_000
        broker.stop()
        broker.start()
        send(broker.address, topic, [b"room"])
        assert [len(m.value()) for m in read_topic(broker.address, topic, 3)] == [400_000, 5, 4]


class TestFrames:
    @pytest.mark.parametrize(
        "frame",
        [
            pytest.param((101 << 20).to_bytes(4, "big"), id="above 100 MB"),
            pytest.param(b"\xff\xff\xff\xff", id="negative length"),
            pytest.param(b"\x00\x00\x00\x02ab", id="shorter than a header"),
            pytest.param(
                b"\x00\x00\x00\x0c\x00\x00\x00\x09" + bytes(4) + b"\x7f\xff\xff\xff", id="wrong length"
            ),
            pytest.param(
                b"\x00\x00\x00\x0e\x00\x03\x00\x09" + bytes(4) + b"\xff" * 6, id="garbage for a body"
            ),
            pytest.param(b"\x00\x00\x00\x0a\x03\xe7\x00\x00" + bytes(6), id="unknown API"),
            pytest.param(b"GET / HTTP/1.1\r\n\r\n", id="another protocol"),
        ],
    )
    def test_a_bad_frame_closes_its_connection_and_no_other(self, kafka_embedded: str, frame: bytes) -> None:
        request = ApiVersionsRequest(client_software_name="raw", client_software_version="1")
        with RawConnection(kafka_embedded) as good, RawConnection(kafka_embedded) as bad:
            good.ask(request, ApiVersionsResponse, 3)
            bad.socket.sendall(frame)
            with pytest.raises(ConnectionError):
                bad.answer()
            assert good.ask(request, ApiVersionsResponse, 3).error_code == 0

    def test_acks_0_is_stored_and_not_answered(self, kafka_embedded: str) -> None:
        topic = new_topic(kafka_embedded)
        producer = Producer({"bootstrap.servers": kafka_embedded, "acks": 0})
        producer.produce(topic, b"value", partition=0)
        assert producer.flush(PATIENCE_SECONDS) == 0
        assert [m.value() for m in read_topic(kafka_embedded, topic, 1)] == [b"value"]


class TestStart:
    @pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.1", "::", "example.org"])
    def test_it_refuses_to_listen_beyond_loopback(self, tmp_path: Path, host: str) -> None:
        refused = started_with("--host", host, "--port", "0", "--data", str(tmp_path))
        assert refused.returncode == 2
        assert refused.stderr.count("\n") == 1
        assert "loopback" in refused.stderr

    def test_a_taken_port_is_named_with_the_way_out(self, tmp_path: Path) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = str(taken.getsockname()[1])
            refused = started_with("--port", port, "--data", str(tmp_path))
        assert refused.returncode == 2
        assert (
            refused.stderr
            == f"error: port {port} is taken: stop what listens there, or choose another --port\n"
        )

    def test_a_second_broker_on_the_same_folder_is_refused(self, broker: EmbeddedKafka) -> None:
        refused = started_with("--port", "0", "--data", str(broker.folder / "data"))
        assert refused.returncode == 2
        assert "in use by another broker" in refused.stderr
        assert refused.stderr.count("\n") == 1

    def test_it_stops_cleanly_when_told_and_does_not_wait_for_readers(self, broker: EmbeddedKafka) -> None:
        topic = new_topic(broker.address)
        consumer = new_consumer(broker.address, settings={"fetch.wait.max.ms": 10_000, "log_level": 0})
        consumer.subscribe([topic])
        read(consumer, 1, seconds=0.5)
        assert broker.stop() == 0
        consumer.close()
        assert "Traceback" not in broker.log

    def test_it_ends_with_its_parent(self, tmp_path: Path) -> None:
        command = [sys.executable, "-m", "deploy.laptop.kafka", "--stop-with-stdin"]
        command += ["--port", "0", "--data", str(tmp_path)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            assert "ready on" in process.stdout.readline()
            process.stdin.close()
            assert process.wait(10) == 0
