"""From events to verdicts and the flag, on real tables, across kills."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from shared.events import CandidateJudged, ModelPromoted, ModelRolledBack, Verdict
from shared.intervals import paired_difference, wilson
from shared.workload import Promotion
from tests.services.shadow_deployment.conftest import BrokerDown, Play, recorded
from tests.services.shadow_deployment.example_events import (
    CUT,
    WORKLOAD,
    corrected,
    evaluated,
    rollback,
    scorecard,
    workload,
)


async def champion(play: Play) -> str | None:
    history = await play.store.history(WORKLOAD)
    return history[-1].champion.name if history else None


async def test_a_first_candidate_becomes_champion_on_its_scorecard(play: Play) -> None:
    await play.with_champion()
    [judged] = play.consumed(CandidateJudged)
    [promoted] = play.consumed(ModelPromoted)
    assert (judged.verdict, judged.champion) == (Verdict.PROMOTE, None)
    assert (promoted.revision, promoted.champion.name, promoted.previous) == (1, "first", None)


async def test_a_first_candidate_no_better_than_a_constant_answer_waits(play: Play) -> None:
    await play.handlers.on_workload_added(workload())
    await play.handlers.on_candidate_evaluated(
        evaluated("first", None, card=scorecard(held_out=wilson(3, 10)))
    )
    assert [judged.verdict for judged in play.consumed(CandidateJudged)] == [Verdict.HOLD]
    assert await champion(play) is None


async def test_a_golden_regression_never_sees_the_shadow(play: Play) -> None:
    await play.with_champion()
    card = scorecard(golden=paired_difference(0, 12, 150), golden_regressed=True)
    await play.handlers.on_candidate_evaluated(evaluated("second", card=card))
    judged = play.consumed(CandidateJudged)[-1]
    assert judged.verdict is Verdict.REJECT
    assert "-8.0 points" in judged.reason
    assert await play.store.workloads_with_work() == []


async def test_corrections_promote_whether_they_come_before_their_pairs_or_after(play: Play) -> None:
    await play.with_champion()
    await play.handlers.on_candidate_evaluated(evaluated("second"))
    pairs = [recorded(number) for number in range(12)]
    await play.correct(*(corrected(pair.prediction_id, "BSD") for pair in pairs[:6]))
    await play.record(pairs)
    for pair in pairs[6:]:
        await play.correct(corrected(pair.prediction_id, "BSD"))
    promoted = play.consumed(ModelPromoted)[-1]
    assert (promoted.revision, promoted.champion.name) == (2, "second")
    assert promoted.previous is not None
    assert promoted.previous.name == "first"
    judged = play.consumed(CandidateJudged)[-1]
    assert judged.evidence.candidate_right < 12  # it did not wait for the rest
    assert judged.evidence.e_value >= 20


async def test_a_later_correction_replaces_an_earlier_one_in_any_order(play: Play) -> None:
    await play.with_champion()
    await play.handlers.on_candidate_evaluated(evaluated("second"))
    await play.record([recorded(1)])
    late, early = (
        corrected("prediction-0001", "BSD", seconds=9),
        corrected("prediction-0001", "MIT", seconds=1),
    )
    await play.correct(late)
    await play.correct(early)
    [pair] = await play.store.pairs(WORKLOAD, "run-second")
    assert pair.right_answer == "BSD"


async def test_the_same_events_again_say_nothing_new(play: Play) -> None:
    await play.with_champion()
    published = len(play.published)
    await play.with_champion()
    assert len(play.published) == published


async def test_a_newer_candidate_supersedes_the_one_in_the_shadow(play: Play) -> None:
    await play.with_champion()
    await play.handlers.on_candidate_evaluated(evaluated("second", minutes=1))
    await play.handlers.on_candidate_evaluated(evaluated("third", minutes=2))
    judged = play.consumed(CandidateJudged)[-1]
    assert (judged.candidate.name, judged.verdict) == ("second", Verdict.HOLD)
    assert judged.reason == "It is superseded by third, which was evaluated after it."
    in_shadow = await play.judging.consider(WORKLOAD)
    assert in_shadow is not None
    assert in_shadow.candidate.name == "third"


async def test_time_used_up_holds_the_candidate(play: Play) -> None:
    await play.with_champion(promotion=Promotion(max_hours=2))
    await play.handlers.on_candidate_evaluated(evaluated("second"))
    play.now = CUT + timedelta(hours=3)
    assert await play.judging.consider(WORKLOAD) is None
    assert play.consumed(CandidateJudged)[-1].verdict is Verdict.HOLD


async def test_a_rollback_brings_the_champion_before_back_and_holds_the_shadow(play: Play) -> None:
    await play.with_champion()
    await promote(play, "second")
    await play.handlers.on_candidate_evaluated(evaluated("third", "second", minutes=3))
    await play.handlers.on_rollback_requested(rollback())
    [event] = play.consumed(ModelRolledBack)
    assert (event.revision, event.champion.name, event.withdrawn) == (3, "first", "second")
    assert (event.reason, event.requested_by) == ("it answers GPL to everything", "ada")
    judged = play.consumed(CandidateJudged)[-1]
    assert (judged.candidate.name, judged.verdict) == ("third", Verdict.HOLD)
    assert judged.reason.startswith(
        "Its champion changed: it was evaluated against second, and first answers now."
    )


async def test_the_same_rollback_request_goes_back_once(play: Play) -> None:
    await play.with_champion()
    await promote(play, "second")
    for _ in range(3):
        await play.handlers.on_rollback_requested(rollback())
    assert len(play.consumed(ModelRolledBack)) == 1
    assert await champion(play) == "first"


async def test_a_rollback_in_vain_stays_in_vain_when_it_is_consumed_again_later(play: Play) -> None:
    await play.with_champion()
    await play.handlers.on_rollback_requested(rollback())
    await promote(play, "second")
    await play.handlers.on_rollback_requested(rollback())
    assert play.consumed(ModelRolledBack) == []
    assert await champion(play) == "second"


async def test_killed_between_storing_and_saying_the_next_life_says_the_same_events(play: Play) -> None:
    await play.handlers.on_workload_added(workload())
    play.is_broker_down = True
    with pytest.raises(BrokerDown):
        await play.handlers.on_candidate_evaluated(evaluated("first", None))
    stored = await play.store.history(WORKLOAD)
    assert [revision.champion.name for revision in stored] == ["first"]

    other = await play.reborn()
    other.now += timedelta(hours=1)
    assert await other.store.workloads_with_work() == [WORKLOAD]
    await other.judging.consider(WORKLOAD)
    [promoted] = other.consumed(ModelPromoted)
    assert promoted == stored[0].event()
    assert await other.store.workloads_with_work() == []


async def test_killed_between_verdict_and_flag_the_next_life_raises_the_flag(play: Play) -> None:
    await play.with_champion()
    judged = play.consumed(CandidateJudged)[0].model_copy(update={"run_id": "run-x", "champion": "first"})
    await play.store.keep_verdict(judged, is_published=False)
    other = await play.reborn()
    await other.judging.consider(WORKLOAD)
    assert [promoted.revision for promoted in other.consumed(ModelPromoted)] == [2]


async def test_killed_during_a_rollback_the_next_life_completes_it_before_anything_else(play: Play) -> None:
    await play.with_champion()
    await promote(play, "second")
    play.is_broker_down = True
    with pytest.raises(BrokerDown):
        await play.handlers.on_rollback_requested(rollback())
    other = await play.reborn()
    await other.handlers.on_rollback_requested(rollback())
    assert [event.champion.name for event in other.consumed(ModelRolledBack)] == ["first"]


async def test_nothing_is_said_that_is_not_stored(play: Play) -> None:
    stored_when_published: list[bool] = []
    publish = play.publish

    async def watching(*events: object) -> None:
        rows = await play.clickhouse.rows("SELECT adapter FROM champions_v1")
        stored_when_published.append(bool(rows))
        await publish(*events)  # type: ignore[arg-type]

    object.__setattr__(play.judging, "publish", watching)
    await play.with_champion()
    assert stored_when_published == [True]


async def test_the_published_views_hold_their_contract(play: Play) -> None:
    await play.with_champion()
    await play.handlers.on_candidate_evaluated(evaluated("second"))
    await play.record([recorded(1), recorded(2, "MIT")])
    await play.correct(corrected("prediction-0001", "GPL"))
    pairs = await play.clickhouse.rows("SELECT * FROM pairs_v1 ORDER BY prediction_id")
    assert " ".join(pairs[0]) == (
        "run_id workload prediction_id predicted_at champion champion_answer champion_confidence candidate "
        "candidate_answer candidate_confidence differs right_answer recorded_at"
    )
    assert [(row["differs"], row["right_answer"]) for row in pairs] == [(True, "GPL"), (False, "")]
    [verdict] = await play.clickhouse.rows("SELECT * FROM verdicts_v1")
    assert " ".join(verdict) == (
        "run_id workload dataset_id cycle_id candidate champion verdict reason evidence guardrails judged_at"
    )
    assert json.loads(verdict["guardrails"])[0]["passed"] is True
    assert json.loads(verdict["evidence"])["method"] == "scorecard alone"
    [revision] = await play.clickhouse.rows("SELECT * FROM champions_v1")
    assert " ".join(revision) == "workload revision adapter uri digest base_model previous kind run_id since"


async def promote(play: Play, name: str) -> None:
    """By twelve pairs that only the candidate got right."""
    await play.handlers.on_candidate_evaluated(evaluated(name, "first", minutes=2))
    pairs = [recorded(number, candidate=name) for number in range(12)]
    await play.record(pairs)
    await play.correct(*(corrected(pair.prediction_id, "BSD") for pair in pairs))
    assert await champion(play) == name
