"""`python -m tests.shared.outbox.accepting SERVERS FOLDER TOPIC`: a service that Kafka may not hold up.

It acknowledges what Kafka has in time, or its synced outbox, and prints the ids, for a test that kills it.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
from functools import partial
from pathlib import Path

from prometheus_client import CollectorRegistry

from shared.broker import make_broker
from shared.kafka import Kafka
from shared.outbox import Delivery, OutboxSettings, orphaned_outboxes, own_outbox
from tests.shared.outbox.records import small
from tests.shared.outbox.test_delivery import running

IN_TIME_SECONDS = 0.3


async def main(servers: str, folder: Path, topic: str) -> None:
    settings = OutboxSettings(fsync=True)
    broker, outbox = (
        make_broker(Kafka(servers), "accepting", CollectorRegistry()),
        own_outbox(folder, settings),
    )
    publish = broker.producer.publish_and_wait
    async with running(Delivery(outbox, publish, partial(orphaned_outboxes, folder, settings))):
        for number in itertools.count():
            made = small(f"{os.getpid()}-{number}", topic)
            try:
                async with asyncio.timeout(IN_TIME_SECONDS):
                    await broker.producer.publish_records([made])
            except TimeoutError:
                await outbox.append([made])
            print(made.headers["ce_id"], flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3]))
