"""The first write of an id holds, whatever comes under that id later, by whatever clock. On real tables."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from services.prediction_logging.arrival_clock import ArrivalClock, nanoseconds
from services.prediction_logging.first_writes import ANOTHER_CAME_FIRST
from shared.clickhouse import ClickHouse
from shared.migrations import migrate
from tests.services.prediction_logging.conftest import NOON, logged, workload_added
from tests.services.prediction_logging.process import Process


@pytest.fixture
async def process(clickhouse: ClickHouse) -> Process:
    await migrate(clickhouse, "prediction_logging")
    return Process(clickhouse, datetime.now(UTC))


async def shown(clickhouse: ClickHouse) -> list[tuple[str, str, str]]:
    rows = await clickhouse.rows(
        "SELECT workload, prediction_id, input FROM predictions_v1 ORDER BY workload, prediction_id"
    )
    return [(row["workload"], row["prediction_id"], row["input"]) for row in rows]


async def test_a_later_write_of_an_id_does_not_change_the_text_under_a_correction(
    process: Process, clickhouse: ClickHouse
) -> None:
    await process.apply(logged("p-1", input="Where is my money?"))
    await process.apply(logged("p-1", input="Something else"))
    assert await shown(clickhouse) == [("tickets", "p-1", "Where is my money?")]


async def test_a_topic_that_was_made_anew_changes_nothing_either(
    process: Process, clickhouse: ClickHouse
) -> None:
    await process.apply(logged("p-1", input="first"), offset=1000)
    await process.apply(logged("p-1", input="second"), offset=0)
    await clickhouse.command("OPTIMIZE TABLE predictions FINAL")
    assert await shown(clickhouse) == [("tickets", "p-1", "first")]


async def test_of_one_batch_the_first_stays_an_equal_one_is_dropped_and_another_is_set_aside(
    process: Process, clickhouse: ClickHouse
) -> None:
    invalid = await process.apply(
        logged("p-1", input="first"),
        logged("p-1", input="first", latency_ms=90, predicted_at=NOON + timedelta(days=1)),
        logged("p-1", input="second"),
        logged("p-1", input="first", confidence=0.8),
    )
    assert [(one.consumed.offset, one.reason) for one in invalid] == [
        (2, ANOTHER_CAME_FIRST),
        (3, ANOTHER_CAME_FIRST),
    ]
    assert await shown(clickhouse) == [("tickets", "p-1", "first")]


async def test_one_id_in_two_workloads_is_two_predictions(process: Process, clickhouse: ClickHouse) -> None:
    await process.apply(workload_added("mail"))
    invalid = await process.apply(
        logged("p-1", input="first"), logged("p-1", input="second", workload="mail")
    )
    assert invalid == []
    assert await shown(clickhouse) == [("mail", "p-1", "second"), ("tickets", "p-1", "first")]


async def test_a_clock_that_was_set_back_lets_no_later_write_win(
    process: Process, clickhouse: ClickHouse
) -> None:
    await process.apply(logged("p-1", input="first"))
    process.time -= timedelta(days=400)
    await process.apply(logged("p-1", input="second"))
    assert await shown(clickhouse) == [("tickets", "p-1", "first")]


async def test_a_process_whose_clock_is_behind_takes_over_and_lets_no_later_write_win(
    process: Process, clickhouse: ClickHouse
) -> None:
    behind = Process(clickhouse, process.time - timedelta(hours=1))
    await behind.apply(logged("p-0"), offset=0)
    await process.apply(logged("p-1", input="first"), offset=1)
    await behind.apply(logged("p-1", input="second"), offset=2)
    assert ("tickets", "p-1", "first") in await shown(clickhouse)


def test_each_batch_arrives_later_than_the_one_before() -> None:
    clock = ArrivalClock()
    arrivals = [clock.arrival(NOON), clock.arrival(NOON), clock.arrival(NOON - timedelta(days=1))]
    assert arrivals == [nanoseconds(NOON) + later for later in range(3)]
    assert clock.arrival(NOON + timedelta(seconds=1)) == nanoseconds(NOON + timedelta(seconds=1))


def test_a_process_looks_at_the_table_wherever_it_does_not_go_on_from_its_own_last_batch() -> None:
    clock = ArrivalClock()
    assert not clock.goes_on({0: (0, 9)})
    clock.stored({0: (0, 9)})
    assert clock.goes_on({0: (10, 19)})
    assert not clock.goes_on({0: (10, 19), 1: (5, 5)})
    assert not clock.goes_on({0: (9, 19)})
