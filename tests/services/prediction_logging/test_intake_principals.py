"""What an app's key has to do with the intake: each app is by itself, and for its own workloads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from shared.access.api_key import NewKey, new_key
from shared.access.roles import Role
from shared.clickhouse import clickhouse_at
from tests.services.prediction_logging.conftest import Logging, running, workload_added
from tests.services.prediction_logging.test_intake import GIVEN
from tests.shared.access.test_keys import made

SHOP, SHOPS_NEXT, MAIL = new_key(), new_key(), new_key()
FEEDBACK = {"prediction_id": "p-1", "workload": "tickets", "thumb": "up"}


@pytest.fixture
async def intake(tmp_path: Path) -> Logging:
    """Where two apps have keys: one for one workload, the other for all there are."""
    keys = [
        made(SHOP, principal="p-shop", role=Role.APP, workloads=["tickets", "not-added-yet"]),
        made(SHOPS_NEXT, principal="p-shop", role=Role.APP, workloads=["tickets", "not-added-yet"]),
        made(MAIL, principal="p-mail", role=Role.APP),
    ]
    logging = await running(clickhouse_at("http://127.0.0.1:9/none"), tmp_path, keys=keys)
    await logging.apply(workload_added("mail"))
    return logging


async def post(intake: Logging, key: NewKey, path: str, body: Any, **headers: str) -> httpx.Response:
    sent = {"authorization": f"Bearer {key.text}", **headers}
    return await intake.http.post(path, json=body, headers=sent)


async def test_an_idempotency_key_that_another_app_used_is_free(intake: Logging) -> None:
    key = {"idempotency-key": "batch-42"}
    first = await post(intake, SHOP, "/predictions", GIVEN, **key)
    other = await post(intake, MAIL, "/predictions", GIVEN | {"answer": "outage"}, **key)
    assert (first.status_code, other.status_code) == (202, 202)
    assert first.json()["ids"] != other.json()["ids"]
    again = await post(intake, SHOPS_NEXT, "/predictions", GIVEN, **key)
    assert again.json() == first.json()
    assert (await post(intake, SHOPS_NEXT, "/predictions", [GIVEN, GIVEN], **key)).status_code == 422


@pytest.mark.parametrize(("path", "body"), [("/predictions", GIVEN), ("/feedback", FEEDBACK)])
async def test_a_key_for_other_workloads_is_refused_and_learns_no_names(
    intake: Logging, path: str, body: dict[str, Any]
) -> None:
    for workload in ("mail", "nobodys"):
        answer = await post(intake, SHOP, path, body | {"workload": workload})
        assert (answer.status_code, answer.json()["title"]) == (403, "Not for this workload")
        assert answer.json()["errors"] == [
            {"line": 1, "field": "workload", "problem": "this key is for other workloads"}
        ]
        assert "mail" not in answer.text
    assert intake.published == []


async def test_an_app_is_told_of_its_own_workloads_which_are_known(intake: Logging) -> None:
    known = {}
    for name, key in {"shop": SHOP, "mail": MAIL}.items():
        answer = await post(intake, key, "/predictions", GIVEN | {"workload": "not-added-yet"})
        assert answer.status_code == 404
        known[name] = answer.json()["known_workloads"]
    assert known == {"shop": ["tickets"], "mail": ["mail", "tickets"]}


async def test_a_line_for_another_workload_is_refused_beside_those_that_are_taken(intake: Logging) -> None:
    lines = [GIVEN, GIVEN | {"workload": "mail"}, GIVEN | {"workload": "not-added-yet"}]
    answer = await post(intake, SHOP, "/predictions", lines)
    assert answer.status_code == 207
    assert [line.get("errors", [{}])[0].get("problem") for line in answer.json()["results"]] == [
        None,
        "this key is for other workloads",
        "its workload is not known",
    ]
    assert (await post(intake, SHOP, "/predictions?all_or_nothing=true", lines[:2])).status_code == 403
