"""`python -m tests.shared.flapping_service SERVERS NAME TOPIC FILE`: its store fails in 40 % of its batches.

What it stores are lines "partition offset" in the file, for a test that kills it.
"""

from __future__ import annotations

import asyncio
import random
import sys
from typing import Any

import pytest

from shared.consumer import Batch, ConsumerRecord
from shared.events import PredictionLogged
from tests.shared.consuming import own_topic, running


async def main(servers: str, name: str, topic: str, file: str) -> None:
    async def store(batch: list[ConsumerRecord[Any]]) -> None:
        await asyncio.sleep(random.random() * 0.02)
        if random.random() < 0.4:
            raise ConnectionError("the store is down")
        lines = "".join(f"{one.partition} {one.offset}\n" for one in batch)
        with open(file, "a") as stored:  # noqa: ASYNC230 - a line is written at once, killed or not
            stored.write(lines)

    async with running(servers, {own_topic(PredictionLogged, 6, topic): Batch(store)}, name=name):
        await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    patch = pytest.MonkeyPatch()
    patch.setattr("shared.consumer.worker.BATCH", 40)
    asyncio.run(main(*sys.argv[1:]))
