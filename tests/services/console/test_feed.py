"""The live list."""

from __future__ import annotations

from datetime import timedelta

import pytest

from services.console.event_sentences import PLENTY, Tone
from services.console.feed import MOST_ENTRIES, Feed, entry
from services.console.templating import make_render
from shared import events as e
from shared.events.envelope import Event
from shared.flow import FLOW
from shared.workload import Training
from tests.services.console import examples
from tests.services.console.examples import NOW

SECRET = "my card is 4111 1111 1111 1111"


def predicted(number: int, minutes: float = 0) -> e.PredictionLogged:
    return e.PredictionLogged(
        prediction_id=f"p{number}",
        workload="tickets",
        predicted_at=NOW + timedelta(minutes=minutes),
        input=SECRET,
        answer="refund",
        confidence=0.5,
        adapter=examples.FIRST,
    )


def progressed(done: int, run_id: str = "run-4") -> e.TrainingProgressed:
    return e.TrainingProgressed(
        run_id=run_id,
        workload="tickets",
        phase="training",
        done=done,
        total=60,
        loss=0.9,
        progressed_at=NOW + timedelta(seconds=done),
    )


def failed(run_id: str = "run-4") -> e.TrainingFailed:
    return e.TrainingFailed(
        run_id=run_id, workload="tickets", dataset_id="d", reason="out of memory", failed_at=NOW
    )


EVERY_EVENT: list[Event] = [
    examples.workload_added(),
    predicted(1),
    e.PredictionReported(**dict(predicted(1))),
    e.FeedbackReported(feedback_id="f", prediction_id="p", workload="tickets", comment=SECRET, given_at=NOW),
    e.FeedbackGiven(feedback_id="f", prediction_id="p", workload="tickets", comment=SECRET, given_at=NOW),
    e.PredictionFlagged(
        prediction_id="p",
        workload="tickets",
        predicted_at=NOW,
        adapter="a",
        answer="refund",
        confidence=0.4,
        reason=e.FlagReason.DOUBTED,
        flagged_at=NOW,
    ),
    e.ReviewGiven(
        review_id="r",
        prediction_id="p",
        workload="tickets",
        reviewer="ada",
        right_answer="refund",
        given_at=NOW,
    ),
    e.PredictionCorrected(
        prediction_id="p",
        workload="tickets",
        predicted_at=NOW,
        adapter="a",
        answer="x",
        confidence=0.4,
        right_answer="refund",
        reviewers=["ada"],
        review_ids=["r"],
        corrected_at=NOW,
    ),
    e.CycleRequested(cycle_id="c", workload="tickets", cut=NOW, reason="a week", requested_by="calendar"),
    e.CycleStarted(
        cycle_id="c",
        workload="tickets",
        revision=1,
        cutoff=NOW,
        failures=examples.frozen(41),
        corrections=examples.frozen(1),
        reason="a week",
        requested_by="calendar",
        started_at=NOW,
    ),
    e.FailureClustersFound(
        cycle_id="c",
        workload="tickets",
        cutoff=NOW,
        clusters=[],
        failures=examples.frozen(0),
        corrections=examples.frozen(1),
        found_at=NOW,
    ),
    e.DatasetPublished(
        dataset_id="d",
        workload="tickets",
        version=2,
        cycle_id="c",
        cutoff=NOW,
        train=examples.frozen(1),
        golden=examples.frozen(150),
        held_out=examples.frozen(300),
        manifest=examples.frozen(1),
        counts=e.DatasetCounts(),
        published_at=NOW,
    ),
    e.DatasetRefused(workload="tickets", cycle_id="c", cutoff=NOW, reason="nothing new", refused_at=NOW),
    e.CandidateTrained(
        run_id="r",
        workload="tickets",
        dataset_id="d",
        cycle_id="c",
        cutoff=NOW,
        candidate=examples.adapter("x"),
        method="lora",
        steps=60,
        train_rows=500,
        final_loss=0.6,
        seconds=100,
        trained_at=NOW,
    ),
    failed(),
    e.CandidateEvaluated(
        run_id="r",
        workload="tickets",
        dataset_id="d",
        cycle_id="c",
        cutoff=NOW,
        candidate=examples.adapter("x"),
        champion="y",
        scorecard=examples.scorecard(239, 204),
        answers=examples.frozen(450),
        seconds=50,
        evaluated_at=NOW,
    ),
    e.ShadowPairRecorded(
        run_id="r",
        workload="tickets",
        prediction_id="p",
        predicted_at=NOW,
        champion="y",
        champion_answer="refund",
        champion_confidence=0.5,
        candidate="x",
        candidate_answer="refund",
        candidate_confidence=0.5,
        recorded_at=NOW,
    ),
    e.CandidateJudged(
        run_id="r",
        workload="tickets",
        dataset_id="d",
        cycle_id="c",
        candidate=examples.adapter("x"),
        champion="y",
        verdict=e.Verdict.PROMOTE,
        reason="better",
        evidence=examples.evidence(),
        judged_at=NOW,
    ),
    examples.promoted(),
    e.TrainingRequested(
        request_id="q",
        workload="tickets",
        revision=1,
        dataset_id="d",
        training=Training(),
        requested_by="ada",
        reason="another seed",
        requested_at=NOW,
    ),
    e.RunCancelRequested(
        run_id="r", workload="tickets", reason="the wrong rows", requested_by="ada", requested_at=NOW
    ),
    e.RollbackRequested(
        request_id="q", workload="tickets", reason="worse", requested_by="ada", requested_at=NOW
    ),
    e.ModelRolledBack(
        workload="tickets",
        revision=3,
        champion=examples.adapter("y"),
        withdrawn="x",
        reason="worse",
        requested_by="ada",
        rolled_back_at=NOW,
    ),
]


def test_every_event_but_progress_has_a_sentence() -> None:
    assert {type(event) for event in EVERY_EVENT} | {e.TrainingProgressed} == FLOW["console"].consumes
    for event in EVERY_EVENT:
        assert entry(event).sentence


def test_no_sentence_holds_what_a_user_wrote() -> None:
    assert not any("4111" in entry(event).sentence for event in EVERY_EVENT)


def test_one_of_a_thing_is_not_called_many() -> None:
    feed = Feed()
    feed.add(predicted(1))
    assert feed.entries()[0].sentence == "1 request answered"


def test_traffic_shares_one_line_that_counts() -> None:
    feed = Feed()
    for number in range(1500):
        feed.add(predicted(number, minutes=number / 1000))
    assert [line.sentence for line in feed.entries()] == ["1,500 requests answered"]


def test_the_same_event_again_is_not_counted_again() -> None:
    feed = Feed()
    feed.add(predicted(1))
    consumed = feed.changes
    feed.add(predicted(1))
    assert feed.entries()[0].times == 1
    assert feed.changes == consumed


def test_traffic_is_news_but_no_turn() -> None:
    feed = Feed()
    feed.add(predicted(1))
    assert (feed.changes, feed.turns) == (1, 0)
    feed.add(examples.promoted())
    assert (feed.changes, feed.turns) == (2, 1)


def test_a_line_of_traffic_ends_after_ten_minutes() -> None:
    feed = Feed()
    for minutes in (0, 9, 11):
        feed.add(predicted(minutes, minutes))
    assert [line.times for line in feed.entries()] == [1, 2]


def test_traffic_after_a_rare_event_is_told_after_it() -> None:
    feed = Feed()
    feed.add(predicted(1, 0))
    feed.add(examples.promoted(at=NOW + timedelta(minutes=1)))
    feed.add(predicted(2, 2))
    assert [line.tone for line in feed.entries()] == [Tone.NEUTRAL, Tone.CHAMPION, Tone.NEUTRAL]


def test_lines_of_one_workload_leave_the_others_out() -> None:
    feed = Feed()
    feed.add(predicted(1))
    feed.add(examples.workload_added(examples.definition("other")))
    assert [line.workload for line in feed.entries("other")] == ["other"]


def test_a_retired_workload_is_told_from_a_changed_one() -> None:
    retired = examples.workload_added().model_copy(update={"revision": 2, "retired_at": NOW})
    assert entry(retired).sentence == "Workload tickets retired; its data are kept"


def test_the_list_stops_growing() -> None:
    feed = Feed()
    for revision in range(MOST_ENTRIES + 50):
        feed.add(examples.promoted(revision=revision, at=NOW + timedelta(seconds=revision)))
    assert len(feed.entries()) == MOST_ENTRIES
    assert feed.entries()[0].at == NOW + timedelta(seconds=MOST_ENTRIES + 49)


def test_progress_goes_on_until_its_run_ends() -> None:
    feed = Feed()
    feed.add(progressed(30))
    held = feed.progress("tickets")
    assert held is not None
    assert held.share == 0.5
    feed.add(failed())
    assert feed.progress("tickets") is None


@pytest.mark.parametrize("late", [progressed(10), progressed(31)])
def test_progress_that_arrives_late_does_not_bring_a_run_back(late: e.TrainingProgressed) -> None:
    feed = Feed()
    feed.add(progressed(30))
    feed.add(failed())
    feed.add(late)
    assert feed.progress("tickets") is None


def test_progress_never_runs_backwards() -> None:
    feed = Feed()
    feed.add(progressed(30))
    feed.add(progressed(20))
    held = feed.progress("tickets")
    assert held is not None
    assert held.done == 30


def test_plenty_names_real_topics() -> None:
    assert set(PLENTY) <= {kind.topic.name for kind in e.EVENTS}


def test_events_that_were_counted_and_not_read_are_told_by_about_how_many() -> None:
    feed = Feed()
    feed.add(predicted(1))
    feed.add(predicted(2), unseen=1998)
    feed.add(predicted(2), unseen=1998)  # consumed again
    feed.add(predicted(3))
    (line,) = feed.entries()
    assert (line.times, line.sentence) == (2001, "about 2,001 requests answered")
    alone = Feed()
    alone.add(predicted(1), unseen=4)
    assert alone.entries()[0].sentence == "about 5 requests answered"


def test_an_evaluation_that_waits_for_the_model_server_says_so_until_it_goes_on() -> None:
    feed = Feed()
    waits = {"phase": "evaluation", "waits_since": NOW, "waits_for": "it is down."}
    feed.add(progressed(4).model_copy(update=waits))
    held = feed.progress("tickets")
    assert held is not None
    assert held.sentence == f"Waits since {NOW:%Y-%m-%d %H:%M} UTC: it is down."
    page = make_render(lambda: NOW)("progress.html", progress=held)
    assert held.sentence in " ".join(page.split())
    feed.add(progressed(5).model_copy(update={"phase": "evaluation"}))
    held = feed.progress("tickets")
    assert held is not None
    assert held.sentence == "evaluation 5 of 60"
