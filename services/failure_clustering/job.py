"""Groups a cycle's failures, as a child process: `python -m services.failure_clustering.job`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from services.failure_clustering.clusters import Group, find_groups
from services.failure_clustering.cycle_files import cycle_file
from services.failure_clustering.failure import Failure
from services.failure_clustering.names import name_groups
from services.failure_clustering.store import FailureStore
from shared.addresses import Addresses
from shared.clickhouse import connect
from shared.events import Cluster, CycleRequested, FailureClustersFound, FrozenFile, derived_id, now
from shared.files import Files
from shared.job_protocol import JobProgress, Order, Report, run_job


class Clustering:
    """Groups the failures that one task names."""

    def __init__(self, task: Mapping[str, Any], files: Files, report: Report) -> None:
        self._cycle = CycleRequested.model_validate(task["cycle"])
        self._failures = [Failure(**row) for row in files.rows(FrozenFile(**task["failures"]))]
        self._corrections = FrozenFile(**task["corrections"])
        self._files, self._report = files, report

    async def run(self, store: FailureStore) -> FailureClustersFound:
        """The event to publish. Failures whose text is no longer kept stand alone."""
        texts = await store.texts(self._cycle.workload, [one.prediction_id for one in self._failures])
        kept = [failure for failure in self._failures if failure.prediction_id in texts]
        clusters, cluster_of = self._clusters(kept, [texts[failure.prediction_id] for failure in kept])
        members = [
            {"prediction_id": one.prediction_id, "cluster_id": cluster_of.get(one.prediction_id)}
            for one in self._failures
        ]
        return FailureClustersFound(
            cycle_id=self._cycle.cycle_id,
            workload=self._cycle.workload,
            cutoff=self._cycle.cut,
            clusters=clusters,
            failures=self._files.freeze_rows(cycle_file(self._cycle, "failures"), members),
            corrections=self._corrections,
            found_at=now(),
        )

    def _clusters(
        self, failures: Sequence[Failure], texts: Sequence[str]
    ) -> tuple[list[Cluster], dict[str, str]]:
        """The clusters, and prediction id → cluster id."""
        if not any(failure.right_answer for failure in failures):
            return [], {}  # without a correction nothing says how the model fails: spare the encoder
        from services.failure_clustering.encoder import embed

        vectors = embed(texts, lambda done: self._progressed("embedding", done, len(texts)))
        groups = find_groups(failures, vectors)
        named = name_groups(groups, texts)
        self._progressed("clustering", len(texts), len(texts))
        clusters = [
            self._cluster(group, name.name, list(name.words))
            for group, name in zip(groups, named, strict=True)
        ]
        cluster_of = {
            failures[place].prediction_id: cluster.cluster_id
            for group, cluster in zip(groups, clusters, strict=True)
            for place in group.members
        }
        return clusters, cluster_of

    def _cluster(self, group: Group, name: str, words: list[str]) -> Cluster:
        return Cluster(
            cluster_id=derived_id("cluster", self._cycle.cycle_id, name),
            name=name,
            size=len(group.members),
            answer=group.answer,
            right_answer=group.right_answer,
            words=words,
        )

    def _progressed(self, phase: str, done: int, total: int) -> None:
        self._report(JobProgress(phase=phase, done=done, total=total))


def work(order: Order, report: Report) -> Mapping[str, Any]:
    """Does what a task says: {"cycle", "failures", "corrections"}."""
    return asyncio.run(_cluster(order.task, Addresses(), report))


async def _cluster(task: Mapping[str, Any], addresses: Addresses, report: Report) -> dict[str, Any]:
    files = Files(addresses.files_uri, addresses.state_folder / "cache")
    clickhouse = await connect(addresses.clickhouse_url)
    try:
        found = await Clustering(task, files, report).run(FailureStore(clickhouse))
    finally:
        await clickhouse.close()
    return found.model_dump(mode="json")


if __name__ == "__main__":
    sys.exit(run_job(work))
