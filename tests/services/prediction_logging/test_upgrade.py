"""Tables of version 0.2 become those of now: what was shown stays, and code of 0.2 may write beside."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from shared.clickhouse import ClickHouse
from shared.migrations import migrate
from tests.servers.model import ROOT
from tests.services.prediction_logging.conftest import logged
from tests.services.prediction_logging.process import Process

OF_NOW = ROOT / "services/prediction_logging"
OF_0_2 = ("0001_initial.sql", "0002_subject_and_group.sql")


def row(prediction_id: str, text: str, **fields: Any) -> dict[str, Any]:
    """As version 0.2 writes it, without naming columns that came later."""
    event = logged(prediction_id, input=text)
    kept = ("prediction_id", "workload", "predicted_at", "adapter", "input", "answer", "confidence")
    more = ("probabilities", "latency_ms", "tokens_in", "attributes")
    return {name: getattr(event, name) for name in kept + more} | {
        "subject_id": "s-1", "group_id": "", "kafka_partition": 0, "kafka_offset": 0,
    } | fields  # fmt: skip


def signal(prediction_id: str, **fields: Any) -> dict[str, Any]:
    return {
        "feedback_id": f"f-{prediction_id}", "prediction_id": prediction_id, "workload": "tickets",
        "thumb": "down", "score": None, "comment": "", "subject_id": "", "group_id": "", "is_negative": True,
        "given_at": datetime.now(UTC), "kafka_partition": 0, "kafka_offset": 0,
    } | fields  # fmt: skip


async def shown(clickhouse: ClickHouse) -> list[dict[str, Any]]:
    return await clickhouse.rows("SELECT * FROM predictions_v1 ORDER BY prediction_id")


async def counted(clickhouse: ClickHouse) -> int:
    (total,) = await clickhouse.rows("SELECT sum(predictions) AS n FROM prediction_counts_v1")
    return int(total["n"])


@pytest.fixture
async def of_0_2(clickhouse: ClickHouse, tmp_path: Path) -> ClickHouse:
    """Five predictions, one of which was written twice, and feedback, half of which meets none."""
    (tmp_path / "migrations").mkdir()
    for name in OF_0_2:
        shutil.copy(OF_NOW / "migrations" / name, tmp_path / "migrations")
    views = "CREATE OR REPLACE VIEW predictions_v1 AS SELECT * FROM predictions FINAL;"
    (tmp_path / "views.sql").write_text(views)
    await migrate(clickhouse, "prediction_logging", tmp_path, code="0.2.0")
    await clickhouse.insert("predictions", [row(f"p-{number}", f"text {number}") for number in range(5)])
    await clickhouse.insert("predictions", [row("p-2", "the text that version 0.2 shows")])
    await clickhouse.insert("feedback", [signal("p-1"), signal("p-none")])
    return clickhouse


async def test_what_was_shown_is_shown_counted_and_arrived(of_0_2: ClickHouse) -> None:
    before = await shown(of_0_2)
    await migrate(of_0_2, "prediction_logging")
    after = await shown(of_0_2)
    both = before[0].keys() & after[0].keys()
    assert [{name: one[name] for name in both} for one in before] == [
        {name: one[name] for name in both} for one in after
    ]
    assert after[2]["input"] == "the text that version 0.2 shows"
    assert await counted(of_0_2) == 5
    arrived = await of_0_2.rows("SELECT uniqExact(prediction_id) AS n FROM arrivals_v1")
    assert arrived == [{"n": 5}]
    assert [one["prediction_id"] for one in await of_0_2.rows("SELECT * FROM unmatched_feedback_v1")] == [
        "p-none"
    ]


async def test_code_of_0_2_goes_on_writing_and_the_first_write_holds(of_0_2: ClickHouse) -> None:
    await migrate(of_0_2, "prediction_logging")
    await of_0_2.insert("predictions", [row("p-9", "by 0.2"), row("p-1", "again, by 0.2")])
    process = Process(of_0_2, datetime.now(UTC))
    await process.apply(logged("p-9", input="later"))
    assert {one["prediction_id"]: one["input"] for one in await shown(of_0_2)} == {
        "p-0": "text 0", "p-1": "text 1", "p-2": "the text that version 0.2 shows", "p-3": "text 3",
        "p-4": "text 4", "p-9": "by 0.2",
    }  # fmt: skip


async def test_a_migration_that_was_cut_off_is_done_again(of_0_2: ClickHouse) -> None:
    """Its every statement may run again, in the tables that any number of them left."""
    await migrate(of_0_2, "prediction_logging")
    await of_0_2.command("ALTER TABLE schema_migrations DELETE WHERE number = 3 SETTINGS mutations_sync = 2")
    await migrate(of_0_2, "prediction_logging")
    assert len(await shown(of_0_2)) == 5
    assert await counted(of_0_2) == 5
