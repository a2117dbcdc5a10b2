"""Feedback that meets its prediction late, elsewhere or never is counted and shown. On real tables."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.clickhouse import ClickHouse
from shared.events import Thumb
from shared.migrations import migrate
from tests.services.prediction_logging.conftest import feedback, logged, workload_added
from tests.services.prediction_logging.process import Process


@pytest.fixture
async def process(clickhouse: ClickHouse) -> Process:
    await migrate(clickhouse, "prediction_logging")
    return Process(clickhouse, datetime.now(UTC))


async def unmatched(clickhouse: ClickHouse) -> list[tuple[str, str, str]]:
    rows = await clickhouse.rows("SELECT workload, prediction_id, elsewhere FROM unmatched_feedback_v1")
    return sorted((row["workload"], row["prediction_id"], row["elsewhere"]) for row in rows)


def shown(process: Process) -> float | None:
    return process.shown("tuneloop_feedback_unmatched", workload="tickets")


async def test_feedback_of_no_prediction_is_counted_until_its_prediction_comes(
    process: Process, clickhouse: ClickHouse
) -> None:
    await process.apply(feedback("p-1"), feedback("p-2", Thumb.UP))
    assert await unmatched(clickhouse) == [("tickets", "p-1", ""), ("tickets", "p-2", "")]
    assert shown(process) == 2
    await process.apply(logged("p-1"), logged("p-3"))
    assert await unmatched(clickhouse) == [("tickets", "p-2", "")]
    assert shown(process) == 1
    await process.apply(feedback("p-1"), feedback("p-3"))
    assert await unmatched(clickhouse) == [("tickets", "p-2", "")]


async def test_feedback_that_comes_again_before_its_prediction_waits_once(
    process: Process, clickhouse: ClickHouse
) -> None:
    for _ in range(2):
        await process.apply(feedback("p-1"), offset=0)
    assert shown(process) == 1
    await process.apply(logged("p-1"))
    assert await unmatched(clickhouse) == []
    assert shown(process) is None


@pytest.mark.parametrize("feedback_first", [True, False])
async def test_feedback_for_another_workload_names_the_one_that_has_the_prediction(
    process: Process, clickhouse: ClickHouse, feedback_first: bool
) -> None:
    await process.apply(workload_added("mail"))
    events: list[Any] = [logged("p-1"), feedback("p-1", workload="mail")]
    for event in reversed(events) if feedback_first else events:
        await process.apply(event)
    assert await unmatched(clickhouse) == [("mail", "p-1", "tickets")]
    assert process.flags() == []
    await process.apply(logged("p-1", workload="mail"))
    assert await unmatched(clickhouse) == []
    assert process.flags() == [("mail", "p-1", "disliked")]


async def test_a_dislike_flags_the_prediction_of_its_own_workload_alone(process: Process) -> None:
    await process.apply(workload_added("mail"))
    await process.apply(logged("p-1"), logged("p-1", workload="mail", input="other"))
    await process.apply(feedback("p-1", workload="mail"))
    assert process.flags() == [("mail", "p-1", "disliked")]


async def test_a_prediction_that_is_stored_between_two_looks_is_found(
    process: Process, clickhouse: ClickHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = process.store.workloads_of

    async def stored_meanwhile(*asked: Any) -> dict[str, str]:
        await process.apply(logged("p-1"))
        return await looked(*asked)

    monkeypatch.setattr(process.store, "workloads_of", stored_meanwhile)
    await process.apply(feedback("p-1"))
    assert process.flags() == [("tickets", "p-1", "disliked")]
    assert await unmatched(clickhouse) == []


async def test_batches_that_are_stored_at_once_each_meet_their_own_feedback(process: Process) -> None:
    ids = [f"p-{number}" for number in range(6)]
    await process.apply(*(feedback(name) for name in ids))
    await asyncio.gather(*(process.apply(logged(name)) for name in ids))
    assert sorted(process.flags()) == [("tickets", name, "disliked") for name in ids]


async def test_feedback_that_version_0_2_stored_beside_us_meets_its_prediction(
    process: Process, clickhouse: ClickHouse
) -> None:
    row: dict[str, Any] = {
        "feedback_id": "f-1",
        "prediction_id": "p-1",
        "workload": "tickets",
        "thumb": "down",
    }
    row |= {"score": None, "comment": "", "is_negative": True, "given_at": feedback("p-1").given_at}
    await clickhouse.insert("feedback", [row | {"kafka_partition": 0, "kafka_offset": 0}])
    await process.apply(logged("p-1"))
    assert process.flags() == [("tickets", "p-1", "disliked")]
