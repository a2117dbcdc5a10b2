"""Which requests the shadow takes next: what is new, each once, whatever arrives late or twice."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from services.shadow_deployment.store import ShadowStore
from services.shadow_deployment.unpaired_requests import UnpairedRequests
from shared.clickhouse import ClickHouse
from shared.events import CandidateEvaluated, PredictionCorrected, ShadowPairRecorded
from shared.migrations import migrate
from tests.servers.views import views_as_tables
from tests.services.shadow_deployment.example_events import CUTOFF, WORKLOAD, evaluated

NOW = CUTOFF + timedelta(hours=1)


class Requests:
    """What the champion "first" answered, and the shadow's store."""

    def __init__(self, clickhouse: ClickHouse) -> None:
        self.clickhouse, self.store = clickhouse, ShadowStore(clickhouse)
        self.unpaired = UnpairedRequests(clickhouse)
        self.candidate: CandidateEvaluated = evaluated("second", "first")

    async def arrive(
        self,
        *ids: str,
        at: datetime = NOW,
        adapter: str = "first",
        workload: str = WORKLOAD,
        first_write: str | None = "first",
    ) -> None:
        """`first_write`: who answered what is shown under these ids; None: they are shown already."""
        arrived = [
            {
                "prediction_id": name,
                "workload": workload,
                "predicted_at": CUTOFF + timedelta(seconds=number + 1),
                "adapter": adapter,
                "arrived_at": at,
            }
            for number, name in enumerate(ids)
        ]
        await self.clickhouse.insert("arrivals_v1", arrived)
        if first_write is not None:
            said = {"adapter": first_write, "input": "text", "answer": "MIT"}
            shown = [{name: one[name] for name in one if name != "arrived_at"} | said for one in arrived]
            await self.clickhouse.insert("predictions_v1", shown)

    async def taken(self, now: datetime = NOW, limit: int = 4, skipped: tuple[str, ...] = ()) -> list[str]:
        """The next ones, which then have their pairs."""
        requests = await self.unpaired.first(self.candidate, "first", limit, now, skipped=skipped)
        await self.store.keep_pairs([self.pair(one.prediction_id, one.predicted_at) for one in requests])
        return [one.prediction_id for one in requests]

    def pair(self, prediction_id: str, predicted_at: datetime) -> ShadowPairRecorded:
        return ShadowPairRecorded(
            run_id=self.candidate.run_id,
            workload=WORKLOAD,
            prediction_id=prediction_id,
            predicted_at=predicted_at,
            champion="first",
            champion_answer="MIT",
            champion_confidence=0.9,
            candidate="second",
            candidate_answer="MIT",
            candidate_confidence=0.9,
            recorded_at=NOW,
        )


@pytest.fixture
async def requests(clickhouse: ClickHouse) -> Requests:
    await views_as_tables(clickhouse, "prediction_logging")
    await migrate(clickhouse, "shadow_deployment")
    return Requests(clickhouse)


async def test_a_batch_that_arrived_at_one_moment_is_taken_piece_by_piece(requests: Requests) -> None:
    ids = [f"p-{number}" for number in range(10)]
    await requests.arrive(*ids)
    assert [await requests.taken(NOW + timedelta(hours=1)) for _ in range(4)] == [
        ids[:4], ids[4:8], ids[8:], []
    ]  # fmt: skip


async def test_what_is_seen_late_is_taken_although_the_shadow_looked_past_it(requests: Requests) -> None:
    await requests.arrive("p-1", at=NOW)
    assert await requests.taken(NOW + timedelta(minutes=4)) == ["p-1"]
    assert await requests.taken(NOW + timedelta(minutes=4)) == []
    await requests.arrive("p-2", at=NOW + timedelta(seconds=1))
    assert await requests.taken(NOW + timedelta(minutes=4)) == ["p-2"]


async def test_what_arrived_twice_is_taken_once(requests: Requests) -> None:
    await requests.arrive("p-1", at=NOW)
    await requests.arrive("p-1", at=NOW + timedelta(seconds=1), first_write=None)
    assert await requests.taken() == ["p-1"]
    assert await requests.taken() == []


async def test_ids_whose_first_write_was_not_the_champions_hold_nothing_up(requests: Requests) -> None:
    await requests.arrive("c-1", "c-2", "c-3", "c-4", first_write="another")
    await requests.arrive("p-1", at=NOW + timedelta(seconds=1))
    assert await requests.taken() == []
    assert await requests.taken() == ["p-1"]


async def test_other_workloads_and_other_adapters_requests_are_not_taken(requests: Requests) -> None:
    await requests.arrive("p-1", workload="another")
    await requests.arrive("p-2", adapter="another")
    await requests.arrive("p-3")
    assert await requests.taken() == ["p-3"]


async def test_after_a_restart_it_goes_on_with_what_has_no_pair(requests: Requests) -> None:
    await requests.arrive("p-1", "p-2", "p-3")
    assert await requests.taken(limit=2) == ["p-1", "p-2"]
    requests.unpaired = UnpairedRequests(requests.clickhouse)
    assert await requests.taken(skipped=("p-3",)) == []
    assert await requests.taken() == ["p-3"]


async def test_one_id_in_two_workloads_has_two_pairs_each_with_its_own_right_answer(
    requests: Requests,
) -> None:
    await requests.arrive("p-1")
    assert await requests.taken() == ["p-1"]
    pair = requests.pair("p-1", CUTOFF)
    other = pair.model_copy(update={"workload": "another"})
    await requests.store.keep_pairs([other])
    corrections = [
        PredictionCorrected(
            prediction_id="p-1",
            workload=workload,
            predicted_at=CUTOFF,
            adapter="first",
            answer="MIT",
            confidence=0.9,
            right_answer=right_answer,
            reviewers=["ada"],
            review_ids=["r"],
            corrected_at=NOW,
        )
        for workload, right_answer in ((WORKLOAD, "MIT"), ("another", "GPL"))
    ]
    await requests.store.keep_right_answers(corrections)
    run = requests.candidate.run_id
    answers = [
        [one.right_answer for one in await requests.store.pairs(workload, run)]
        for workload in (WORKLOAD, "another")
    ]
    assert answers == [["MIT"], ["GPL"]]
    assert pair.event_id != other.event_id
    assert corrections[0].event_id != corrections[1].event_id
