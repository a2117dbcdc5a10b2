"""429 at the door: one key's requests, whatever it asks for, and what the metrics say of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI, Request
from prometheus_client import CollectorRegistry, generate_latest

from shared.access.admission import Admission
from shared.access.api_key import new_key
from shared.access.door import Door, may
from shared.access.limit_settings import LimitSettings
from shared.access.limiter import Limiter, RequestLimits
from shared.access.roles import Role, Verb
from shared.events import AccessChanged
from shared.problems import answer_with_problems

NOW = datetime(2026, 3, 1, tzinfo=UTC)
ANNA, BEN = new_key(), new_key()


def served(*keys: AccessChanged, **settings: float) -> tuple[httpx.AsyncClient, CollectorRegistry]:
    app, registry = FastAPI(), CollectorRegistry()
    answer_with_problems(app)

    @app.post("/v1/things", dependencies=[may(Verb.OPERATE)])
    async def things(request: Request) -> int:
        return len(await request.body())

    @app.post("/slow", dependencies=[may(Verb.OPERATE)])
    async def slow() -> None:
        await asyncio.sleep(0.2)

    admission = Admission(lambda: NOW, Path("nowhere"), beyond_loopback=False, confirmed_at=NOW)
    for key in keys:
        admission.keys.apply(key)
    limits = RequestLimits(LimitSettings.model_validate(settings), registry, lambda: 1000.0)
    app.add_middleware(Limiter, limits=limits)
    app.add_middleware(Door, admission=admission)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test"), registry


def known() -> list[AccessChanged]:
    return [
        AccessChanged(
            key_id=key.key_id,
            revision=1,
            principal=f"p-{number}",
            role=Role.OPERATOR,
            digest=key.digest,
            changed_by="host",
            changed_at=NOW,
        )
        for number, key in enumerate((ANNA, BEN))
    ]


def by(text: str) -> dict[str, str]:
    return {"authorization": f"Bearer {text}"}


async def test_a_key_that_asks_too_often_is_told_when_to_come_again() -> None:
    client, registry = served(*known(), key_requests_per_second=0.25, key_requests_burst=2)
    said = [await client.post("/v1/things", headers=by(ANNA.text)) for _ in range(3)]
    assert [one.status_code for one in said] == [200, 200, 429]
    assert said[2].headers["retry-after"] == "4"
    assert said[2].headers["content-type"] == "application/problem+json"
    assert said[2].json()["error"]["type"] == "rate_limit_error"
    assert ANNA.text not in said[2].text
    assert (await client.post("/v1/things", headers=by(BEN.text))).status_code == 200
    counted = f'tuneloop_limited_requests_total{{limit="requests",name="{ANNA.key_id}",of="key"}} 1.0'
    assert counted in generate_latest(registry).decode()


async def test_bytes_count_whether_they_are_announced_or_not() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(10):
            yield bytes(100)

    for body in (bytes(1000), pieces()):
        client, _ = served(*known(), key_bytes_per_second=10, key_bytes_burst=1000)
        first = await client.post("/v1/things", content=body, headers=by(ANNA.text))
        assert first.text == "1000"
        assert (await client.post("/v1/things", headers=by(ANNA.text))).status_code == 429


async def test_what_is_over_makes_room() -> None:
    client, _ = served(*known(), key_in_flight=1)
    both = await asyncio.gather(*(client.post("/slow", headers=by(ANNA.text)) for _ in range(2)))
    assert sorted(one.status_code for one in both) == [200, 429]
    assert (await client.post("/slow", headers=by(ANNA.text))).status_code == 200


@pytest.mark.parametrize("path", ["/nothing", "/v1/things"])
async def test_a_laptop_without_keys_knows_no_key_to_limit(path: str) -> None:
    client, _ = served(key_requests_per_second=0.25, key_requests_burst=1)
    assert {(await client.post(path)).status_code for _ in range(5)} <= {200, 404}
