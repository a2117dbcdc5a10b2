"""Cycles: decided at once, frozen, published even after a kill, and one at a time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from shared.clickhouse import ClickHouse
from shared.events import (
    CycleRequested,
    CycleStarted,
    DatasetRefused,
    FlagReason,
    TrainingFailed,
    Verdict,
)
from shared.migrations import migrate
from tests.services.workloads.conftest import (
    NOON,
    WHO,
    Workloads,
    corrected,
    definition,
    flagged,
    judged,
    minutes,
)


async def started(workloads: Workloads) -> list[CycleStarted]:
    await workloads.publish_all()
    return [event for event in workloads.published if isinstance(event, CycleStarted)]


async def listed(workloads: Workloads, cycle: CycleStarted) -> tuple[list[Any], list[Any]]:
    """(prediction, answer, right answer) of each failure, (prediction, right answer) of each correction."""
    failures = workloads.context.files.rows(cycle.failures)
    corrections = workloads.context.files.rows(cycle.corrections)
    return (
        [(row["prediction_id"], row["answer"], row["right_answer"]) for row in failures],
        [(row["prediction_id"], row["right_answer"]) for row in corrections],
    )


async def test_a_cycle_is_decided_when_it_is_answered_and_its_lists_are_frozen(workloads: Workloads) -> None:
    await workloads.add_and_promote()
    await workloads.apply(
        corrected("wrong", "refund"),
        corrected("right", "card"),
        flagged("doubted"),
        flagged("drawn", reason=FlagReason.AUDIT),
    )
    answer = await workloads.cycle()
    assert answer.status_code == 201
    assert (answer.json()["failures"], answer.json()["corrections"]) == (2, 2)
    (cycle,) = await started(workloads)
    assert (cycle.cycle_id, cycle.requested_by) == (answer.json()["cycle_id"], "ada")
    assert cycle.revision == 1
    failures, corrections = await listed(workloads, cycle)
    assert failures == [("doubted", "card", ""), ("wrong", "card", "refund")]
    assert corrections == [("right", "card"), ("wrong", "refund")]


async def test_what_lies_after_the_cutoff_belongs_to_the_next_cycle(workloads: Workloads) -> None:
    await workloads.add_and_promote()
    await workloads.apply(
        corrected("before", "refund", at=minutes(60)),
        corrected("after", "refund", at=minutes(60.001)),
        corrected("changed", "refund", at=minutes(59)),
        corrected("changed", "parcel", at=minutes(61)),
        flagged("doubted-later", at=minutes(61)),
    )
    await workloads.cycle()
    (cycle,) = await started(workloads)
    failures, corrections = await listed(workloads, cycle)
    assert failures == [("before", "card", "refund"), ("changed", "card", "refund")]
    assert corrections == [("before", "refund"), ("changed", "refund")]


async def test_events_consumed_again_change_nothing(workloads: Workloads) -> None:
    await workloads.add_and_promote()
    for _ in range(2):
        await workloads.apply(corrected("a", "refund"), flagged("b"))
    answer = await workloads.cycle()
    assert (answer.json()["failures"], answer.json()["corrections"]) == (2, 1)


async def test_starting_twice_names_the_one_under_way(workloads: Workloads) -> None:
    await workloads.add_and_promote()
    await workloads.apply(corrected("a", "refund"))
    first, second = await asyncio.gather(workloads.cycle(), workloads.cycle())
    assert sorted((first.status_code, second.status_code)) == [201, 409]
    one, other = sorted((first, second), key=lambda answer: answer.status_code)
    assert other.json()["cycle_id"] == one.json()["cycle_id"]
    assert "under way" in other.json()["detail"]
    assert len(await started(workloads)) == 1


async def test_nothing_to_learn_from_is_refused_with_the_reason(workloads: Workloads) -> None:
    await workloads.add_and_promote()
    await workloads.apply(flagged("a"), flagged("b"))
    answer = await workloads.cycle()
    assert answer.status_code == 409
    assert answer.json()["detail"].startswith("There is nothing to learn from: no correction has come")
    assert "cycle_id" not in answer.json()


async def test_no_cycle_starts_while_the_first_model_is_undecided(workloads: Workloads) -> None:
    added = await workloads.add()
    await workloads.apply(corrected("a", "refund"))
    answer = await workloads.cycle()
    assert answer.status_code == 409
    assert answer.json()["detail"].startswith("The model of revision 1 is undecided")
    await workloads.apply(judged(added["round_id"], Verdict.HOLD, cycle=False))
    assert (await workloads.cycle()).status_code == 201


@pytest.mark.parametrize("ending", ["refused", "failed", "held", "promoted"])
async def test_whatever_ends_a_cycle_lets_the_next_one_start(workloads: Workloads, ending: str) -> None:
    await workloads.add_and_promote()
    await workloads.apply(corrected("a", "refund"))
    cycle_id = (await workloads.cycle()).json()["cycle_id"]
    end: Any = {
        "refused": DatasetRefused(
            workload="tickets", cycle_id=cycle_id, cutoff=NOON, reason="No row is new.", refused_at=NOON
        ),
        "failed": TrainingFailed(
            run_id="r",
            workload="tickets",
            dataset_id=judged(cycle_id).dataset_id,
            reason="The disk is full.",
            failed_at=NOON,
        ),
        "held": judged(cycle_id, Verdict.HOLD),
        "promoted": judged(cycle_id),
    }[ending]
    await workloads.apply(end, end)
    status = (await workloads.client.get("/workloads/tickets/status")).json()
    assert (status["last_cycle"]["state"], status["last_cycle"]["outcome"]) == ("over", ending)
    assert status["round"]["is_over"]
    workloads.time = minutes(61)
    answer = await workloads.cycle()
    if ending == "promoted":  # what the champion has learnt is no news
        assert answer.status_code == 409
        await workloads.apply(corrected("b", "refund", at=minutes(60.5)))
        answer = await workloads.cycle()
    assert answer.status_code == 201


async def test_killed_between_store_and_publish_the_same_cycle_is_published_later(
    workloads: Workloads,
) -> None:
    await workloads.add_and_promote()
    await workloads.apply(corrected("a", "refund"))
    workloads.is_down = True
    answer = await workloads.cycle()
    assert answer.status_code == 201
    await workloads.kill()
    workloads.is_down = False
    await workloads.start()
    (cycle,) = await started(workloads)
    assert cycle.cycle_id == answer.json()["cycle_id"]
    assert len(await started(workloads)) == 1
    assert (await workloads.cycle()).json()["cycle_id"] == cycle.cycle_id


async def test_a_correction_on_its_way_at_the_cutoff_still_counts(
    workloads: Workloads, monkeypatch: pytest.MonkeyPatch
) -> None:
    await workloads.add_and_promote()

    async def arrives_meanwhile(seconds: float) -> None:
        await workloads.apply(corrected("a", "refund", at=workloads.time))

    monkeypatch.setattr("services.workloads.cycles.sleep", arrives_meanwhile)
    assert (await workloads.cycle()).json()["corrections"] == 1


async def test_enough_new_corrections_start_a_cycle_and_suspicions_do_not(workloads: Workloads) -> None:
    given = {"definition": definition(cycle={"corrections": 2}), "rows": None}
    await workloads.add_and_promote()
    await workloads.add(given)
    await workloads.apply(flagged("a"), flagged("b"), flagged("c"), corrected("d", "refund"))
    assert await started(workloads) == []
    await workloads.apply(corrected("e", "refund"))
    (cycle,) = await started(workloads)
    assert (cycle.reason, cycle.requested_by) == ("2 corrections since the last cycle", "tuneloop")
    await workloads.apply(corrected("f", "refund", at=minutes(61)), corrected("g", "refund", at=minutes(61)))
    assert len(await started(workloads)) == 1  # the candidate is undecided
    workloads.time = minutes(62)
    await workloads.apply(judged(cycle.cycle_id, Verdict.REJECT))
    assert len(await started(workloads)) == 2


async def test_a_week_after_the_last_cycle_one_correction_is_enough(workloads: Workloads) -> None:
    await workloads.add_and_promote()
    await workloads.apply(corrected("a", "refund"))
    assert await started(workloads) == []
    workloads.time = minutes(7 * 24 * 60 + 61)
    (cycle,) = await started(workloads)
    assert cycle.reason == "7 days since the last cycle"


async def test_a_cycle_that_version_0_1_asked_for_is_started_once(workloads: Workloads) -> None:
    await workloads.add_and_promote()
    await workloads.apply(corrected("a", "refund"), corrected("late", "refund", at=minutes(30)))
    asked = CycleRequested(
        cycle_id="of-0.1", workload="tickets", cut=minutes(10), reason="a week", requested_by="tuneloop"
    )
    await workloads.apply(asked, asked)
    (cycle,) = await started(workloads)
    assert (cycle.cycle_id, cycle.cutoff, cycle.corrections.rows) == ("of-0.1", minutes(10), 1)
    await workloads.apply(judged("of-0.1"), asked)
    assert len(await started(workloads)) == 1


async def test_lists_name_labels_as_they_are_called_now(workloads: Workloads) -> None:
    await workloads.add_and_promote()
    await workloads.apply(
        corrected("renamed", "refund", answer="card"),
        corrected("answer-gone", "refund", answer="parcel"),
        corrected("right-answer-gone", "parcel", answer="refund"),
    )
    labels = ["refund", {"name": "bank card", "was": "card"}]
    added = await workloads.add({"definition": definition(labels=labels)})
    await workloads.apply(judged(added["round_id"], cycle=False))
    await workloads.cycle()
    (cycle,) = await started(workloads)
    failures, corrections = await listed(workloads, cycle)
    assert failures == [("answer-gone", "parcel", "refund"), ("renamed", "bank card", "refund")]
    assert corrections == [("answer-gone", "refund"), ("renamed", "refund")]


async def test_what_version_0_1_kept_is_taken_over(workloads: Workloads, clickhouse: ClickHouse) -> None:
    at = "toDateTime64('2026-01-01 00:00:00', 3, 'UTC')"
    shape = "workload String, prediction_id String, predicted_at DateTime64(3, 'UTC'), answer String"
    for table, columns, row in (
        ("cycles", "cycle_id String, workload String, cut DateTime64(3, 'UTC'), reason String, "
         "requested_by String", f"'old', 'tickets', {at}, 'a week', 'ada'"),
        ("failure_suspicions", f"{shape}, reason String, flagged_at DateTime64(3, 'UTC')",
         f"'tickets', 'p1', {at}, 'card', 'doubted', {at}"),
        ("failure_corrections", f"{shape}, right_answer String, corrected_at DateTime64(3, 'UTC')",
         f"'tickets', 'p2', {at}, 'card', 'refund', {at}"),
    ):  # fmt: skip
        await clickhouse.command(f"CREATE TABLE {table} ({columns}) ENGINE = MergeTree ORDER BY workload")
        await clickhouse.command(f"INSERT INTO {table} VALUES ({row})")
    await clickhouse.command("ALTER TABLE schema_migrations DELETE WHERE 1 SETTINGS mutations_sync = 1")
    await migrate(clickhouse, "workloads")
    (cycle,) = await clickhouse.rows("SELECT cycle_id, cut = cutoff AS same, state, outcome FROM cycles_v1")
    assert cycle == {"cycle_id": "old", "same": 1, "state": "over", "outcome": ""}
    for table in ("suspected_predictions", "corrected_predictions"):
        assert await clickhouse.rows(f"SELECT count() AS n FROM {table}") == [{"n": 1}]
    tables = await clickhouse.rows("SELECT name FROM system.tables WHERE database = currentDatabase()")
    assert {"cycles", "failure_suspicions", "failure_corrections"}.isdisjoint(row["name"] for row in tables)


async def test_an_unknown_workload_is_said(workloads: Workloads) -> None:
    answer = await workloads.client.post("/workloads/none/cycles", json=WHO)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
