"""The demo's report shows what the events say, and stands alone."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest

from deploy.demo.report import Run, write_report
from deploy.demo.results import Results, cluster_fates
from services.workloads.definition import read_toml
from shared.events import (
    CandidateEvaluated,
    CandidateJudged,
    CandidateTrained,
    DatasetPublished,
    Event,
    FailureClustersFound,
    ShadowPairRecorded,
    Verdict,
)

ROOT = Path(__file__).parent.parent.parent
E = TypeVar("E", bound=Event)
ANSWERS = [
    {"axis": "held_out", "right_answer": "card_lost", "champion": "refund", "candidate": "card_lost"},
    {"axis": "held_out", "right_answer": "card_lost", "champion": "refund", "candidate": "refund"},
    {"axis": "held_out", "right_answer": "refund", "champion": "refund", "candidate": "refund"},
    {"axis": "golden", "right_answer": "card_lost", "champion": "refund", "candidate": "refund"},
]


def example(kind: type[E]) -> E:
    file = ROOT / "shared" / "contracts" / "examples" / kind.topic.name / "first.json"
    return kind.model_validate_json(file.read_text("utf-8"))


@pytest.fixture
def results() -> Results:
    return Results(
        first=example(CandidateEvaluated),
        clusters=example(FailureClustersFound),
        dataset=example(DatasetPublished),
        trained=example(CandidateTrained),
        evaluated=example(CandidateEvaluated),
        pairs=[example(ShadowPairRecorded)],
        judged=example(CandidateJudged),
        answers=ANSWERS,
    )


def page(tmp_path: Path, results: Results) -> str:
    workload = read_toml((ROOT / "deploy" / "demo" / "licences.toml").read_bytes(), "licences.toml").workload
    file = tmp_path / "report.html"
    write_report(file, workload, [], results, Run("2 cores", 5.8, 4.9))
    return file.read_text("utf-8")


def test_a_clusters_errors_are_counted_on_held_out_rows_only(results: Results) -> None:
    assert results.clusters is not None
    [fate] = cluster_fates(results.clusters.clusters, ANSWERS)
    assert (fate.name, fate.rows, fate.before, fate.after) == ("card_lost read as refund", 2, 2, 1)


def test_clusters_that_differ_in_words_only_are_one_kind_of_error(results: Results) -> None:
    assert results.clusters is not None
    [cluster] = results.clusters.clusters
    other = cluster.model_copy(
        update={"cluster_id": "c-2", "name": "card_lost read as refund: late", "size": 4}
    )
    [fate] = cluster_fates([cluster, other], ANSWERS)
    assert fate.failures == cluster.size + 4


def test_every_figure_comes_with_its_n_and_its_interval(tmp_path: Path, results: Results) -> None:
    shown = page(tmp_path, results)
    assert "79.7 % of 300 (74.8–83.8)" in shown
    assert "+11.7 (CI +6.9…+16.5)" in shown


def test_labels_that_the_champion_lacks_are_said_beside_the_comparison(
    tmp_path: Path, results: Results
) -> None:
    sentence = "the champion was not trained on"
    assert sentence not in page(tmp_path, results)
    assert results.evaluated is not None
    card = results.evaluated.scorecard.model_copy(update={"champion_lacks": ["address_change"]})
    lacking = results.evaluated.model_copy(update={"scorecard": card})
    assert sentence in page(tmp_path, replace(results, evaluated=lacking))


def test_a_base_model_that_was_told_no_labels_is_said_beside_its_figure(
    tmp_path: Path, results: Results
) -> None:
    sentence = "It was asked without a list of its labels"
    assert sentence not in page(tmp_path, results)
    assert results.evaluated is not None
    card = results.evaluated.scorecard.model_copy(update={"base_model_untold": True})
    untold = results.evaluated.model_copy(update={"scorecard": card})
    assert sentence in page(tmp_path, replace(results, evaluated=untold))


def test_it_loads_nothing_from_anywhere(tmp_path: Path, results: Results) -> None:
    shown = page(tmp_path, results)
    loaded = re.findall(r"""(?:src|href)\s*=\s*["'](?!#)([^"']+)""", shown)
    assert loaded == []
    assert shown.count("<svg") == 4


def test_a_held_candidate_is_not_dressed_up_as_a_promotion(tmp_path: Path, results: Results) -> None:
    assert results.judged is not None
    results.judged = results.judged.model_copy(update={"verdict": Verdict.HOLD})
    assert 'class="verdict "' in page(tmp_path, results)
    assert "<b>HOLD</b>" in page(tmp_path, results)


def test_the_datas_credit_stands_in_it(tmp_path: Path, results: Results) -> None:
    assert "nexB Inc." in page(tmp_path, results)


def test_text_of_others_is_text_in_the_report_and_in_its_pictures(tmp_path: Path, results: Results) -> None:
    hostile = """</script><script>planted=1</script><b class="planted">$\\frac{1}{$ &lt;"""
    workload = read_toml((ROOT / "deploy" / "demo" / "licences.toml").read_bytes(), "licences.toml").workload
    said = dict.fromkeys(("title", "credit", "base_model"), hostile)
    assert results.evaluated is not None
    assert results.judged is not None
    assert results.clusters is not None
    card = results.evaluated.scorecard
    labels = [one.model_copy(update={"label": hostile}) for one in card.labels]
    clusters = [one.model_copy(update={"name": hostile}) for one in results.clusters.clusters]
    spoilt = replace(
        results,
        evaluated=results.evaluated.model_copy(
            update={"scorecard": card.model_copy(update={"labels": labels})}
        ),
        judged=results.judged.model_copy(update={"reason": hostile}),
        clusters=results.clusters.model_copy(update={"clusters": clusters}),
    )
    file = tmp_path / "report.html"
    write_report(file, workload.model_copy(update=said), [], spoilt, Run(hostile, 5.8, 4.9))
    html = file.read_text("utf-8")
    assert "<script" not in html
    assert "<b class" not in html
    assert html.count("&lt;script&gt;planted=1") > 5
