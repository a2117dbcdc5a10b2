"""Ids derive from keys: the same request has the same ids, and no other request has them."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

import pytest

from services.prediction_logging.request_keys import Refused, RequestKey, key_of
from services.prediction_logging.request_keys import new_key as key_from
from shared.time_ordered_ids import time_ordered_id
from tests.services.prediction_logging.conftest import NOON


def new_key(moment: datetime) -> RequestKey:
    return key_from(time_ordered_id(moment), "p-shop", moment)


def test_a_key_of_ours_gives_the_same_ids_and_time_when_it_comes_back() -> None:
    made = new_key(NOON)
    back = key_of(made.text, "p-shop", NOON + timedelta(hours=5))
    assert back is not None
    assert (back.made_at, back.is_new) == (NOON, False)
    assert [back.id_of("prediction", "tickets", line) for line in (1, 2)] == [
        made.id_of("prediction", "tickets", line) for line in (1, 2)
    ]


def test_ids_of_our_key_begin_with_its_time() -> None:
    first = uuid.UUID(new_key(NOON).id_of("prediction", "tickets", 1))
    assert (first.version, first.int >> 80) == (7, int(NOON.timestamp() * 1000))


@pytest.mark.parametrize("make", [new_key, lambda moment: RequestKey("mine", "p-shop", None)])
def test_no_two_kinds_workloads_and_lines_share_an_id(make: object) -> None:
    assert callable(make)
    key = make(NOON)
    ids = {
        key.id_of(kind, workload, line)
        for kind in ("prediction", "feedback")
        for workload in ("tickets", "mail", "tickets-1")
        for line in range(1, 30)
    }
    assert len(ids) == 2 * 3 * 29


@pytest.mark.parametrize("text", ["order-7", new_key(NOON).text], ids=["of the app", "made here"])
def test_two_principals_who_send_one_key_share_no_id(text: str) -> None:
    keys = [key_of(text, principal, NOON) for principal in ("p-shop", "p-mail", "local")]
    assert len({key.id_of("prediction", "tickets", 1) for key in keys if key}) == 3


def test_requests_without_a_key_share_no_id() -> None:
    assert len({new_key(NOON).id_of("prediction", "tickets", 1) for _ in range(1000)}) == 1000


def test_a_key_of_the_app_holds_no_time() -> None:
    assert key_of('"order-7"', "p-shop", NOON) == RequestKey("order-7", "p-shop", None)


def test_what_is_no_key_is_none() -> None:
    assert key_of('""', "p-shop", NOON) is None


@pytest.mark.parametrize("away", [timedelta(days=-8), timedelta(days=8), timedelta(days=40_000)])
def test_a_key_that_claims_to_be_ours_of_another_time_is_the_apps_own(away: timedelta) -> None:
    key = key_of(new_key(NOON + away).text, "p-shop", NOON)
    assert key is not None
    assert key.made_at is None


def test_a_refused_body_gets_its_key_back_once_and_within_the_hour() -> None:
    refused, key = Refused(most=10, seconds=3600), new_key(NOON)
    refused.keep("prediction", b"body", key, 0.0)
    assert refused.take("feedback", b"body", "p-shop", 1.0) is None
    assert refused.take("prediction", b"other", "p-shop", 1.0) is None
    assert refused.take("prediction", b"body", "p-mail", 1.0) is None
    back = refused.take("prediction", b"body", "p-shop", 1.0)
    assert back is not None
    assert (back.text, back.is_new) == (key.text, False)
    assert refused.take("prediction", b"body", "p-shop", 1.0) is None
    refused.keep("prediction", b"body", key, 0.0)
    assert refused.take("prediction", b"body", "p-shop", 3601.0) is None


def test_of_too_many_refused_bodies_the_oldest_goes() -> None:
    refused = Refused(most=10, seconds=3600)
    for number in range(11):
        refused.keep("prediction", b"%d" % number, new_key(NOON), 0.0)
    assert refused.take("prediction", b"0", "p-shop", 1.0) is None
    assert refused.take("prediction", b"1", "p-shop", 1.0) is not None
