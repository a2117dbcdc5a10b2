"""`python -m tests.bench.ingest.alone URL ROWS`: the same rows, put into ClickHouse by its own client alone.

The limit of what can go through: no Kafka, no decoding, columns made beforehand.
"""

from __future__ import annotations

import json
import sys
import time
from time import process_time
from urllib.parse import urlsplit
from uuid import uuid4

import clickhouse_connect

from tests.bench.ingest.payload import columns_of

AT_ONCE = 20_000


def insert(url: str, rows: int) -> dict[str, float]:
    """Rows a second, and CPU seconds of this process."""
    parts = urlsplit(url)
    client = clickhouse_connect.get_client(
        host=parts.hostname,
        port=parts.port,
        username=parts.username,
        password=parts.password,
        database=parts.path.strip("/"),
    )
    blocks = [columns_of(min(AT_ONCE, rows - start), uuid4().hex[:8]) for start in range(0, rows, AT_ONCE)]
    began, cpu_began = time.monotonic(), process_time()
    for block in blocks:
        client.insert(
            "predictions",
            list(block.values()),
            column_names=list(block),
            column_oriented=True,
            settings={"async_insert": 0},
        )
    return {"rows_per_s": rows / (time.monotonic() - began), "cpu_seconds": process_time() - cpu_began}


if __name__ == "__main__":
    print(json.dumps(insert(sys.argv[1], int(sys.argv[2]))))
