from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from services.human_review.app import build
from services.human_review.items import OpenItem
from services.human_review.store import ReviewStore
from shared.access.api_key import new_key
from shared.events import FlagReason, ReviewGiven
from shared.flow import FLOW
from shared.service import ServiceContext
from tests.services.human_review.conftest import LABELS, NOON, Reviewing, batch, workload_added
from tests.services.human_review.test_handlers import flagged, given, pair
from tests.shared.access.test_keys import made


async def test_a_reviewer_gets_the_text_the_labels_and_what_the_model_said(reviewing: Reviewing) -> None:
    await reviewing.log("a", confidence=0.25)
    await reviewing.handlers.on_prediction_flagged(batch(flagged("a")))
    assert await reviewing.next() == {
        "prediction_id": "a",
        "kind": "doubted",
        "text": "text of a",
        "options": [],
        "labels": list(LABELS),
        "predicted_at": f"{NOON:%Y-%m-%dT%H:%M:%SZ}",
        "held_until": f"{reviewing.time + timedelta(minutes=10):%Y-%m-%dT%H:%M:%SZ}",
        "answer": "mit",
        "confidence": 0.5,
        "probabilities": {"mit": 0.25},
    }


async def test_a_pair_is_shown_blind(reviewing: Reviewing) -> None:
    await reviewing.log("a")
    await reviewing.handlers.on_prediction_flagged(batch(flagged("a")))
    await reviewing.handlers.on_shadow_pair_recorded(batch(pair("a")))
    item = await reviewing.next()
    assert item is not None
    about = {"prediction_id", "kind", "text", "options", "labels", "predicted_at", "held_until"}
    assert item.keys() == about
    assert sorted(item["options"]) == ["gpl-2.0", "mit"]


async def test_pairs_come_first_and_disliked_before_doubted(reviewing: Reviewing) -> None:
    await reviewing.log("doubted", "disliked", "pair")
    await reviewing.handlers.on_prediction_flagged(
        batch(flagged("doubted"), flagged("disliked", FlagReason.DISLIKED))
    )
    await reviewing.handlers.on_shadow_pair_recorded(batch(pair("pair")))
    got = [await reviewing.next() for _ in range(3)]
    assert [item["kind"] for item in got if item] == ["pair", "disliked", "doubted"]


async def test_an_item_whose_text_is_not_logged_yet_waits(reviewing: Reviewing) -> None:
    await reviewing.handlers.on_prediction_flagged(batch(flagged("late")))
    assert await reviewing.next() is None
    await reviewing.log("late")
    assert await reviewing.next() is not None


async def test_nothing_comes_back_after_it_was_judged(reviewing: Reviewing) -> None:
    await reviewing.log("a")
    await reviewing.handlers.on_prediction_flagged(batch(flagged("a")))
    assert await reviewing.next() is not None
    assert (await reviewing.review("a", "mit")).status_code == 202
    assert await reviewing.next() is None
    assert await reviewing.next("grace") is None
    reviewing.pass_time(3600)
    await reviewing.handlers.on_review_given(batch(*reviewing.published))
    assert await reviewing.next() is None


async def test_one_id_in_two_workloads_is_two_items_with_reviews_and_corrections_of_their_own(
    reviewing: Reviewing,
) -> None:
    for workload in ("licences", "notices"):
        await reviewing.log("a", workload=workload)
        await reviewing.handlers.on_prediction_flagged(batch(flagged("a", workload=workload)))
    for workload in ("licences", "notices"):
        assert await reviewing.next(workload=workload) is not None, f"{workload} was claimed for the other"
        assert (await reviewing.review("a", "mit", workload=workload)).status_code == 202
    assert [await reviewing.next(workload=workload) for workload in ("licences", "notices")] == [None, None]
    await reviewing.handlers.on_review_given(batch(*reviewing.published))
    assert {one.workload for one in reviewing.corrections} == {"licences", "notices"}
    assert len({event.event_id for event in reviewing.published}) == 4
    (row,) = await reviewing.clickhouse.rows("SELECT uniqExact(review_id) AS n FROM reviews_v1")
    assert row["n"] == 2


async def test_what_a_reviewer_has_on_screen_is_not_given_again_on_request(reviewing: Reviewing) -> None:
    await reviewing.log("a")
    await reviewing.handlers.on_prediction_flagged(batch(flagged("a")))
    assert await reviewing.next() is not None
    assert await reviewing.next(without=["a"]) is None


async def test_the_same_judgement_sent_twice_is_the_same_event(reviewing: Reviewing) -> None:
    for _ in range(2):
        reviewing.pass_time(1)
        assert (await reviewing.review("a", "mit")).status_code == 202
    first, again = reviewing.published
    assert first.event_id == again.event_id


async def test_a_review_keeps_the_id_it_came_with_and_is_given_when_it_comes(reviewing: Reviewing) -> None:
    await reviewing.review("a", "mit", review_id="mine-1", given_at="2199-12-31T00:00:00Z")
    (published,) = reviewing.published
    assert isinstance(published, ReviewGiven)
    assert (published.review_id, published.given_at) == ("mine-1", reviewing.time)


async def test_who_reviews_without_a_key_is_kept_as_who_they_say(reviewing: Reviewing) -> None:
    await reviewing.review("a", "mit", "ada")
    unnamed = {"prediction_id": "a", "workload": "licences", "right_answer": "mit"}
    await reviewing.http.post("/reviews", json=unnamed)
    given = [event for event in reviewing.published if isinstance(event, ReviewGiven)]
    assert [one.reviewer for one in given] == ["local/ada", "local"]


async def test_with_a_key_the_reviewer_is_whose_it_is_whatever_is_said(reviewing: Reviewing) -> None:
    key = new_key()
    keyed = Reviewing(reviewing.clickhouse, keys=[made(key)])
    keyed.http.headers["authorization"] = f"Bearer {key.text}"
    for name in ("grace", "alan"):
        assert (await keyed.review("a", "mit", name)).status_code == 202
    given = [event for event in keyed.published if isinstance(event, ReviewGiven)]
    assert [one.reviewer for one in given] == ["p-anna", "p-anna"]
    await keyed.http.aclose()


async def test_a_get_claims_nothing(reviewing: Reviewing) -> None:
    await reviewing.log("a")
    await reviewing.handlers.on_prediction_flagged(batch(flagged("a")))
    place = {"workload": "licences", "reviewer": "invented"}
    assert (await reviewing.http.get("/reviews/next", params=place)).status_code == 404
    assert (await reviewing.http.get("/reviews/claims", params=place)).status_code == 405
    assert await reviewing.next("ada") is not None


async def test_sixty_invented_reviewers_leave_the_others_their_work(reviewing: Reviewing) -> None:
    names = [f"p{number:02d}" for number in range(40)]
    await reviewing.log(*names)
    await reviewing.handlers.on_prediction_flagged(batch(*map(flagged, names)))
    for number in range(60):
        await reviewing.next(f"invented-{number}")
    given = [await reviewing.next("ada") for _ in range(20)]
    assert len({item["prediction_id"] for item in given if item}) == 20


async def test_a_review_says_which_revision_s_labels_it_chose_from(reviewing: Reviewing) -> None:
    await reviewing.review("a", "mit")
    (published,) = reviewing.published
    assert isinstance(published, ReviewGiven)
    assert published.revision == 1
    await reviewing.handlers.on_review_given(batch(published))
    assert await reviewing.clickhouse.rows("SELECT prediction_id FROM reviews_v1") == [{"prediction_id": "a"}]


async def test_a_mind_changed_and_back_again_is_three_reviews(reviewing: Reviewing) -> None:
    for number, label in enumerate(("mit", "gpl-2.0", "mit")):
        await reviewing.review("a", label, review_id=f"mine-{number}")
    assert len({published.event_id for published in reviewing.published}) == 3


async def test_a_review_that_kafka_did_not_confirm_is_not_accepted(reviewing: Reviewing) -> None:
    await reviewing.log("a")
    await reviewing.handlers.on_prediction_flagged(batch(flagged("a")))
    reviewing.broker_is_away = True
    reply = await reviewing.review("a", "mit")
    assert (reply.status_code, reply.headers["Retry-After"]) == (503, "5")
    assert await reviewing.next() is not None


async def test_tables_that_do_not_answer_are_a_problem_to_try_again(reviewing: Reviewing) -> None:
    await reviewing.clickhouse.command("DROP TABLE review_items")
    place = {"workload": "licences", "reviewer": "ada"}
    reply = await reviewing.http.post("/reviews/claims", json=place)
    assert (reply.status_code, reply.json()["title"]) == (503, "Tables away")


async def test_a_label_outside_the_workload_is_refused_with_the_nearest_ones(reviewing: Reviewing) -> None:
    reply = await reviewing.review("a", "apache-2")
    assert reply.status_code == 422
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.json()["near"] == ["apache-2.0"]
    assert reviewing.published == []


async def test_a_key_for_one_workload_learns_the_names_of_no_other(reviewing: Reviewing) -> None:
    key = new_key()
    keyed = Reviewing(reviewing.clickhouse, keys=[made(key, workloads=["mine", "licences"])])
    keyed.http.headers["authorization"] = f"Bearer {key.text}"
    for name, status in (("notices", 403), ("nobodys", 403), ("mine", 404)):
        answer = await keyed.http.post("/reviews/claims", json={"workload": name})
        assert answer.status_code == status
        assert "notices" not in answer.text
    assert "licences" in answer.text
    await keyed.http.aclose()


async def test_an_unknown_workload_is_not_found(reviewing: Reviewing) -> None:
    review = {"prediction_id": "a", "workload": "nothing", "reviewer": "ada", "right_answer": "mit"}
    replies = [
        await reviewing.http.post("/reviews/claims", json={"workload": "nothing", "reviewer": "ada"}),
        await reviewing.http.post("/reviews", json=review),
        await reviewing.http.get("/reviews/agreement", params={"workload": "nothing"}),
    ]
    assert [reply.status_code for reply in replies] == [404] * 3


@pytest.mark.parametrize(
    "wrong",
    [{"reviewer": ""}, {"prediction_id": "a b"}, {"right_answer": None}, {"given_at": "2026-03-01T09:00:00"}],
)
async def test_an_invalid_review_is_refused(reviewing: Reviewing, wrong: dict[str, str | None]) -> None:
    review = {"prediction_id": "a", "workload": "licences", "reviewer": "ada", "right_answer": "mit"}
    assert (await reviewing.http.post("/reviews", json=review | wrong)).status_code == 422


async def test_agreement_counts_what_two_reviewers_judged_with_an_interval(reviewing: Reviewing) -> None:
    later = NOON + timedelta(minutes=1)
    await reviewing.handlers.on_review_given(
        batch(
            *(given(one, "mit", "ada") for one in "abcd"),
            *(given(one, "mit", "grace", later) for one in "ab"),
            given("c", "gpl-2.0", "grace", later),
        )
    )
    reply = await reviewing.http.get("/reviews/agreement", params={"workload": "licences"})
    answer = reply.json()
    assert (answer["n"], answer["agreed"]) == (3, 2)
    assert answer["share"]["low"] < answer["share"]["value"] == 2 / 3 < answer["share"]["high"]


async def test_before_any_double_review_agreement_is_unknown(reviewing: Reviewing) -> None:
    reply = await reviewing.http.get("/reviews/agreement", params={"workload": "licences"})
    assert reply.json()["share"] == {"value": 0.0, "low": 0.0, "high": 1.0}


async def test_two_hundred_reviews_in_ten_seconds_look_into_the_queue_once_a_second_each(
    reviewing: Reviewing, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0
    really = ReviewStore.open_items

    async def counted(*given: Any, **named: Any) -> tuple[list[OpenItem], bool]:
        nonlocal looks
        looks += 1
        return await really(*given, **named)

    monkeypatch.setattr(ReviewStore, "open_items", counted)
    names = [f"p{number}" for number in range(200)]
    await reviewing.log(*names)
    await reviewing.handlers.on_prediction_flagged(batch(*map(flagged, names)))
    seen = set()
    for number in range(200):
        reviewer = ("ada", "grace")[number % 2]
        reviewing.pass_time(0.05)
        place = {"workload": "licences", "reviewer": reviewer}
        item = (await reviewing.http.post("/reviews/claims", json=place)).json()
        seen.add(item["prediction_id"])
        assert (await reviewing.review(item["prediction_id"], "mit", reviewer)).status_code == 202
        if number % 20 == 19:
            await reviewing.handlers.on_review_given(batch(*reviewing.published[-20:]))
    assert len(seen) == 200
    assert looks <= 22


async def test_reviews_that_are_not_stored_yet_hide_nothing_that_is_still_open(reviewing: Reviewing) -> None:
    few = Reviewing(reviewing.clickhouse, look_ahead=4)
    names = [f"p{number}" for number in range(12)]
    await few.log(*names)
    await few.handlers.on_prediction_flagged(batch(*map(flagged, names)))
    for number in range(12):
        reviewer = ("ada", "grace")[number % 2]
        item = await few.next(reviewer)
        assert item is not None
        await few.review(item["prediction_id"], "mit", reviewer)
    assert await few.next("ada") is None
    assert await few.next("grace") is None
    await few.http.aclose()


async def test_a_reviewer_is_not_stopped_by_items_that_wait_for_somebody_else(reviewing: Reviewing) -> None:
    both = Reviewing(reviewing.clickhouse, double_share=1.0, look_ahead=4)
    names = [f"p{number}" for number in range(12)]
    await both.log(*names)
    await both.handlers.on_prediction_flagged(batch(*map(flagged, names)))
    for _ in names:
        item = await both.next("ada")
        assert item is not None
        await both.review(item["prediction_id"], "mit", "ada")
        await both.handlers.on_review_given(batch(both.published[-1]))
    assert await both.next("ada") is None
    assert await both.next("grace") is not None
    await both.http.aclose()


def test_the_wiring_is_what_the_flow_page_says(context: ServiceContext) -> None:
    assert frozenset(build(context).consumes) == FLOW["human_review"].consumes


async def test_a_retired_workload_hands_out_no_reviews(reviewing: Reviewing) -> None:
    await reviewing.log("a")
    await reviewing.handlers.on_prediction_flagged(batch(flagged("a")))
    resting = workload_added().model_copy(update={"revision": 2, "retired_at": NOON})
    await reviewing.handlers.on_workload_added(resting)
    place = {"workload": "licences", "reviewer": "ada"}
    reply = await reviewing.http.post("/reviews/claims", json=place)
    assert (reply.status_code, reply.json()["title"]) == (404, "Retired")
