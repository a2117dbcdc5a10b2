"""The job as it runs: a child process with the real encoder, reading real tables."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter

import pytest

from services.failure_clustering.clustering import Clustering
from services.failure_clustering.names import Text
from services.failure_clustering.task import Task
from shared.events import ClusterStatus, CycleStarted, FailureClustersFound
from shared.job_protocol import JobProgress
from tests.services.failure_clustering.conftest import Clusterer, Row, failure, minutes

# Two themes behind one confusion, one theme behind another; the sentences are made for this test.
THEMES = {
    ("parcel", "refund"): [
        f"My parcel {what} and the courier left no note"
        for what in (
            "never arrived",
            "is late",
            "was lost",
            "came broken",
            "went back",
            "is stuck",
            "is gone",
        )
    ],
    ("invoice", "refund"): [
        f"The invoice shows the wrong tax {where}"
        for where in ("rate", "number", "amount", "for Austria", "for my company", "for March", "on page two")
    ],
    ("password", "login"): [
        f"I cannot reset my password {when}"
        for when in (
            "today",
            "at all",
            "on my phone",
            "since Monday",
            "with this link",
            "again",
            "in the app",
        )
    ],
}


@pytest.fixture
def child_environment(monkeypatch: pytest.MonkeyPatch, database_url: str, clusterer: Clusterer) -> None:
    monkeypatch.setenv("CLICKHOUSE_URL", database_url)
    monkeypatch.setenv("FILES_URI", (clusterer.folder / "files").as_uri())


def planted() -> tuple[dict[str, str], list[Row], dict[str, tuple[str, str]]]:
    """Prediction id → text, the failures, and prediction id → the theme it belongs to."""
    texts, failures, theme_of = {}, [], {}
    for theme, sentences in THEMES.items():
        for number, sentence in enumerate(sentences):
            prediction_id = f"{theme[0]}-{number}"
            texts[prediction_id], theme_of[prediction_id] = sentence, theme
            failures.append(failure(prediction_id, theme[1], answer="other"))
    return texts, failures, theme_of


async def clustered(clusterer: Clusterer, started: CycleStarted) -> FailureClustersFound:
    """What the service publishes of a cycle, by way of a child process."""
    await clusterer.handlers.on_cycle_started(started)
    running = asyncio.create_task(clusterer.jobs.run_for_ever())
    found: list[FailureClustersFound] = []
    async with asyncio.timeout(120):
        while not found:
            await clusterer.spoke.wait()
            clusterer.spoke.clear()
            found = [event for event in clusterer.found if event.cycle_id == started.cycle_id]
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    return found[0]


def in_process(clusterer: Clusterer, started: CycleStarted) -> Clustering:
    return Clustering(Task.of_cycle(started), clusterer.files, clusterer.store, lambda *_: None)


@pytest.mark.usefixtures("child_environment")
async def test_planted_groups_are_found_named_and_known_again_in_the_next_cycle(clusterer: Clusterer) -> None:
    texts, failures, theme_of = planted()
    texts["suspect"] = "I cannot reset my password this morning"
    texts["stranger"] = "Which colours does the lamp come in?"
    failures += [failure("suspect", answer="other"), failure("stranger", answer="other")]
    await clusterer.log(texts)
    found = await clustered(clusterer, clusterer.started(failures))
    assert sorted(cluster.name for cluster in found.clusters) == [
        "login read as other",
        "refund read as other: courier, parcel",
        "refund read as other: invoice, shows",
    ]
    cluster_of = {row["prediction_id"]: row["cluster_id"] for row in clusterer.files.rows(found.failures)}
    together = Counter((theme, cluster_of[prediction_id]) for prediction_id, theme in theme_of.items())
    assert sorted(together.values()) == [7, 7, 7]
    assert cluster_of["suspect"] == cluster_of["password-0"]
    assert cluster_of["stranger"] is None
    assert found.corrections.rows == 21
    assert JobProgress(phase="embedding", done=23, total=23) in clusterer.progress
    assert {cluster.status for cluster in found.clusters} == {ClusterStatus.NEW}

    await clusterer.log({"parcel-new": "My parcel is still missing and the courier left no note"})
    more = [*failures, failure("parcel-new", "refund", answer="other", at=minutes(30))]
    later = await clustered(clusterer, clusterer.started(more, "cycle-2", minutes(60)))
    status = {cluster.cluster_id: (cluster.status, cluster.size_before) for cluster in later.clusters}
    assert status[cluster_of["parcel-0"]] == (ClusterStatus.GROWING, 7)
    assert status[cluster_of["password-0"]] == (ClusterStatus.RESOLVED, 8)
    assert len(status) == 3


async def test_a_cycle_without_failures_ends_with_no_clusters_and_all_corrections(
    clusterer: Clusterer,
) -> None:
    found = (await in_process(clusterer, clusterer.started([], confirmed=1)).run()).found
    assert (found.clusters, found.failures.rows, found.corrections.rows) == ([], 0, 1)


async def test_without_a_correction_the_encoder_is_not_even_loaded(clusterer: Clusterer) -> None:
    await clusterer.log({"a": "some text"})
    found = (await in_process(clusterer, clusterer.started([failure("a")])).run()).found
    assert found.clusters == []
    assert "services.failure_clustering.encoder" not in sys.modules


async def test_a_failure_whose_text_is_gone_stands_alone(clusterer: Clusterer) -> None:
    found = (await in_process(clusterer, clusterer.started([failure("gone", "gpl")])).run()).found
    assert list(clusterer.files.rows(found.failures)) == [{"prediction_id": "gone", "cluster_id": None}]


async def test_texts_of_more_failures_than_one_query_takes_are_all_read(clusterer: Clusterer) -> None:
    texts = {f"{number:0128d}": f"text {number}" for number in range(1200)}
    await clusterer.log(texts, subject_id="s")
    read = await clusterer.store.texts("licences", list(texts))
    assert read == {prediction_id: Text(text, "s") for prediction_id, text in texts.items()}
