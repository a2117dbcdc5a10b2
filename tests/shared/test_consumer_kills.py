"""While the store fails and processes are killed, what is committed never passes what is stored."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from pathlib import Path
from uuid import uuid4

from shared.events import PredictionLogged
from shared.kafka import Kafka
from shared.topics import declare, topics_of
from tests.shared.consuming import committed, logged, own_topic, produce

RECORDS, PARTITIONS, KILLS = 400, 6, 3
SECONDS_TO_FINISH = 60


def stored(files: list[Path]) -> dict[int, set[int]]:
    found: dict[int, set[int]] = {number: set() for number in range(PARTITIONS)}
    for file in files:
        for line in file.read_text().splitlines() if file.exists() else ():
            partition, offset = line.split()
            found[int(partition)].add(int(offset))
    return found


async def test_committed_never_passes_stored_while_the_store_fails_and_processes_are_killed(
    kafka: str, tmp_path: Path
) -> None:
    kind, name = own_topic(PredictionLogged, PARTITIONS), f"test-{uuid4().hex[:8]}"
    topic = kind.topic.name
    await asyncio.to_thread(declare, topics_of([kind]), Kafka(kafka), 1, 30)
    files: list[Path] = []

    def start() -> subprocess.Popen[bytes]:
        files.append(tmp_path / f"stored-{len(files)}")
        command = [sys.executable, "-m", "tests.shared.flapping_service", kafka, name, topic, str(files[-1])]
        with (tmp_path / "log").open("ab") as log:
            return subprocess.Popen(command, stdout=log, stderr=log)

    def check() -> int:
        """Raises when something is committed and not stored; gives how much is committed."""
        offsets = committed(kafka, name, topic, PARTITIONS)
        there = stored(files)  # after: what is stored only grows
        for partition, offset in offsets.items():
            missing = set(range(offset)) - there[partition]
            assert not missing, (
                f"partition {partition}: committed {offset}, never stored {sorted(missing)[:5]}"
            )
        return sum(offsets.values())

    value = logged("p").model_dump_json().encode()
    records = {number: [value] * (RECORDS // KILLS) for number in range(PARTITIONS)}
    processes = [start(), start()]
    try:
        for _ in range(KILLS):
            await asyncio.to_thread(produce, kafka, topic, records)
            until = time.monotonic() + 3
            while time.monotonic() < until:
                await asyncio.to_thread(check)
            processes.pop(0).kill()
            processes.append(start())
        every = sum(map(len, records.values())) * KILLS
        until = time.monotonic() + SECONDS_TO_FINISH
        while await asyncio.to_thread(check) < every:
            assert time.monotonic() < until, (tmp_path / "log").read_text()[-3000:]
            await asyncio.sleep(0.2)
    finally:
        for process in processes:
            process.kill()
            process.wait(20)
