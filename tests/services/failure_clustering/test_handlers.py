from __future__ import annotations

from dataclasses import replace

from services.failure_clustering.app import build
from services.failure_clustering.clustering import Clustered
from services.failure_clustering.task import Task
from shared.events import Cluster, ClusterStatus, FailureClustersFound
from shared.flow import FLOW
from shared.jobs import Job
from shared.service import ServiceContext
from tests.services.failure_clustering.conftest import NOON, Clusterer, failure, minutes


async def test_a_cycle_wants_one_job_however_often_it_is_published(clusterer: Clusterer) -> None:
    started = clusterer.started([failure("a", "gpl"), failure("b")])
    await clusterer.handlers.on_cycle_started(started)
    await clusterer.handlers.on_cycle_started(started)
    (job,) = await clusterer.job_table.unpublished()
    assert Task.read(job.task) == Task.of_cycle(started)
    rows = await clusterer.clickhouse.rows(
        "SELECT prediction_id, right_answer, cluster_id FROM failures_v1 ORDER BY prediction_id"
    )
    assert [tuple(row.values()) for row in rows] == [("a", "gpl", ""), ("b", "", "")]


async def test_a_task_of_version_0_1_is_still_read(clusterer: Clusterer) -> None:
    started = clusterer.started([])
    cycle = {
        "cycle_id": "old",
        "workload": "licences",
        "cut": NOON.isoformat(),
        "reason": "a week",
        "requested_by": "ada",
    }
    task = Task.read(
        {
            "cycle": cycle,
            "failures": started.failures.model_dump(),
            "corrections": started.corrections.model_dump(),
        }
    )
    assert (task.cycle_id, task.cutoff, task.revision) == ("old", NOON, None)


async def test_a_job_that_failed_for_good_loses_no_correction(clusterer: Clusterer) -> None:
    await clusterer.handlers.on_cycle_started(clusterer.started([failure("a", "gpl"), failure("b")]))
    (job,) = await clusterer.job_table.unpublished()
    await clusterer.outcome.on_done(replace(job, error="no encoder"))
    (found,) = clusterer.found
    assert (found.clusters, found.corrections.rows) == ([], 1)
    assert list(clusterer.files.rows(found.failures)) == [
        {"prediction_id": "a", "cluster_id": None},
        {"prediction_id": "b", "cluster_id": None},
    ]


async def test_what_was_found_is_kept_and_said_and_the_latest_cycle_tells_where_a_failure_belongs(
    clusterer: Clusterer,
) -> None:
    for cycle_id, cutoff in (("new", minutes(5)), ("old", NOON)):
        await clusterer.handlers.on_cycle_started(
            clusterer.started([failure("a", "gpl")], cycle_id, cutoff=cutoff)
        )
        cluster_id = f"cluster-{cycle_id}"
        members = clusterer.files.freeze_rows(cycle_id, [{"prediction_id": "a", "cluster_id": cluster_id}])
        gone = Cluster(cluster_id=f"gone-{cycle_id}", name="gone", size=4, answer="bsd", right_answer="gpl")
        found = FailureClustersFound(
            cycle_id=cycle_id,
            workload="licences",
            cutoff=cutoff,
            clusters=[
                Cluster(
                    cluster_id=cluster_id,
                    name="gpl read as mit",
                    size=1,
                    answer="mit",
                    right_answer="gpl",
                    status=ClusterStatus.NEW,
                )
            ],
            failures=members,
            corrections=members,
            found_at=minutes(9),
        )
        clustered = Clustered(found=found, centroids={cluster_id: [1.0, 0.0]}, gone=[gone])
        await clusterer.outcome.on_done(
            Job(cycle_id, "", "licences", {}, NOON, result=clustered.model_dump(mode="json"))
        )
    (row,) = await clusterer.clickhouse.rows("SELECT * FROM failures_v1")
    assert (row["cluster_id"], row["cycle_id"], row["right_answer"]) == ("cluster-new", "new", "gpl")
    kept = await clusterer.clickhouse.rows(
        "SELECT cluster_id, size, status FROM clusters_v1 WHERE cycle_id = 'new'"
    )
    assert sorted(tuple(row.values()) for row in kept) == [("cluster-new", 1, "new"), ("gone-new", 0, "")]
    known, last = await clusterer.store.known_clusters("licences", minutes(6))
    assert last == minutes(5)
    newest = next(one for one in known if one.cluster_id == "cluster-new")
    assert (newest.members, list(newest.centroid), newest.is_of_last_cycle) == (
        frozenset("a"),
        [1.0, 0.0],
        True,
    )


def test_the_wiring_is_what_the_flow_page_says(context: ServiceContext) -> None:
    assert frozenset(build(context).consumes) == FLOW["failure_clustering"].consumes
