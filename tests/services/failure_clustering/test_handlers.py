from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from services.failure_clustering.app import build
from services.failure_clustering.failure import Failure
from shared.events import CycleRequested, FailureClustersFound, FlagReason, FrozenFile
from shared.flow import FLOW
from shared.jobs import Job
from shared.service import ServiceContext
from shared.workload import Cycle
from tests.services.failure_clustering.conftest import (
    NOON,
    Clusterer,
    corrected,
    flagged,
    minutes,
    requested,
)


async def failures(clusterer: Clusterer) -> dict[str, str]:
    rows = await clusterer.clickhouse.rows("SELECT prediction_id, right_answer FROM failures_v1")
    return {row["prediction_id"]: row["right_answer"] for row in rows}


async def test_what_is_doubted_or_disliked_is_a_failure_until_a_reviewer_says_otherwise(
    clusterer: Clusterer,
) -> None:
    await clusterer.apply(
        flagged("doubted"),
        flagged("twice"),
        flagged("twice", reason=FlagReason.DISLIKED),
        flagged("audited", reason=FlagReason.AUDIT),
        flagged("confirmed"),
        corrected("confirmed", "mit"),
        corrected("wrong", "gpl"),
    )
    assert await failures(clusterer) == {"doubted": "", "twice": "", "wrong": "gpl"}


async def test_the_newest_correction_holds_in_whatever_order_they_come(clusterer: Clusterer) -> None:
    await clusterer.apply(corrected("a", "gpl", at=minutes(2)), corrected("a", "mit", at=minutes(1)))
    assert await failures(clusterer) == {"a": "gpl"}


async def test_events_consumed_again_change_nothing(clusterer: Clusterer) -> None:
    events = [flagged("a"), corrected("b", "gpl")]
    await clusterer.apply(*events)
    await clusterer.apply(*events)
    rows = await clusterer.clickhouse.rows("SELECT count() AS n FROM failures_v1")
    assert rows[0]["n"] == 2


async def test_what_lies_after_the_cut_belongs_to_the_next_cycle(clusterer: Clusterer) -> None:
    await clusterer.apply(
        corrected("before", "gpl", at=NOON),
        corrected("after", "gpl", at=minutes(0.001)),
        corrected("changed", "gpl", at=minutes(-1)),
        corrected("changed", "mit", at=minutes(1)),
        flagged("doubted-later", at=minutes(1)),
    )
    assert await clusterer.store.failures_at("licences", minutes(-99), NOON) == [
        Failure("before", "mit", "gpl"),
        Failure("changed", "mit", "gpl"),
    ]
    at_cut = await clusterer.store.corrections_at("licences", NOON)
    assert [(row["prediction_id"], row["right_answer"]) for row in at_cut] == [
        ("before", "gpl"),
        ("changed", "gpl"),
    ]
    assert at_cut[0]["predicted_at"] == NOON.isoformat(timespec="milliseconds")


async def test_confirmations_are_among_the_corrections_and_not_among_the_failures(
    clusterer: Clusterer,
) -> None:
    await clusterer.apply(corrected("right", "mit"), corrected("wrong", "gpl"))
    assert [
        one.prediction_id for one in await clusterer.store.failures_at("licences", minutes(-9), NOON)
    ] == ["wrong"]
    assert len(await clusterer.store.corrections_at("licences", NOON)) == 2


async def test_a_cycle_requested_again_keeps_the_lists_it_was_first_given(clusterer: Clusterer) -> None:
    await clusterer.apply(corrected("a", "gpl"))
    await clusterer.handlers.on_cycle_requested(requested())
    await clusterer.apply(corrected("late", "gpl"))
    await clusterer.handlers.on_cycle_requested(requested())
    (job,) = await clusterer.job_table.unpublished()
    listed = clusterer.files.rows(FrozenFile(**job.task["corrections"]))
    assert [row["prediction_id"] for row in listed] == ["a"]
    (cycle,) = await clusterer.clickhouse.rows("SELECT * FROM cycles_v1")
    assert (cycle["cycle_id"], cycle["requested_by"]) == ("cycle-1", "ada")


@pytest.mark.parametrize(
    ("asked_after", "waits"), [(-60, 3.0), (0.0, 3.0), (0.01, 2.4), (1, 0.0)], ids=lambda one: f"{one}"
)
async def test_a_correction_on_its_way_at_the_cut_still_counts(
    clusterer: Clusterer, monkeypatch: pytest.MonkeyPatch, asked_after: float, waits: float
) -> None:
    waited = []

    async def arrives_meanwhile(seconds: float) -> None:
        waited.append(seconds)
        await clusterer.apply(corrected("a", "gpl"))

    monkeypatch.setattr("services.failure_clustering.handlers.sleep", arrives_meanwhile)
    clusterer.time = minutes(asked_after)
    await clusterer.handlers.on_cycle_requested(requested(cut=NOON))
    assert waited == [pytest.approx(waits)]
    (job,) = await clusterer.job_table.unpublished()
    assert job.task["corrections"]["rows"] == 1


async def test_a_cycle_of_an_unknown_workload_holds_nothing_up(clusterer: Clusterer) -> None:
    await clusterer.handlers.on_cycle_requested(requested().model_copy(update={"workload": "other"}))
    assert await clusterer.job_table.unpublished() == []


async def test_a_job_that_failed_for_good_loses_no_correction(clusterer: Clusterer) -> None:
    await clusterer.apply(corrected("a", "gpl"), flagged("b"))
    await clusterer.handlers.on_cycle_requested(requested())
    (job,) = await clusterer.job_table.unpublished()
    await clusterer.outcome.on_done(replace(job, error="no encoder"))
    (found,) = clusterer.found
    assert (found.clusters, found.corrections.rows) == ([], 1)
    assert list(clusterer.files.rows(found.failures)) == [
        {"prediction_id": "a", "cluster_id": None},
        {"prediction_id": "b", "cluster_id": None},
    ]


async def test_enough_failures_start_a_cycle_and_saying_it_twice_is_one_cycle(
    clusterer: Clusterer, tmp_path: Path
) -> None:
    clusterer = Clusterer(clusterer.clickhouse, tmp_path, Cycle(corrections=2))
    await clusterer.apply(flagged("a"), flagged("b"))
    await clusterer.handlers.start_due_cycles()
    assert clusterer.published == []  # nobody has corrected anything yet
    await clusterer.apply(corrected("a", "gpl"))
    await clusterer.handlers.start_due_cycles()
    clusterer.time = minutes(61)
    await clusterer.handlers.start_due_cycles()
    first, again = clusterer.published
    assert isinstance(first, CycleRequested)
    assert (first.reason, first.cut) == ("2 failures since the last cycle", minutes(60))
    assert first.event_id == again.event_id


async def test_after_a_cycle_it_counts_from_its_cut(clusterer: Clusterer, tmp_path: Path) -> None:
    clusterer = Clusterer(clusterer.clickhouse, tmp_path, Cycle(corrections=1))
    await clusterer.apply(corrected("a", "gpl"))
    await clusterer.handlers.on_cycle_requested(requested(cut=minutes(5)))
    await clusterer.handlers.start_due_cycles()
    assert clusterer.published == []
    await clusterer.apply(corrected("b", "gpl", at=minutes(6)))
    await clusterer.handlers.start_due_cycles()
    assert len(clusterer.published) == 1


async def test_what_was_found_is_kept_and_said_and_the_latest_cycle_tells_where_a_failure_belongs(
    clusterer: Clusterer,
) -> None:
    await clusterer.apply(corrected("a", "gpl"))
    for cycle_id, cut in (("new", minutes(5)), ("old", NOON)):
        cluster_id = f"cluster-{cycle_id}"
        members = clusterer.files.freeze_rows(cycle_id, [{"prediction_id": "a", "cluster_id": cluster_id}])
        cluster = {
            "cluster_id": cluster_id,
            "name": "gpl read as mit",
            "size": 1,
            "answer": "mit",
            "right_answer": "gpl",
        }
        found = FailureClustersFound.model_validate(
            {
                "cycle_id": cycle_id,
                "workload": "licences",
                "cut": cut,
                "clusters": [cluster],
                "failures": members,
                "corrections": members,
                "found_at": minutes(9),
            }
        )
        await clusterer.outcome.on_done(
            Job(cycle_id, "", "licences", {}, NOON, result=found.model_dump(mode="json"))
        )
    (row,) = await clusterer.clickhouse.rows("SELECT * FROM failures_v1")
    assert (row["cluster_id"], row["cycle_id"], row["right_answer"]) == ("cluster-new", "new", "gpl")
    assert len(await clusterer.clickhouse.rows("SELECT * FROM clusters_v1")) == len(clusterer.found) == 2


def test_the_wiring_is_what_the_flow_page_says(context: ServiceContext) -> None:
    assert frozenset(build(context).consumes) == FLOW["failure_clustering"].consumes
