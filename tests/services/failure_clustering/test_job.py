"""The job as it runs: a child process with the real encoder, reading real tables."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter

import pytest

from services.failure_clustering.job import Clustering
from shared.job_protocol import JobProgress
from tests.services.failure_clustering.conftest import Clusterer, corrected, flagged, requested

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


async def run_until_published(clusterer: Clusterer) -> None:
    running = asyncio.create_task(clusterer.jobs.run_for_ever())
    await asyncio.wait_for(clusterer.spoke.wait(), 120)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@pytest.fixture
def child_environment(monkeypatch: pytest.MonkeyPatch, database_url: str, clusterer: Clusterer) -> None:
    monkeypatch.setenv("CLICKHOUSE_URL", database_url)
    monkeypatch.setenv("FILES_URI", (clusterer.folder / "files").as_uri())


@pytest.mark.usefixtures("child_environment")
async def test_planted_groups_of_failures_are_found_and_named(clusterer: Clusterer) -> None:
    texts, theme_of = {}, {}
    for theme, sentences in THEMES.items():
        for number, sentence in enumerate(sentences):
            prediction_id = f"{theme[0]}-{number}"
            texts[prediction_id], theme_of[prediction_id] = sentence, theme
            right_answer = theme[1]
            await clusterer.apply(corrected(prediction_id, right_answer, answer="other"))
    texts["suspect"] = "I cannot reset my password this morning"
    texts["stranger"] = "Which colours does the lamp come in?"
    await clusterer.apply(flagged("suspect", "other"), flagged("stranger", "other"))
    await clusterer.log(texts)
    await clusterer.handlers.on_cycle_requested(requested())
    await run_until_published(clusterer)
    (found,) = clusterer.found
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


@pytest.mark.usefixtures("child_environment")
async def test_a_cycle_without_failures_ends_with_no_clusters_and_all_corrections(
    clusterer: Clusterer,
) -> None:
    await clusterer.apply(corrected("right", "mit"))
    await clusterer.handlers.on_cycle_requested(requested())
    await run_until_published(clusterer)
    (found,) = clusterer.found
    assert (found.clusters, found.failures.rows, found.corrections.rows) == ([], 0, 1)


async def test_without_a_correction_the_encoder_is_not_even_loaded(clusterer: Clusterer) -> None:
    await clusterer.apply(flagged("a"))
    await clusterer.log({"a": "some text"})
    await clusterer.handlers.on_cycle_requested(requested())
    (job,) = await clusterer.job_table.unpublished()
    found = await Clustering(job.task, clusterer.files, clusterer.progress.append).run(clusterer.store)
    assert found.clusters == []
    assert "services.failure_clustering.encoder" not in sys.modules


async def test_a_failure_whose_text_is_gone_stands_alone(clusterer: Clusterer) -> None:
    await clusterer.apply(corrected("gone", "gpl"))
    await clusterer.handlers.on_cycle_requested(requested())
    (job,) = await clusterer.job_table.unpublished()
    found = await Clustering(job.task, clusterer.files, clusterer.progress.append).run(clusterer.store)
    assert list(clusterer.files.rows(found.failures)) == [{"prediction_id": "gone", "cluster_id": None}]


async def test_texts_of_more_failures_than_one_query_takes_are_all_read(clusterer: Clusterer) -> None:
    texts = {f"{number:0128d}": f"text {number}" for number in range(1200)}
    await clusterer.log(texts)
    assert await clusterer.store.texts("licences", list(texts)) == texts
