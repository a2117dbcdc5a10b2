"""Who comes in at the console, by key or by provider, who is refused and who goes: the audit log has it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
from prometheus_client import CollectorRegistry

from shared.access.api_key import new_key
from shared.access.audit import Audit, Auditor
from shared.access.door import COOKIE, OIDC, OIDC_BACK
from shared.access.person_id import person_id
from shared.events import ActionAudited
from shared.events.envelope import now
from shared.outbox import Outbox, OutboxSettings, own_outbox
from tests.servers.http import serving
from tests.servers.model import free_port
from tests.services.console.test_sign_in import (
    KEY,
    PAGE,
    SUBJECT_KEY,
    SUPPORT,
    admission,
    app_of,
    at_provider,
    cookies,
    provider,
    settings,
)
from tests.shared.access.test_audit import events_in


class Console:
    def __init__(self, client: httpx.AsyncClient, outbox: Outbox) -> None:
        self.client, self._outbox = client, outbox

    async def sign_in(self, key: str) -> int:
        return (await self.client.post("/sign-in", data={"key": key})).status_code

    @property
    def events(self) -> list[ActionAudited]:
        return events_in(self._outbox)

    @property
    def told(self) -> list[tuple[str, str, str, int]]:
        return [(one.principal, one.method, one.path, one.status) for one in self.events]


@asynccontextmanager
async def console(folder: Path, issuer: str = "", *, with_key: bool = True) -> AsyncIterator[Console]:
    app = app_of(await admission(folder, with_key=with_key), settings(issuer))
    outbox = own_outbox(folder, OutboxSettings())
    app.add_middleware(Auditor, audit=Audit(outbox, "test", now, CollectorRegistry()))
    async with serving(app) as url, httpx.AsyncClient(base_url=url, headers=PAGE) as client:
        yield Console(client, outbox)


async def test_who_signs_in_by_a_key_and_out_again_is_on_record(tmp_path: Path) -> None:
    async with console(tmp_path) as there:
        assert (await there.client.get("/sign-in")).status_code == 200
        assert there.told == [], "a look at the form is nothing"
        assert await there.sign_in(KEY.text) == 303
        assert there.told == [("p-ben", "POST", "/sign-in", 303)]
        [event] = there.events
        assert (event.key_id, event.verb, event.address, event.count) == (KEY.key_id, None, "127.0.0.1", 1)
        assert KEY.text not in event.model_dump_json()
        assert (await there.client.get("/review")).status_code == 200
        assert (await there.client.post("/sign-out")).status_code == 303
        assert there.told[1:] == [("p-ben", "POST", "/sign-out", 303)]


async def test_who_signs_in_by_a_provider_is_on_record_by_an_opaque_id(tmp_path: Path) -> None:
    with provider(SUPPORT) as issuer:
        async with console(tmp_path, issuer) as there:
            begun = await there.client.get(OIDC)
            assert there.told == [], "nobody is in yet"
            back = await at_provider(begun)
            assert (await there.client.get(back)).status_code == 200
            anna = person_id(SUBJECT_KEY, issuer, "anna")
            assert there.told == [(anna, "GET", OIDC_BACK, 200)]
            [event] = there.events
            assert event.key_id == ""
            assert "Anna" not in event.model_dump_json()
            assert (await there.client.post("/sign-out")).status_code == 303
            assert there.told[1:] == [(anna, "POST", "/sign-out", 303)]


async def test_who_shows_no_key_that_holds_is_on_record_as_nobody(tmp_path: Path) -> None:
    async with console(tmp_path) as there:
        wrong = new_key()
        assert await there.sign_in(wrong.text) == 401
        assert there.told == [("nobody", "POST", "/sign-in", 401)]
        [event] = there.events
        assert wrong.text not in event.model_dump_json()
        assert event.key_id == ""


async def test_who_is_not_vouched_for_is_on_record_as_nobody(tmp_path: Path) -> None:
    with provider(SUPPORT | {"nonce": "another"}) as issuer:
        async with console(tmp_path, issuer) as there:
            back = await at_provider(await there.client.get(OIDC))
            assert (await there.client.get(back)).status_code == 401
            assert there.told == [("nobody", "GET", OIDC_BACK, 401)]


async def test_a_stranger_of_no_group_is_on_record_as_refused(tmp_path: Path) -> None:
    with provider({"name": "Anna", "groups": ["sales"]}) as issuer:
        async with console(tmp_path, issuer) as there:
            back = await at_provider(await there.client.get(OIDC))
            assert (await there.client.get(back)).status_code == 403
            assert there.told == [("nobody", "GET", OIDC_BACK, 403)]


async def test_while_the_provider_is_away_nobody_is_refused(tmp_path: Path) -> None:
    async with console(tmp_path, f"http://127.0.0.1:{free_port()}") as there:
        assert (await there.client.get(OIDC_BACK)).status_code == 503
        assert there.told == []


async def test_on_a_laptop_without_keys_nobody_comes_or_goes(tmp_path: Path) -> None:
    async with console(tmp_path, with_key=False) as there:
        answer = await there.client.post("/sign-in", data={"key": "anything"})
        assert COOKIE not in cookies(answer)
        assert (await there.client.post("/sign-out")).status_code == 303
        assert there.told == []
