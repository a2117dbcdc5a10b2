"""The chain behind a candidate."""

from __future__ import annotations

from dataclasses import replace

from services.console import page_queries
from services.console.cycle_status import Snapshot
from services.console.lineage import Origin, chain, confusions, label_bars
from shared.events import DatasetCounts, LabelScore
from tests.services.console.examples import NOW, definition, evidence, scorecard

DATASET = page_queries.Dataset(
    "d2", 2, "c1", NOW, 548, "sha256:0f", "file:///m", DatasetCounts(seed=320), NOW
)
RUN = page_queries.Run("r2", "d2", "c1", "x", "evaluated", 60, 0.6, 100.0, "", NOW)
VERDICT = page_queries.Judged("r2", "d2", "c1", "x", "y", "PROMOTE", "better", evidence(), [], NOW)
PAIRS = page_queries.Pairs("r2", 184, 47, 36, 8, NOW)
WHOLE = Snapshot(definition(), datasets=[DATASET], runs=[RUN], verdicts=[VERDICT], pairs=[PAIRS])
ORIGIN = Origin(
    page_queries.Cycle("c1", NOW, "a week has passed", "calendar"),
    [page_queries.Cluster("c1", "invoice read as refund", 41, NOW)],
    228,
)


def test_the_chain_walks_from_the_verdict_to_the_corrections() -> None:
    assert [link.title for link in chain(WHOLE, "r2", ORIGIN)] == [
        "Verdict",
        "Shadow pairs",
        "Adapter",
        "Dataset",
        "Manifest",
        "Clusters of failures",
        "Cycle",
        "Corrections",
    ]


def test_each_link_says_by_what_one_looks_it_up() -> None:
    found = {link.title: link.identity for link in chain(WHOLE, "r2", ORIGIN)}
    assert (found["Adapter"], found["Dataset"], found["Cycle"]) == ("x", "sha256:0f", "c1")


def test_the_first_dataset_comes_of_the_workloads_own_rows() -> None:
    first = replace(WHOLE, verdicts=[], pairs=[])
    assert chain(first, "r2", Origin(None, [], 0))[-1].title == "Seed rows"


def test_another_runs_verdict_is_not_in_the_chain() -> None:
    assert [link.title for link in chain(WHOLE, "r9", Origin(None, [], 0))] == []


def test_the_label_that_lost_most_comes_first() -> None:
    scores = [
        LabelScore(label="a", n=9, precision=1, recall=1, f1=0.9, champion_f1=0.7),
        LabelScore(label="b", n=9, precision=1, recall=1, f1=0.6, champion_f1=0.8),
    ]
    assert [bar.label for bar in label_bars(scores)] == ["b", "a"]


def test_the_reading_that_changed_most_comes_first() -> None:
    assert [(one.champion, one.candidate) for one in confusions(scorecard(239, 204))] == [(11, 3), (2, 4)]
