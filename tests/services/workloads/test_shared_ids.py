"""One prediction id in two workloads is two predictions in what cycles are made of."""

from __future__ import annotations

from datetime import timedelta

from services.workloads.correction_store import CorrectionStore
from shared.clickhouse import ClickHouse
from shared.events import PredictionCorrected, PredictionFlagged
from shared.migrations import migrate
from tests.services.workloads.conftest import NOON, corrected, flagged

DAY = timedelta(days=1)


async def test_corrections_and_suspicions_of_one_id_stay_with_their_workloads(clickhouse: ClickHouse) -> None:
    await migrate(clickhouse, "workloads")
    store = CorrectionStore(clickhouse)
    here, doubted = corrected("p-1", "refund"), flagged("p-2")
    assert isinstance(here, PredictionCorrected)
    assert isinstance(doubted, PredictionFlagged)
    there = here.model_copy(update={"workload": "mail", "right_answer": "card"})
    await store.keep_corrections([here, there])
    await store.keep_suspicions([doubted, doubted.model_copy(update={"prediction_id": "p-1"})])
    lists = {
        name: (
            await store.corrections_at(name, NOON + DAY),
            await store.failures_at(name, NOON - DAY, NOON + DAY),
        )
        for name in ("tickets", "mail")
    }
    assert {name: [one["right_answer"] for one in known] for name, (known, _) in lists.items()} == {
        "tickets": ["refund"], "mail": ["card"],
    }  # fmt: skip
    assert {name: [one["prediction_id"] for one in failed] for name, (_, failed) in lists.items()} == {
        "tickets": ["p-1", "p-2"], "mail": [],
    }  # fmt: skip
    assert (await store.corrections_since("mail")).since_last == 1
