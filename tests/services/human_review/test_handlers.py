from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from prometheus_client import generate_latest

from services.human_review.store import MOST_WAITING_OF_ONE, ReviewStore
from shared.events import FlagReason, PredictionFlagged, ReviewGiven, ShadowPairRecorded
from tests.services.human_review.conftest import LOTS, NOON, Reviewing, batch, workload_added


def flagged(
    prediction_id: str, reason: FlagReason = FlagReason.DOUBTED, workload: str = "licences"
) -> PredictionFlagged:
    return PredictionFlagged(
        prediction_id=prediction_id,
        workload=workload,
        predicted_at=NOON,
        adapter="licences-v1",
        answer="mit",
        confidence=0.5,
        reason=reason,
        flagged_at=NOON,
    )


def pair(prediction_id: str, candidate_answer: str = "gpl-2.0") -> ShadowPairRecorded:
    return ShadowPairRecorded(
        run_id="run-1",
        workload="licences",
        prediction_id=prediction_id,
        predicted_at=NOON,
        champion="licences-v1",
        champion_answer="mit",
        champion_confidence=0.8125,
        candidate="licences-v2",
        candidate_answer=candidate_answer,
        candidate_confidence=0.9375,
        recorded_at=NOON,
    )


def given(
    prediction_id: str,
    right_answer: str,
    reviewer: str = "ada",
    at: datetime = NOON,
    workload: str = "licences",
) -> ReviewGiven:
    return ReviewGiven(
        review_id=f"{prediction_id}.{reviewer}.{right_answer}",
        prediction_id=prediction_id,
        workload=workload,
        reviewer=reviewer,
        right_answer=right_answer,
        given_at=at,
    )


async def items(reviewing: Reviewing) -> dict[str, dict[str, Any]]:
    rows = await reviewing.clickhouse.rows("SELECT * FROM review_items_v1")
    return {row["prediction_id"]: row for row in rows}


async def test_of_several_reasons_the_strongest_holds_in_whatever_order_they_come(
    reviewing: Reviewing,
) -> None:
    reasons = [FlagReason.DISLIKED, FlagReason.DOUBTED, FlagReason.AUDIT]
    await reviewing.handlers.on_prediction_flagged(batch(*(flagged("a", one) for one in reasons)))
    await reviewing.handlers.on_prediction_flagged(batch(*(flagged("b", one) for one in reversed(reasons))))
    assert {name: row["kind"] for name, row in (await items(reviewing)).items()} == {
        "a": "disliked",
        "b": "disliked",
    }


async def test_what_the_old_champion_answers_by_a_label_s_old_name_counts_under_its_new_one(
    reviewing: Reviewing,
) -> None:
    before = workload_added()
    definition = before.definition.model_copy(
        update={"labels": ("MIT", "apache-2.0", "gpl-2.0"), "renamed": {"mit": "MIT"}}
    )
    answers = {"MIT": " mit", "apache-2.0": " apache-2.0", "gpl-2.0": " gpl-2.0"}
    again = before.model_copy(update={"revision": 2, "definition": definition, "answers": answers})
    await reviewing.handlers.on_workload_added(again)
    await reviewing.log("a", answer="mit")
    await reviewing.handlers.on_prediction_flagged(batch(flagged("a")))
    await reviewing.handlers.on_review_given(batch(given("a", "MIT")))
    [correction] = reviewing.corrections
    assert (correction.answer, correction.right_answer) == ("MIT", "MIT"), "a confirmation and no failure"


async def test_only_pairs_that_differ_are_queued(reviewing: Reviewing) -> None:
    await reviewing.handlers.on_shadow_pair_recorded(batch(pair("differs"), pair("same", "mit")))
    assert list(await items(reviewing)) == ["differs"]


async def test_a_queued_pair_shows_both_answers_and_no_trace_of_which_model_gave_which(
    reviewing: Reviewing,
) -> None:
    await reviewing.handlers.on_prediction_flagged(batch(flagged("a")))
    await reviewing.handlers.on_shadow_pair_recorded(batch(pair("a")))
    row = (await items(reviewing))["a"]
    assert sorted(row["options"]) == ["gpl-2.0", "mit"]
    assert (row["kind"], row["adapter"], row["answer"], row["confidence"]) == ("pair", "", "", 0.0)


async def test_a_review_makes_a_correction_of_what_the_model_had_said(reviewing: Reviewing) -> None:
    await reviewing.log("a", confidence=0.25)
    await reviewing.handlers.on_prediction_flagged(batch(flagged("a")))
    await reviewing.handlers.on_review_given(batch(given("a", "gpl-2.0")))
    (published,) = reviewing.corrections
    assert (published.answer, published.right_answer, published.confidence) == ("mit", "gpl-2.0", 0.25)
    assert (published.reviewers, published.review_ids) == (["ada"], ["a.ada.gpl-2.0"])
    assert (published.corrected_at, published.predicted_at, published.adapter) == (NOON, NOON, "licences-v1")
    assert (await items(reviewing))["a"]["state"] == "agreed"
    (row,) = await reviewing.clickhouse.rows("SELECT * FROM corrections_v1")
    assert (row["right_answer"], row["reviewers"]) == ("gpl-2.0", ["ada"])


async def test_a_replayed_batch_says_the_same_events_again(reviewing: Reviewing) -> None:
    await reviewing.log("a")
    reviews = batch(given("a", "mit"))
    await reviewing.handlers.on_review_given(reviews)
    reviewing.pass_time(60)
    await reviewing.handlers.on_review_given(reviews)
    first, again = reviewing.corrections
    assert first == again
    assert len(await reviewing.clickhouse.rows("SELECT * FROM corrections_v1")) == 1
    assert len(await reviewing.clickhouse.rows("SELECT * FROM reviews_v1")) == 1


async def test_a_changed_review_replaces_the_first_and_says_a_new_correction(reviewing: Reviewing) -> None:
    await reviewing.log("a")
    await reviewing.handlers.on_review_given(batch(given("a", "mit")))
    await reviewing.handlers.on_review_given(batch(given("a", "gpl-2.0", at=NOON + timedelta(minutes=1))))
    first, second = reviewing.corrections
    assert first.event_id != second.event_id
    (row,) = await reviewing.clickhouse.rows("SELECT right_answer FROM corrections_v1")
    assert row["right_answer"] == second.right_answer == "gpl-2.0"


async def test_reviews_that_come_out_of_order_end_the_same(reviewing: Reviewing) -> None:
    await reviewing.log("a")
    await reviewing.handlers.on_review_given(batch(given("a", "gpl-2.0", at=NOON + timedelta(minutes=1))))
    await reviewing.handlers.on_review_given(batch(given("a", "mit")))
    assert {published.right_answer for published in reviewing.corrections} == {"gpl-2.0"}


async def test_a_review_of_a_prediction_that_is_not_logged_yet_waits_for_it(reviewing: Reviewing) -> None:
    await reviewing.handlers.on_review_given(batch(given("late", "mit")))
    await reviewing.handlers.join_waiting()
    assert reviewing.corrections == []
    await reviewing.log("late")
    await reviewing.handlers.join_waiting()
    await reviewing.handlers.join_waiting()
    assert [published.prediction_id for published in reviewing.corrections] == ["late"]


async def test_while_no_review_waits_the_database_is_left_alone(reviewing: Reviewing) -> None:
    looks = 0
    waiting = reviewing.handlers.store.waiting

    async def counted(since: datetime) -> dict[str, list[str]]:
        nonlocal looks
        looks += 1
        return await waiting(since)

    reviewing.handlers.store.waiting = counted  # type: ignore[method-assign]
    joining = asyncio.create_task(reviewing.handlers.join_while_some_wait(0.01))
    await asyncio.sleep(0.5)
    assert looks == 1
    await reviewing.handlers.on_review_given(batch(given("late", "mit")))
    await asyncio.sleep(0.3)
    assert looks > 2
    await reviewing.log("late")
    async with asyncio.timeout(10):
        while not reviewing.corrections:
            await asyncio.sleep(0.05)
    await asyncio.sleep(0.1)
    before = looks
    await asyncio.sleep(0.5)
    joining.cancel()
    assert looks == before


async def test_reviews_of_what_nobody_logged_are_in_the_way_of_no_other_principals(
    reviewing: Reviewing,
) -> None:
    await reviewing.handlers.on_review_given(batch(given("late", "mit", "p-anna")))
    for start in range(0, 1200, 400):
        await reviewing.handlers.store.keep_reviews(
            given(f"invented-{number}", "mit", "p-mallory", NOON + timedelta(hours=1))
            for number in range(start, start + 400)
        )
    await reviewing.log("late")
    await reviewing.handlers.join_waiting()
    assert [published.prediction_id for published in reviewing.corrections] == ["late"]


async def test_what_one_principal_reviewed_before_it_was_logged_is_decided_however_much_it_is(
    reviewing: Reviewing,
) -> None:
    names = [f"p{number}" for number in range(MOST_WAITING_OF_ONE + 50)]
    await reviewing.handlers.store.keep_reviews([given(name, "mit") for name in names])
    await reviewing.log(*names)
    joining = asyncio.create_task(reviewing.handlers.join_while_some_wait(0.01))
    async with asyncio.timeout(20):
        while len(reviewing.corrections) < len(names):
            await asyncio.sleep(0.05)
    joining.cancel()


async def test_a_review_waits_for_a_day_and_is_then_counted(reviewing: Reviewing) -> None:
    await reviewing.handlers.on_review_given(batch(given("never", "mit")))
    reviewing.pass_time(24 * 3600 - 1)
    await reviewing.handlers.join_waiting()
    assert reviewing.handlers.some_wait.is_set()
    await reviewing.handlers.show_unmatched()
    assert "tuneloop_reviews_unmatched{" not in generate_latest(reviewing.registry).decode()
    reviewing.pass_time(2)
    await reviewing.handlers.join_waiting()
    assert not reviewing.handlers.some_wait.is_set()
    await reviewing.handlers.show_unmatched()
    told = generate_latest(reviewing.registry).decode()
    assert 'tuneloop_reviews_unmatched{workload="licences"} 1.0' in told
    await reviewing.log("never")
    await reviewing.handlers.on_prediction_flagged(batch(flagged("never")))
    assert [published.prediction_id for published in reviewing.corrections] == ["never"]
    await reviewing.handlers.show_unmatched()
    assert "tuneloop_reviews_unmatched{" not in generate_latest(reviewing.registry).decode()


async def test_while_some_wait_all_reviews_are_counted_once_a_minute_and_when_none_waits_any_more(
    reviewing: Reviewing, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, store = Counter[str](), reviewing.handlers.store

    def noting(
        look: Callable[[datetime], Awaitable[Any]],
    ) -> Callable[[ReviewStore, datetime], Awaitable[Any]]:
        async def noted(_: ReviewStore, since: datetime) -> Any:
            found = await look(since)
            looks[look.__name__] += 1
            return found

        return noted

    for look in (store.waiting, store.unmatched):
        monkeypatch.setattr(ReviewStore, look.__name__, noting(look))
    await reviewing.handlers.on_review_given(batch(given("never", "mit")))
    joining = asyncio.create_task(reviewing.handlers.join_while_some_wait(0.01))
    async with asyncio.timeout(20):
        while looks["waiting"] < 3:
            await asyncio.sleep(0.05)
        assert looks["unmatched"] == 1
        reviewing.pass_time(25 * 3600)
        while looks["unmatched"] < 2:
            await asyncio.sleep(0.05)
    joining.cancel()
    told = generate_latest(reviewing.registry).decode()
    assert 'tuneloop_reviews_unmatched{workload="licences"} 1.0' in told


async def test_a_joined_correction_that_could_not_be_said_is_said_later(reviewing: Reviewing) -> None:
    await reviewing.handlers.on_review_given(batch(given("late", "mit")))
    await reviewing.log("late")
    reviewing.broker_is_away = True
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reviewing.handlers.join_waiting(), 1)
    reviewing.broker_is_away = False
    await reviewing.handlers.join_waiting()
    assert [published.prediction_id for published in reviewing.corrections] == ["late"]


async def test_a_review_that_version_0_1_kept_of_an_unknown_workload_blocks_nobody(
    reviewing: Reviewing,
) -> None:
    await reviewing.handlers.store.keep_reviews([given("x", "mit", workload="other")])
    await reviewing.handlers.on_review_given(batch(given("late", "mit")))
    await reviewing.log("late")
    await reviewing.handlers.join_waiting()
    assert [published.prediction_id for published in reviewing.corrections] == ["late"]


async def test_a_label_outside_the_workload_is_kept_and_corrects_nothing(reviewing: Reviewing) -> None:
    await reviewing.log("a")
    await reviewing.handlers.on_review_given(batch(given("a", "no-such-licence")))
    assert reviewing.corrections == []
    assert len(await reviewing.clickhouse.rows("SELECT * FROM reviews_v1")) == 1


async def test_two_who_disagree_set_an_item_aside_until_a_third_settles_it(reviewing: Reviewing) -> None:
    await reviewing.log("a")
    await reviewing.handlers.on_prediction_flagged(batch(flagged("a")))
    await reviewing.handlers.on_review_given(batch(given("a", "mit", "ada"), given("a", "gpl-2.0", "grace")))
    assert reviewing.corrections == []
    assert (await items(reviewing))["a"]["state"] == "disputed"
    assert await reviewing.next("alan") is None
    await reviewing.handlers.on_review_given(batch(given("a", "gpl-2.0", "alan")))
    assert [published.right_answer for published in reviewing.corrections] == ["gpl-2.0"]
    assert reviewing.corrections[0].reviewers == ["alan", "grace"]


async def test_an_item_half_reviewed_is_settled_when_it_turns_out_to_be_a_pair(reviewing: Reviewing) -> None:
    drawn_twice = next(one for one in map(str, range(99)) if LOTS.drawn("double", one) < 0.2)
    twice = Reviewing(reviewing.clickhouse, double_share=0.2)
    await twice.log(drawn_twice)
    await twice.handlers.on_prediction_flagged(batch(flagged(drawn_twice)))
    await twice.handlers.on_review_given(batch(given(drawn_twice, "mit")))
    assert twice.corrections == []
    assert (await items(twice))[drawn_twice]["reviews_wanted"] == 2
    await twice.handlers.on_shadow_pair_recorded(batch(pair(drawn_twice)))
    assert [published.right_answer for published in twice.corrections] == ["mit"]
    await twice.http.aclose()


async def test_where_two_reviews_are_asked_of_pairs_one_that_was_corrected_before_is_open_again(
    reviewing: Reviewing,
) -> None:
    reviewing.reviews_of_a_pair = 2
    await reviewing.log("a")
    await reviewing.handlers.on_prediction_flagged(batch(flagged("a")))
    await reviewing.handlers.on_review_given(batch(given("a", "mit", "ada")))
    assert [one.reviewers for one in reviewing.corrections] == [["ada"]]
    await reviewing.handlers.on_shadow_pair_recorded(batch(pair("a")))
    queued = (await items(reviewing))["a"]
    assert (queued["state"], queued["reviews_wanted"]) == ("open", 2)
    assert await reviewing.next("grace") is not None
    await reviewing.handlers.on_review_given(batch(given("a", "mit", "grace", NOON + timedelta(minutes=1))))
    assert [one.reviewers for one in reviewing.corrections] == [["ada"], ["ada", "grace"]]


async def test_a_full_batch_of_long_ids_is_handled(reviewing: Reviewing) -> None:
    names = [f"{number:0115d}" for number in range(2000)]
    await reviewing.log(*names)
    await reviewing.handlers.on_prediction_flagged(batch(*map(flagged, names)))
    await reviewing.handlers.on_review_given(batch(*(given(name, "mit") for name in names)))
    assert {published.prediction_id for published in reviewing.corrections} == set(names)
