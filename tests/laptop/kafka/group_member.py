"""A group member in a process of its own, to be killed: `group_member.py ADDRESS TOPIC GROUP SESSION_MS`.

Prints its partitions, comma-separated, whenever they change.
"""

import sys

from confluent_kafka import Consumer


def main(address: str, topic: str, group: str, session_ms: str) -> None:
    consumer = Consumer(
        {
            "bootstrap.servers": address,
            "group.id": group,
            "session.timeout.ms": int(session_ms),
            "heartbeat.interval.ms": 500,
            "partition.assignment.strategy": "cooperative-sticky",
        }
    )
    consumer.subscribe([topic])
    shown: list[int] = []
    while True:
        consumer.poll(0.1)
        held = sorted(each.partition for each in consumer.assignment())
        if held != shown:
            print(",".join(map(str, held)), flush=True)
            shown = held


if __name__ == "__main__":
    main(*sys.argv[1:])
