"""Where the loop stands, and what its stages say."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from services.console import page_queries
from services.console.cycle_status import STAGES, Snapshot, Stage, Standing, current_stage, stages
from services.console.ring import ring
from shared.events import DatasetCounts, Evidence
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
VERDICT = page_queries.Judged("r2", "d2", "c1", "x", "y", "HOLD", "no evidence", Evidence(), [], NOW)


def said(now: Snapshot, stage: Stage) -> str:
    return next(one.sentence for one in stages(now) if one.stage is stage).replace("\u00a0", " ")


def test_a_new_workload_waits_for_its_first_dataset() -> None:
    assert current_stage(EMPTY) == (Stage.DATASET, Standing.WORKING)


def test_each_event_of_a_cycle_moves_the_round_on() -> None:
    moves = [REQUESTED, CLUSTERED, PUBLISHED, TRAINING, EVALUATED]
    here = [current_stage(now) for now in moves]
    expected = [Stage.FAILURES, Stage.DATASET, Stage.TRAINING, Stage.TRAINING, Stage.SHADOW]
    assert here == [(stage, Standing.WORKING) for stage in expected]


def test_a_run_that_evaluates_is_in_evaluation() -> None:
    now = replace(TRAINING, runs=[replace(RUN, state="evaluating")])
    assert current_stage(now) == (Stage.EVALUATION, Standing.WORKING)


def test_the_loop_rests_after_a_verdict() -> None:
    assert current_stage(replace(EVALUATED, verdicts=[VERDICT])) is None


def test_a_promotion_is_awaited_until_the_flag_moves() -> None:
    promoted = replace(EVALUATED, verdicts=[replace(VERDICT, verdict="PROMOTE")])
    assert current_stage(promoted) == (Stage.PROMOTION, Standing.WORKING)
    moved = replace(promoted, revisions=[page_queries.AliasRevision("x", "promoted", "r2", NOW)])
    assert current_stage(moved) is None


def test_an_earlier_verdict_does_not_end_a_new_cycle() -> None:
    before = replace(VERDICT, cycle_id="c0")
    assert current_stage(replace(REQUESTED, verdicts=[before])) == (Stage.FAILURES, Standing.WORKING)


def test_a_failed_run_and_a_refused_dataset_are_failures() -> None:
    failed = replace(PUBLISHED, runs=[replace(RUN, state="failed", reason="out of memory")])
    refused = replace(REQUESTED, refusal=page_queries.Refusal("c1", "nothing new", NOW))
    assert current_stage(failed) == (Stage.TRAINING, Standing.FAILED)
    assert current_stage(refused) == (Stage.DATASET, Standing.FAILED)
    assert said(failed, Stage.TRAINING) == "Failed: out of memory"
    assert said(refused, Stage.DATASET) == "Refused: nothing new"


def test_every_stage_of_a_new_workload_says_what_will_make_it_speak() -> None:
    shown = stages(EMPTY)
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


def test_the_ring_shows_how_far_this_round_has_walked() -> None:
    picture = ring(stages(EVALUATED))
    walked = [STAGES[index] for index, arc in enumerate(picture.arcs) if arc.is_walked]
    assert walked == [Stage.FAILURES, Stage.DATASET, Stage.TRAINING, Stage.EVALUATION]


def test_a_stage_never_speaks_by_colour_alone() -> None:
    signs = {node.standing: node.sign for node in ring(stages(EVALUATED)).nodes}
    assert len(set(signs.values())) == len(signs)


def test_the_rings_names_stand_outside() -> None:
    nodes = {node.stage: node for node in ring(stages(EMPTY)).nodes}
    assert nodes[Stage.MONITOR].label_y < nodes[Stage.MONITOR].y
    assert nodes[Stage.FAILURES].label_anchor == "start"
    assert nodes[Stage.PROMOTION].label_anchor == "end"
