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
