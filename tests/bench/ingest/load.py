"""`python -m tests.bench.ingest.load SERVERS RUN RATE SECONDS`: so many events a second, encoded beforehand.

Twenty times a second one of them is a probe, of a workload of its own. The last line says in JSON how many
Kafka acknowledged, when each probe was produced (seconds of the monotonic clock), and its CPU seconds.
"""

from __future__ import annotations

import json
import sys
import time

from confluent_kafka import KafkaError, Message, Producer

from tests.bench.ingest.payload import PROBES, TOPIC, WORKLOAD, Encoded

TICK_SECONDS = 0.01
PROBES_PER_SECOND = 20
FLUSH_SECONDS = 60


def load(servers: str, run: str, rate: float, seconds: float) -> dict[str, object]:
    refused = produced = 0
    probes: list[float] = []

    def on_delivery(error: KafkaError | None, message: Message) -> None:
        nonlocal refused
        refused += 1

    producer = Producer(
        {
            "bootstrap.servers": servers,
            "enable.idempotence": True,
            "linger.ms": 50,
            "delivery.report.only.error": True,  # a call of Python for each event is no part of a load
            "queue.buffering.max.messages": 1_000_000,
        }
    )
    usual, probing, number = Encoded.of(WORKLOAD), Encoded.of(PROBES), 0
    headers, probe_headers = list(usual.headers.items()), list(probing.headers.items())
    began, cpu_began = time.monotonic(), time.process_time()
    while (gone := time.monotonic() - began) < seconds:
        due = int(min(gone + TICK_SECONDS, seconds) * rate)
        for number in range(produced, due):
            name = b"%s-%016d" % (run.encode(), number)
            producer.produce(TOPIC, usual.value(name, number), name, headers=headers, on_delivery=on_delivery)
        produced = due
        if gone * PROBES_PER_SECOND >= len(probes):
            name = b"%s-%016d" % (run.encode(), len(probes))
            probes.append(time.monotonic())
            producer.produce(
                TOPIC, probing.value(name, number), name, headers=probe_headers, on_delivery=on_delivery
            )
        producer.poll(0)
        time.sleep(max(0.0, began + gone + TICK_SECONDS - time.monotonic()))
    unsaid = producer.flush(FLUSH_SECONDS)
    acknowledged, used = produced + len(probes) - refused - unsaid, time.process_time() - cpu_began
    return {"acknowledged": acknowledged, "probes": probes, "cpu_seconds": used}


if __name__ == "__main__":
    print(json.dumps(load(sys.argv[1], sys.argv[2], float(sys.argv[3]), float(sys.argv[4]))))
