"""`python -m tests.bench.ingest.faststream_single SERVERS EVENTS`: FastStream, one by one, by pydantic.

As its documentation shows it: the handler names the event's class. The places of its rows are made up: to ask
for the message as well costs it as much again.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from time import process_time
from typing import Any
from uuid import uuid4

from faststream.confluent import KafkaBroker

from shared.events import PredictionLogged
from tests.bench.ingest.columns import AT_ONCE, columns
from tests.bench.ingest.measured import said


async def measure(servers: str, events: int) -> float:
    """CPU seconds of this process."""
    began = process_time()
    broker = KafkaBroker(servers, logger=None)
    rows: list[dict[str, Any]] = []
    left, done = events, asyncio.Event()

    @broker.subscriber(
        PredictionLogged.topic.name, group_id=f"faststream-{uuid4().hex[:8]}", auto_offset_reset="earliest"
    )
    async def on_prediction_logged(event: PredictionLogged) -> None:
        nonlocal left
        rows.append(vars(event))
        left -= 1
        if len(rows) == AT_ONCE or left == 0:
            columns(rows, [(0, 0)] * len(rows))
            rows.clear()
        if left == 0:
            done.set()

    await broker.start()
    await done.wait()
    used = process_time() - began
    await broker.stop()
    return used


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    said(asyncio.run(measure(sys.argv[1], int(sys.argv[2]))), int(sys.argv[2]))
