"""What was acknowledged while Kafka stood still arrives, whoever is killed meanwhile."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

from shared.events.envelope import Topic
from shared.kafka import Kafka
from shared.topics import declare
from tests.servers.kafka import EmbeddedKafka
from tests.shared.consuming import eventually
from tests.shared.test_producer import ids, stored

TOPIC = "acknowledged-v1"


class Accepting:
    """A process that acknowledges events."""

    def __init__(self, servers: str, folder: Path) -> None:
        command = [sys.executable, "-m", "tests.shared.outbox.accepting", servers, str(folder), TOPIC]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.acknowledged = list[str]()
        self._reading = Thread(target=self._read)
        self._reading.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.endswith("\n"):
                self.acknowledged.append(line.strip())

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(10)
        self._reading.join(10)
        assert self._process.stdout is not None
        self._process.stdout.close()


@contextmanager
def accepting(servers: str, folder: Path) -> Iterator[Accepting]:
    process = Accepting(servers, folder)
    try:
        yield process
    finally:
        process.kill()


async def test_what_was_acknowledged_while_kafka_stood_still_outlives_two_kills(tmp_path: Path) -> None:
    kafka, state = EmbeddedKafka(tmp_path / "kafka"), tmp_path / "state"
    await asyncio.to_thread(kafka.start)
    await asyncio.to_thread(declare, [Topic(TOPIC, key="key", partitions=3)], Kafka(kafka.address), 1, 30)
    try:
        with accepting(kafka.address, state) as first, accepting(kafka.address, state) as second:
            await eventually(lambda: min(len(first.acknowledged), len(second.acknowledged)) > 20, 30)
            kafka.send(signal.SIGSTOP)
            before = len(first.acknowledged), len(second.acknowledged)
            await eventually(lambda: len(first.acknowledged) > before[0] + 8, 30)
            await eventually(lambda: len(second.acknowledged) > before[1] + 8, 30)
            first.kill()
            second.kill()
        with accepting(kafka.address, state) as third:  # begins while Kafka still stands
            await eventually(lambda: len(third.acknowledged) > 3, 30)
            kafka.send(signal.SIGCONT)
            await eventually(lambda: not [*(state / "outbox-1").glob("*.jsonl")], 60)
            await eventually(lambda: len(third.acknowledged) > 50, 30)
        acknowledged = {*first.acknowledged, *second.acknowledged, *third.acknowledged}
        left = Accepting(kafka.address, state)  # what the third had not delivered yet
        await eventually(lambda: len(left.acknowledged) > 20, 30)
        left.kill()
        arrived = ids(await asyncio.to_thread(stored, kafka.address, TOPIC))
        assert acknowledged <= set(arrived)
    finally:
        kafka.send(signal.SIGCONT)
        kafka.stop()
