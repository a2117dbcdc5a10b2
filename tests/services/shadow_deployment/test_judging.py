"""From events to verdicts and the champion alias, on real tables, across kills."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from shared.events import CandidateJudged, ModelPromoted, ModelRolledBack, Verdict
from shared.intervals import paired_difference, wilson
from shared.workload import Promotion
from tests.services.shadow_deployment.conftest import BrokerDown, RunningService, recorded
from tests.services.shadow_deployment.example_events import (
    CUTOFF,
    WORKLOAD,
    corrected,
    evaluated,
    rollback,
    scorecard,
    workload,
)


async def champion(service: RunningService) -> str | None:
    history = await service.store.history(WORKLOAD)
    return history[-1].champion.name if history else None


async def test_a_first_candidate_becomes_champion_on_its_scorecard(service: RunningService) -> None:
    await service.with_champion()
    [judged] = service.consumed(CandidateJudged)
    [promoted] = service.consumed(ModelPromoted)
    assert (judged.verdict, judged.champion) == (Verdict.PROMOTE, None)
    assert (promoted.revision, promoted.champion.name, promoted.previous) == (1, "first", None)


async def test_a_first_candidate_no_better_than_a_constant_answer_waits(service: RunningService) -> None:
    await service.handlers.on_workload_added(workload())
    await service.handlers.on_candidate_evaluated(
        evaluated("first", None, card=scorecard(held_out=wilson(3, 10)))
    )
    assert [judged.verdict for judged in service.consumed(CandidateJudged)] == [Verdict.HOLD]
    assert await champion(service) is None


async def test_a_golden_regression_never_sees_the_shadow(service: RunningService) -> None:
    await service.with_champion()
    card = scorecard(golden=paired_difference(0, 12, 150), golden_regressed=True)
    await service.handlers.on_candidate_evaluated(evaluated("second", card=card))
    judged = service.consumed(CandidateJudged)[-1]
    assert judged.verdict is Verdict.REJECT
    assert "-8.0 points" in judged.reason
    assert await service.store.workloads_with_work() == []


async def test_corrections_promote_whether_they_come_before_their_pairs_or_after(
    service: RunningService,
) -> None:
    await service.with_champion()
    await service.handlers.on_candidate_evaluated(evaluated("second"))
    pairs = [recorded(number) for number in range(12)]
    await service.correct(*(corrected(pair.prediction_id, "BSD") for pair in pairs[:6]))
    await service.record(pairs)
    for pair in pairs[6:]:
        await service.correct(corrected(pair.prediction_id, "BSD"))
    promoted = service.consumed(ModelPromoted)[-1]
    assert (promoted.revision, promoted.champion.name) == (2, "second")
    assert promoted.previous is not None
    assert promoted.previous.name == "first"
    judged = service.consumed(CandidateJudged)[-1]
    assert judged.evidence.candidate_right < 12  # it did not wait for the rest
    assert judged.evidence.e_value >= 20


async def test_where_keys_are_on_what_one_reviewer_said_decides_nothing(service: RunningService) -> None:
    service.reviews_of_a_pair = 2
    await service.with_champion()
    await service.handlers.on_candidate_evaluated(evaluated("second"))
    pairs = [recorded(number) for number in range(12)]
    await service.record(pairs)
    await service.correct(*(corrected(pair.prediction_id, "BSD") for pair in pairs))
    assert len(service.consumed(CandidateJudged)) == 1, "the champion's own"
    after = CUTOFF
    assert await service.store.pair_counts(WORKLOAD, "run-second", after, 2) == (12, 12)
    assert await service.store.pair_counts(WORKLOAD, "run-second", after, 1) == (12, 0)
    again = ("ada", "ada", "grace")
    await service.correct(*(corrected(one.prediction_id, "BSD", seconds=9, reviewers=again) for one in pairs))
    judged = service.consumed(CandidateJudged)[-1]
    assert (judged.verdict, judged.evidence.fewest_reviewers) == (Verdict.PROMOTE, 2)
    assert "12 of these were reviewed, each by 2 or more" in judged.reason


async def test_a_later_correction_replaces_an_earlier_one_in_any_order(service: RunningService) -> None:
    await service.with_champion()
    await service.handlers.on_candidate_evaluated(evaluated("second"))
    await service.record([recorded(1)])
    late, early = (
        corrected("prediction-0001", "BSD", seconds=9),
        corrected("prediction-0001", "MIT", seconds=1),
    )
    await service.correct(late)
    await service.correct(early)
    [pair] = await service.store.pairs(WORKLOAD, "run-second")
    assert pair.right_answer == "BSD"


async def test_the_same_events_again_say_nothing_new(service: RunningService) -> None:
    await service.with_champion()
    published = len(service.published)
    await service.with_champion()
    assert len(service.published) == published


async def test_a_newer_candidate_supersedes_the_one_in_the_shadow(service: RunningService) -> None:
    await service.with_champion()
    await service.handlers.on_candidate_evaluated(evaluated("second", minutes=1))
    await service.handlers.on_candidate_evaluated(evaluated("third", minutes=2))
    judged = service.consumed(CandidateJudged)[-1]
    assert (judged.candidate.name, judged.verdict) == ("second", Verdict.HOLD)
    assert judged.reason == "It is superseded by third, which was evaluated after it."
    in_shadow = await service.judging.consider(WORKLOAD)
    assert in_shadow is not None
    assert in_shadow.candidate.name == "third"


async def test_time_used_up_holds_the_candidate(service: RunningService) -> None:
    await service.with_champion(promotion=Promotion(max_hours=2))
    await service.handlers.on_candidate_evaluated(evaluated("second"))
    service.now = CUTOFF + timedelta(hours=3)
    assert await service.judging.consider(WORKLOAD) is None
    assert service.consumed(CandidateJudged)[-1].verdict is Verdict.HOLD


async def test_a_rollback_brings_the_champion_before_back_and_holds_the_shadow(
    service: RunningService,
) -> None:
    await service.with_champion()
    await promote(service, "second")
    await service.handlers.on_candidate_evaluated(evaluated("third", "second", minutes=3))
    await service.handlers.on_rollback_requested(rollback())
    [event] = service.consumed(ModelRolledBack)
    assert (event.revision, event.champion.name, event.withdrawn) == (3, "first", "second")
    assert (event.reason, event.requested_by) == ("it answers GPL to everything", "ada")
    judged = service.consumed(CandidateJudged)[-1]
    assert (judged.candidate.name, judged.verdict) == ("third", Verdict.HOLD)
    assert judged.reason.startswith(
        "Its champion changed: it was evaluated against second, and first answers now."
    )


async def test_the_same_rollback_request_goes_back_once(service: RunningService) -> None:
    await service.with_champion()
    await promote(service, "second")
    for _ in range(3):
        await service.handlers.on_rollback_requested(rollback())
    assert len(service.consumed(ModelRolledBack)) == 1
    assert await champion(service) == "first"


async def test_a_rollback_in_vain_stays_in_vain_when_it_is_consumed_again_later(
    service: RunningService,
) -> None:
    await service.with_champion()
    await service.handlers.on_rollback_requested(rollback())
    await promote(service, "second")
    await service.handlers.on_rollback_requested(rollback())
    assert service.consumed(ModelRolledBack) == []
    assert await champion(service) == "second"


async def test_killed_between_storing_and_publishing_the_next_process_publishes_the_same_events(
    service: RunningService,
) -> None:
    await service.handlers.on_workload_added(workload())
    service.is_broker_down = True
    with pytest.raises(BrokerDown):
        await service.handlers.on_candidate_evaluated(evaluated("first", None))
    stored = await service.store.history(WORKLOAD)
    assert [revision.champion.name for revision in stored] == ["first"]

    other = await service.restarted()
    other.now += timedelta(hours=1)
    assert await other.store.workloads_with_work() == [WORKLOAD]
    await other.judging.consider(WORKLOAD)
    [promoted] = other.consumed(ModelPromoted)
    assert promoted == stored[0].event()
    assert await other.store.workloads_with_work() == []


async def test_killed_between_verdict_and_alias_the_next_process_moves_the_alias(
    service: RunningService,
) -> None:
    await service.with_champion()
    judged = service.consumed(CandidateJudged)[0].model_copy(update={"run_id": "run-x", "champion": "first"})
    await service.store.keep_verdict(judged, is_published=False)
    other = await service.restarted()
    await other.judging.consider(WORKLOAD)
    assert [promoted.revision for promoted in other.consumed(ModelPromoted)] == [2]


async def test_killed_during_a_rollback_the_next_process_completes_it_before_anything_else(
    service: RunningService,
) -> None:
    await service.with_champion()
    await promote(service, "second")
    service.is_broker_down = True
    with pytest.raises(BrokerDown):
        await service.handlers.on_rollback_requested(rollback())
    other = await service.restarted()
    await other.handlers.on_rollback_requested(rollback())
    assert [event.champion.name for event in other.consumed(ModelRolledBack)] == ["first"]


async def test_nothing_is_published_that_is_not_stored(service: RunningService) -> None:
    stored_when_published: list[bool] = []
    publish = service.publish

    async def watching(*events: object) -> None:
        rows = await service.clickhouse.rows("SELECT adapter FROM champions_v1")
        stored_when_published.append(bool(rows))
        await publish(*events)  # type: ignore[arg-type]

    object.__setattr__(service.judging, "publish", watching)
    await service.with_champion()
    assert stored_when_published == [True]


async def test_the_published_views_hold_their_contract(service: RunningService) -> None:
    await service.with_champion()
    await service.handlers.on_candidate_evaluated(evaluated("second"))
    await service.record([recorded(1), recorded(2, "MIT")])
    await service.correct(corrected("prediction-0001", "GPL"))
    pairs = await service.clickhouse.rows("SELECT * FROM pairs_v1 ORDER BY prediction_id")
    assert " ".join(pairs[0]) == (
        "run_id workload prediction_id predicted_at champion champion_answer champion_confidence candidate "
        "candidate_answer candidate_confidence differs right_answer recorded_at reviewers"
    )
    assert [tuple(row.values())[-3:] for row in pairs] == [
        ("GPL", pairs[0]["recorded_at"], 1),
        ("", pairs[1]["recorded_at"], 0),
    ]
    assert [row["differs"] for row in pairs] == [True, False]
    [verdict] = await service.clickhouse.rows("SELECT * FROM verdicts_v1")
    assert " ".join(verdict) == (
        "run_id workload dataset_id cycle_id candidate champion verdict reason evidence guardrails judged_at"
    )
    assert json.loads(verdict["guardrails"])[0]["passed"] is True
    assert json.loads(verdict["evidence"])["method"] == "scorecard alone"
    [revision] = await service.clickhouse.rows("SELECT * FROM champions_v1")
    assert " ".join(revision) == "workload revision adapter uri digest base_model previous kind run_id since"


async def promote(service: RunningService, name: str) -> None:
    """By twelve pairs that only the candidate got right."""
    await service.handlers.on_candidate_evaluated(evaluated(name, "first", minutes=2))
    pairs = [recorded(number, candidate=name) for number in range(12)]
    await service.record(pairs)
    await service.correct(*(corrected(pair.prediction_id, "BSD") for pair in pairs))
    assert await champion(service) == name


async def test_a_retired_workloads_candidate_is_held_and_waits_for_nobody(service: RunningService) -> None:
    await service.with_champion()
    await service.handlers.on_candidate_evaluated(evaluated("second"))
    resting = workload().model_copy(update={"revision": 2, "retired_at": CUTOFF})
    await service.handlers.on_workload_added(resting)
    await service.judging.consider(WORKLOAD)
    judged = service.consumed(CandidateJudged)[-1]
    assert (judged.candidate.name, judged.verdict) == ("second", Verdict.HOLD)
    assert "retired" in judged.reason
    assert await service.store.workloads_with_work() == []
