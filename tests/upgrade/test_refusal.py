"""A service whose tables newer code has changed says which version to run, and ends."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from shared.clickhouse import ClickHouse
from shared.migrations import migrate
from tests.servers.kafka import embedded_kafka
from tests.servers.model import ROOT, free_port


async def test_a_service_of_older_code_ends_with_one_line(
    clickhouse: ClickHouse, database_url: str, tmp_path: Path
) -> None:
    await migrate(clickhouse, "prediction_logging")
    newer = {"number": 99, "name": "newer", "digest": "", "oldest_code": "9.8", "applied_by": "9.9.1"}
    await clickhouse.insert("schema_migrations", [{"service": "prediction_logging"} | newer])
    with embedded_kafka(tmp_path / "kafka") as kafka:
        addresses = {
            "KAFKA_BOOTSTRAP_SERVERS": kafka,
            "CLICKHOUSE_URL": database_url,
            "STATE_FOLDER": str(tmp_path / "state"),
            "FILES_URI": (tmp_path / "files").as_uri(),
        }
        service = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "services", "prediction_logging", "--port", str(free_port()),
            cwd=ROOT, env=os.environ | addresses, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        async with asyncio.timeout(60):
            _, written = await service.communicate()
    assert service.returncode == 1
    *_, last = written.decode().strip().splitlines()
    assert last.startswith("tuneloop 9.9.1 has migrated the tables of prediction_logging")
    assert "run 9.8 or newer" in last
    assert "Traceback" not in written.decode()
