"""Reviewers on the console, at the real human_review: who holds what, and what becomes of an answer."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from services.console.review_client import ReviewClient
from services.console.review_session import ReviewSession
from shared.clickhouse import ClickHouse
from shared.events import ReviewGiven
from shared.migrations import migrate
from shared.service_client import ServiceAway, ServiceClient, ServiceRefused
from tests.servers.http import serving
from tests.servers.model import free_port
from tests.servers.views import views_as_tables
from tests.services.human_review.conftest import Reviewing, batch
from tests.services.human_review.test_handlers import flagged, pair


class Place:
    """A queue of twelve, and any number of sessions at it."""

    def __init__(self, reviewing: Reviewing, client: ServiceClient) -> None:
        self.reviewing, self._client = reviewing, client

    def session(self, reviewer: str) -> ReviewSession:
        return ReviewSession(ReviewClient(self._client), self.reviewing.clock, "licences", reviewer)


@pytest.fixture
async def place(clickhouse: ClickHouse) -> AsyncIterator[Place]:
    await views_as_tables(clickhouse, "prediction_logging")
    await migrate(clickhouse, "human_review")
    reviewing = Reviewing(clickhouse)
    names = [f"p{number:02d}" for number in range(12)]
    await reviewing.log(*names)
    await reviewing.handlers.on_prediction_flagged(batch(*map(flagged, names)))
    async with serving(reviewing.app) as url, ServiceClient(url) as client:
        yield Place(reviewing, client)
    await reviewing.http.aclose()


def held(session: ReviewSession) -> set[str]:
    return set(session.sitting.past())


async def test_two_reviewers_on_the_console_never_hold_the_same_item(place: Place) -> None:
    ada, grace = place.session("ada"), place.session("grace")
    judged: list[str] = []
    for _ in range(6):
        for session in (ada, grace):
            place.reviewing.pass_time(2)
            await session.fill()
            assert not held(ada) & held(grace)
            if session.sitting.item is not None:
                judged.append(session.sitting.item.prediction_id)
                await session.answer("mit")
    assert len(judged) == len(set(judged)) == 12


async def test_the_next_item_is_here_before_the_first_is_judged(place: Place) -> None:
    ada = place.session("ada")
    await ada.fill()
    assert len(held(ada)) == 3
    assert not ada.sitting.wants_more


async def test_what_one_reviewer_held_for_too_long_may_go_to_another_and_is_held_by_one(place: Place) -> None:
    ada, grace = place.session("ada"), place.session("grace")
    await ada.fill()
    place.reviewing.pass_time(601)
    await grace.fill()
    assert held(grace) & held(ada)
    ada.let_go()
    await ada.fill()
    assert len(held(ada)) == 3
    assert not held(grace) & held(ada)


async def test_an_item_looked_at_for_too_long_stays_if_nobody_took_it(place: Place) -> None:
    ada = place.session("ada")
    await ada.fill()
    place.reviewing.pass_time(601)
    gone = ada.let_go()
    await ada.fill()
    assert gone is not None
    assert ada.sitting.item is not None
    assert ada.sitting.item.prediction_id == gone.prediction_id


async def test_an_undone_answer_is_replaced_by_a_later_review(place: Place) -> None:
    ada = place.session("ada")
    await ada.fill()
    await ada.answer("mit")
    ada.sitting.undo()
    place.reviewing.pass_time(5)
    await ada.answer("gpl-2.0")
    first, second = (one for one in place.reviewing.published if isinstance(one, ReviewGiven))
    assert first.prediction_id == second.prediction_id
    assert first.review_id != second.review_id
    assert first.given_at < second.given_at


async def test_a_skipped_item_comes_to_somebody_else(place: Place) -> None:
    ada = place.session("ada")
    await ada.fill()
    assert ada.sitting.item is not None
    skipped = ada.sitting.item.prediction_id
    ada.sitting.skip()
    while ada.sitting.item is not None:
        place.reviewing.pass_time(2)
        await ada.fill()
        assert skipped != ada.sitting.item.prediction_id
        await ada.answer("mit")
        await ada.fill()
    place.reviewing.pass_time(601)
    grace = place.session("grace")
    await grace.fill()
    assert skipped in held(grace)


async def test_a_pair_comes_blind(place: Place) -> None:
    await place.reviewing.handlers.on_shadow_pair_recorded(batch(pair("p05")))
    ada = place.session("ada")
    await ada.fill()
    item = ada.sitting.item
    assert item is not None
    assert (item.prediction_id, item.kind, item.answer, item.probabilities) == ("p05", "pair", None, None)


async def test_an_answer_that_is_not_kept_leaves_the_item_on_the_page(place: Place) -> None:
    ada = place.session("ada")
    await ada.fill()
    item = ada.sitting.item
    place.reviewing.broker_is_away = True
    with pytest.raises(ServiceRefused, match="Send the same again") as refused:
        await ada.answer("mit")
    assert refused.value.is_for_now
    assert ada.sitting.item is item
    with pytest.raises(ServiceRefused, match="no label of licences"):
        await ada.answer("nonsense")


async def test_a_queue_that_is_away_is_told_from_an_empty_one() -> None:
    async with ServiceClient(f"http://127.0.0.1:{free_port()}") as nobody:
        with pytest.raises(ServiceAway, match="connection refused"):
            await ReviewClient(nobody).next_item("licences", "ada", [])
