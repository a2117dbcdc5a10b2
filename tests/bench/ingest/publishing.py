"""`python -m tests.bench.ingest.publishing SERVERS EVENTS [ready]`: publishing in batches.

Events by `Publish`, as handlers call it; or records that are ready, as the intake has them.
"""

from __future__ import annotations

import asyncio
import sys
from time import process_time

from prometheus_client import CollectorRegistry

from shared.broker import make_broker, make_publish
from shared.events import record
from shared.kafka import Kafka
from tests.bench.ingest.measured import said
from tests.bench.ingest.payload import event

AT_ONCE = 1000


async def measure(servers: str, events: int, *, are_ready: bool) -> float:
    """CPU seconds of this process."""
    broker = make_broker(Kafka(servers), "bench", CollectorRegistry())
    await broker.connect()
    publish = make_publish(broker, "bench")
    made = [event(f"published-{n}", number=n) for n in range(events)]
    ready = [record(one, "bench") for one in made] if are_ready else []
    await publish(*made[:AT_ONCE])  # connections, the producer's id
    began = process_time()
    for start in range(0, events, AT_ONCE):
        if are_ready:
            await broker.producer.publish_records(ready[start : start + AT_ONCE])
        else:
            await publish(*made[start : start + AT_ONCE])
    used = process_time() - began
    await broker.stop()
    return used


if __name__ == "__main__":
    said(asyncio.run(measure(sys.argv[1], int(sys.argv[2]), are_ready="ready" in sys.argv)), int(sys.argv[2]))
