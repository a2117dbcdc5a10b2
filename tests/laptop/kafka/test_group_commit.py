"""Where the disk is waited for: one sync serves all that wait, and readers see what is synced."""

import asyncio
import errno
import os
import socket
import threading
from pathlib import Path

import pytest
from confluent_kafka import Producer

from deploy.laptop.kafka.broker import Broker
from deploy.laptop.kafka.disk import Disk
from deploy.laptop.kafka.group_commit import GroupCommit
from deploy.laptop.kafka.log import OffsetOutOfRange, PartitionLog
from deploy.laptop.kafka.topic_config import TopicConfig
from tests.laptop.kafka.clients import PATIENCE_SECONDS, RawConnection, batch_of, new_topic, read_topic, send
from tests.servers.kafka import EmbeddedKafka

STORAGE_ERROR = 56
BATCH = batch_of([b"v" * 100])


class Syncs:
    """In place of os.fdatasync: counts, and holds each one up until it is let go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self.may_end = threading.Event()
        self._real = os.fdatasync
        monkeypatch.setattr(os, "fdatasync", self._sync)

    def _sync(self, file: int) -> None:
        self.count += 1
        assert self.may_end.wait(PATIENCE_SECONDS)
        self._real(file)


def waiting_log(folder: Path, **settings: str) -> PartitionLog:
    config = {name.replace("_", "."): value for name, value in settings.items()}
    return PartitionLog(folder / "topic" / "0", TopicConfig.of(config), disk=Disk(waits=True))


async def test_one_sync_serves_all_that_came_while_the_last_one_ran(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, commit, syncs = waiting_log(tmp_path), GroupCommit(), Syncs(monkeypatch)
    log.append(BATCH)
    first = asyncio.create_task(commit.synced([log]))
    while not syncs.count:
        await asyncio.sleep(0.001)
    others = []
    for _ in range(50):
        log.append(BATCH)
        others.append(asyncio.create_task(commit.synced([log])))
    await asyncio.sleep(0.01)
    assert not first.done()
    syncs.may_end.set()
    await asyncio.wait_for(asyncio.gather(first, *others), PATIENCE_SECONDS)
    assert syncs.count == 2
    assert log.high_watermark == log.end == 51
    log.close()


async def test_readers_see_a_batch_when_it_is_synced_and_are_told_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, commit, syncs = waiting_log(tmp_path), GroupCommit(), Syncs(monkeypatch)
    told: list[int] = []
    log.watchers.add(lambda: told.append(log.high_watermark))
    log.append(BATCH)
    assert (log.end, log.high_watermark, told) == (1, 0, [])
    assert log.read(0, 1 << 20) == b""
    with pytest.raises(OffsetOutOfRange):
        log.read(1, 1 << 20)
    syncs.may_end.set()
    await commit.synced([log])
    assert (log.high_watermark, told) == (1, [1])
    assert log.read(0, 1 << 20)[8:] == BATCH[8:]
    log.close()


async def test_a_segment_is_synced_before_the_next_one_begins(tmp_path: Path) -> None:
    log, commit = waiting_log(tmp_path, segment_bytes="250"), GroupCommit()
    for _ in range(5):
        log.append(BATCH)
    assert log.high_watermark == 4  # four are in closed segments
    await commit.synced([log])
    assert log.high_watermark == 5
    assert len(log.read(0, 1 << 20)) == 5 * len(BATCH)
    log.close()


async def test_a_disk_that_refuses_a_sync_acknowledges_nothing_and_ends_the_broker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = Broker(tmp_path, fsync=True)
    listening = socket.create_server(("127.0.0.1", 0))
    host, port = await broker.start([listening])
    topic = await asyncio.to_thread(new_topic, f"{host}:{port}")

    def refuses(file: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", refuses)
    with RawConnection(f"{host}:{port}") as connection:
        assert (await asyncio.to_thread(connection.produce, topic, BATCH)) == (STORAGE_ERROR, -1)
        monkeypatch.undo()  # a disk that seems to be well again has forgotten what it could not write
        assert (await asyncio.to_thread(connection.produce, topic, BATCH)) == (STORAGE_ERROR, -1)
    assert (await asyncio.wait_for(broker.disk_failure(), PATIENCE_SECONDS)).errno == errno.EIO
    await broker.stop()


def test_a_broker_that_waits_for_the_disk_keeps_its_promises_through_a_kill(tmp_path: Path) -> None:
    broker = EmbeddedKafka(tmp_path, arguments=["--fsync"])
    broker.start()
    topic = new_topic(broker.address, partitions=2)
    for partition in (0, 1):
        send(broker.address, topic, [str(number).encode() for number in range(200)], partition=partition)
    producer = Producer({"bootstrap.servers": broker.address, "acks": 0, "log_level": 0})
    producer.produce(topic, b"unacknowledged", partition=0)
    assert producer.flush(PATIENCE_SECONDS) == 0
    broker.kill()
    broker.start()
    found = [message.value() for message in read_topic(broker.address, topic, 400)]
    assert sorted(set(found) - {b"unacknowledged"}) == sorted(str(number).encode() for number in range(200))
    assert len(found) >= 400
    assert broker.stop() == 0
