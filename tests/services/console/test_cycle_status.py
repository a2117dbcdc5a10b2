"""Where the loop stands, and what its stages say."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from services.console import page_queries
from services.console.cycle_status import (
    STAGES,
    Round,
    Snapshot,
    Stage,
    StageState,
    in_words,
    stages,
    under_way,
)
from services.console.ring import ring
from shared.events import DatasetCounts
from shared.intervals import wilson
from tests.services.console.examples import NOW, definition, scorecard

EMPTY = Snapshot(definition())
CYCLE = page_queries.Cycle("c1", NOW, "a week", "calendar")
REQUESTED = replace(EMPTY, cycle=CYCLE)
CLUSTERED = replace(REQUESTED, clusters=[page_queries.Cluster("c1", "a read as b", 4, NOW)])
PUBLISHED = replace(
    CLUSTERED,
    datasets=[page_queries.Dataset("d2", 2, "c1", NOW, 548, "sha256:0f", "file:///m", DatasetCounts(), NOW)],
)
RUN = page_queries.Run("r2", "d2", "c1", "", "training", 0, 0.0, 0.0, "", NOW)
TRAINING = replace(PUBLISHED, runs=[RUN])
CARD = page_queries.Evaluation("r2", "d2", "c1", "x", "y", scorecard(239, 204, (5, 6)), NOW)
EVALUATED = replace(TRAINING, runs=[replace(RUN, state="evaluated", candidate="x")], evaluations=[CARD])


WORKING = Round("shadow", False, None)


def said(now: Snapshot, stage: Stage) -> str:
    return next(one.sentence for one in stages(now, None) if one.stage is stage).replace("\u00a0", " ")


def test_every_stage_of_a_round_is_a_stage_of_the_page() -> None:
    for name in ("failures", "dataset", "training", "evaluation", "shadow", "promotion"):
        assert under_way(Round(name, False, None)) == (Stage(name), StageState.WORKING)


@pytest.mark.parametrize("outcome", ["promoted", "held", "rejected"])
def test_the_loop_rests_after_a_verdict(outcome: str) -> None:
    assert under_way(Round("shadow", True, outcome)) is None
    assert in_words(Round("shadow", True, outcome)) == in_words(None) == "the loop rests until the next cycle"


@pytest.mark.parametrize(("outcome", "stage"), [("failed", "training"), ("refused", "dataset")])
def test_a_failed_run_and_a_refused_dataset_are_failures(outcome: str, stage: str) -> None:
    over = Round(stage, True, outcome)
    assert under_way(over) == (Stage(stage), StageState.FAILED)
    assert in_words(over) == f"now: {stage} failed"
    shown = next(one for one in stages(EVALUATED, over) if one.stage == stage)
    assert shown.state is StageState.FAILED


def test_a_failure_says_its_reason() -> None:
    failed = replace(PUBLISHED, runs=[replace(RUN, state="failed", reason="out of memory")])
    refused = replace(REQUESTED, refusal=page_queries.Refusal("c1", "nothing new", NOW))
    assert said(failed, Stage.TRAINING) == "Failed: out of memory"
    assert said(refused, Stage.DATASET) == "Refused: nothing new"


def test_every_stage_of_a_new_workload_says_what_will_make_it_speak() -> None:
    shown = stages(EMPTY, None)
    assert [one.stage for one in shown] == list(STAGES)
    assert all(one.sentence and one.at is None for one in shown)
    assert "“tickets”" in said(EMPTY, Stage.MONITOR)


def test_the_evaluation_brings_n_and_intervals() -> None:
    assert said(EVALUATED, Stage.EVALUATION) == (
        "Held-out 79.7 % (74.8–83.8, n = 300), +11.7 points (+6.7 to +16.9, n = 300); "
        "golden −0.7 points (−5.6 to +4.2, n = 150)"
    )


def test_agreement_brings_its_n() -> None:
    reviewing = page_queries.Reviewing(3, 1, 240, wilson(56, 60), NOW)
    assert said(replace(EMPTY, reviewing=reviewing), Stage.REVIEW) == (
        "3 to review, 1 disputed; 240 right answers agreed; reviewers agree on 93.3 % (84.1–97.4, n = 60)"
    )


def test_the_champions_accuracy_is_its_own_scorecard() -> None:
    assert replace(EVALUATED, champion="x").champion_accuracy() == wilson(239, 300)
    assert replace(EVALUATED, champion="y").champion_accuracy() is None


def test_monitoring_says_how_many_were_doubted() -> None:
    traffic = page_queries.Traffic(1204, 212, 80, 41, NOW - timedelta(minutes=1))
    assert said(replace(EMPTY, traffic=traffic), Stage.MONITOR) == (
        "1,204 requests in the last day, 212 doubted (17.6 %); 41 of 80 user signals negative"
    )
    sentence = said(replace(EMPTY, traffic=replace(traffic, unmatched=3)), Stage.MONITOR)
    assert sentence.endswith("negative; 3 of them on no request of this workload")


def test_the_ring_shows_how_far_this_round_has_walked() -> None:
    picture = ring(stages(EVALUATED, WORKING))
    walked = [STAGES[index] for index, arc in enumerate(picture.arcs) if arc.is_walked]
    assert walked == [Stage.FAILURES, Stage.DATASET, Stage.TRAINING, Stage.EVALUATION]


def test_a_stage_never_speaks_by_colour_alone() -> None:
    signs = {node.state: node.sign for node in ring(stages(EVALUATED, WORKING)).nodes}
    assert len(set(signs.values())) == len(signs)


def test_the_rings_names_stand_outside() -> None:
    nodes = {node.stage: node for node in ring(stages(EMPTY, None)).nodes}
    assert nodes[Stage.MONITOR].label_y < nodes[Stage.MONITOR].y
    assert nodes[Stage.FAILURES].label_anchor == "start"
    assert nodes[Stage.PROMOTION].label_anchor == "end"


def test_a_round_that_waits_for_the_model_server_says_since_when_and_why() -> None:
    waits = Round("shadow", False, None, "waits: it is down.", NOW - timedelta(hours=2))
    shown = next(one for one in stages(EVALUATED, waits) if one.stage is Stage.SHADOW)
    assert (shown.state, shown.sentence, shown.at) == (
        StageState.WORKING,
        "Waits: it is down.",
        NOW - timedelta(hours=2),
    )
    assert in_words(waits) == "now: shadow, which waits"
