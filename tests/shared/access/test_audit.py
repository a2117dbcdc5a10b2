"""What changes something is on record before it is answered, and refusals fill no disk."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request
from prometheus_client import CollectorRegistry, generate_latest
from starlette.types import ASGIApp, Receive, Scope, Send

from shared.access.admission import Admission
from shared.access.api_key import NewKey, new_key
from shared.access.asked import asked_of
from shared.access.audit import Audit, Auditor
from shared.access.door import Door, may
from shared.access.roles import Role, Verb
from shared.access.told_refusals import MOST_KINDS, Refusal, ToldRefusals
from shared.events import AccessChanged, ActionAudited, read
from shared.outbox import Outbox, OutboxSettings, own_outbox
from shared.outbox.lines import record_in
from shared.problems import Problem, answer_with_problems

NOW = datetime(2026, 3, 1, tzinfo=UTC)
ANNA, APP = new_key(), new_key()


class Copying:
    """As frameworks may do it on the way to a route."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(dict(scope), receive, send)


class Served:
    def __init__(
        self, folder: Path, keys: dict[Role, NewKey], settings: OutboxSettings | None = None
    ) -> None:
        app, self.registry = FastAPI(), CollectorRegistry()
        answer_with_problems(app)
        seen: list[int] = []

        for verb in Verb:

            @app.post(f"/{verb.value}", dependencies=[may(verb)])
            async def done() -> None:
                seen.append(len(self.events()))

        @app.get("/secrets", dependencies=[may(Verb.OPERATE)])
        async def secrets() -> None:
            return

        @app.post("/made", dependencies=[may(Verb.KEYS)])
        async def made(request: Request) -> None:
            asked_of(request.scope).about = "key 0123456789ab of p-1, reviewer"

        @app.post("/nothing", dependencies=[may(Verb.REVIEW)], status_code=204)
        async def nothing() -> None:
            return

        @app.post("/no", dependencies=[may(Verb.OPERATE)])
        async def no() -> None:
            raise Problem(409, "No", "Not now.")

        @app.post("/broken", dependencies=[may(Verb.OPERATE)])
        async def broken() -> None:
            raise RuntimeError("a fault of ours")

        admission = Admission(lambda: NOW, Path("nowhere"), beyond_loopback=False, confirmed_at=NOW)
        for role, key in keys.items():
            admission.keys.apply(_known(role, key))
        self.outbox: Outbox = own_outbox(folder, settings or OutboxSettings())
        self.audit = Audit(self.outbox, "test", lambda: NOW, self.registry)
        app.add_middleware(Copying)
        app.add_middleware(Door, admission=admission)
        app.add_middleware(Auditor, audit=self.audit)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=("10.0.3.17", 4000))
        self.client = httpx.AsyncClient(transport=transport, base_url="http://test")

    def events(self) -> list[ActionAudited]:
        return events_in(self.outbox)

    async def post(self, path: str, key: NewKey | None = None, **more: Any) -> int:
        headers = {"authorization": f"Bearer {key.text}"} if key else {}
        return (await self.client.post(path, headers=headers, **more)).status_code


def events_in(outbox: Outbox) -> list[ActionAudited]:
    lines, _ = outbox.read(outbox.published, 1 << 30)
    records = [record_in(line)[0] for line in lines]
    return [read(ActionAudited, one.value, list(one.headers.items())) for one in records]


def _known(role: Role, key: NewKey) -> AccessChanged:
    return AccessChanged(
        key_id=key.key_id,
        revision=1,
        principal=f"p-{role}",
        role=role,
        digest=key.digest,
        changed_by="host",
        changed_at=NOW,
    )


@pytest.fixture
def laptop(tmp_path: Path) -> Served:
    return Served(tmp_path, {})


@pytest.fixture
def team(tmp_path: Path) -> Served:
    return Served(tmp_path, {Role.OPERATOR: ANNA, Role.APP: APP})


async def test_who_did_what_when_and_from_where(team: Served) -> None:
    assert await team.post("/operate?reason=secret", ANNA) == 200
    [event] = team.events()
    assert (event.principal, event.key_id, event.verb) == ("p-operator", ANNA.key_id, Verb.OPERATE)
    assert (event.method, event.path, event.status) == ("POST", "/operate", 200)
    assert (event.address, event.at, event.count) == ("10.0.3.17", NOW, 1)
    assert ANNA.text not in event.model_dump_json()


async def test_what_changes_something_is_audited_and_nothing_else(laptop: Served) -> None:
    for verb in Verb:
        assert await laptop.post(f"/{verb.value}") == 200
    assert [event.verb for event in laptop.events()] == [Verb.REVIEW, Verb.OPERATE, Verb.KEYS]
    assert {event.principal for event in laptop.events()} == {"local"}


async def test_what_was_made_is_told_where_the_path_does_not_say_it(laptop: Served) -> None:
    assert await laptop.post("/made") == 200
    assert [event.about for event in laptop.events()] == ["key 0123456789ab of p-1, reviewer"]


async def test_where_there_was_nothing_to_do_nothing_is_told(laptop: Served) -> None:
    assert await laptop.post("/nothing") == 204
    assert laptop.events() == []


async def test_what_was_asked_for_and_not_done_is_told_by_its_status(laptop: Served) -> None:
    assert [await laptop.post(path) for path in ("/no", "/broken")] == [409, 500]
    assert [event.status for event in laptop.events()] == [409, 500]
    assert (await laptop.client.get("/secrets")).status_code == 200
    assert laptop.events()[-1].method == "GET"


async def test_refusals_are_audited(team: Served) -> None:
    assert await team.post("/operate", APP) == 403
    assert await team.post("/operate") == 401
    assert await team.post("/operate", new_key()) == 401
    assert (await team.client.get("/secrets")).status_code == 401, "a look is nothing"
    assert await team.post("/read", APP) == 403, "it would have changed nothing"
    assert await team.post("/log", APP) == 200, "it is on record anyway"
    told = [(event.principal, event.verb, event.status) for event in team.events()]
    assert told == [("p-app", Verb.OPERATE, 403), ("nobody", None, 401)]


async def test_who_is_refused_what_apps_do_is_audited(tmp_path: Path) -> None:
    key, verbs = new_key(), (Verb.PREDICT, Verb.LOG, Verb.FEEDBACK)
    reviewers = Served(tmp_path, {Role.REVIEWER: key})
    assert [await reviewers.post(f"/{verb.value}", key) for verb in verbs] == [403] * 3
    assert [event.verb for event in reviewers.events()] == list(verbs)


async def test_refusals_without_end_are_told_together(team: Served) -> None:
    for _ in range(50):
        await team.post("/operate")
    for number in range(MOST_KINDS + 50):
        await team.post(f"/invented/{number}")
    assert len(team.events()) == MOST_KINDS + 1
    await team.audit.tell()
    later = team.events()[MOST_KINDS + 1 :]
    assert [(event.path, event.count) for event in later] == [("/operate", 49), ("…", 50)]
    await team.audit.tell()
    assert len(team.events()) == MOST_KINDS + 3


async def test_a_key_in_an_address_is_not_written_down(team: Served) -> None:
    await team.post(f"/operate/{ANNA.text}/{'long' * 100}")
    [event] = team.events()
    assert ANNA.text not in event.path
    assert len(event.path) == 200


async def test_what_the_disk_does_not_take_is_counted_and_the_answer_given(tmp_path: Path) -> None:
    full = Served(tmp_path, {}, OutboxSettings(most_bytes=1))
    assert await full.post("/operate") == 200
    assert "tuneloop_audit_unrecorded_total 1.0" in generate_latest(full.registry).decode()


def test_what_is_told_adds_up() -> None:
    told, counted = ToldRefusals(), 0
    kinds = [Refusal("nobody", "", "", "POST", f"/{number}", 401, "") for number in range(3 * MOST_KINDS)]
    for number in range(1000):
        counted += told.met(kinds[number % len(kinds)]) is not None
    assert counted <= MOST_KINDS + 1
    assert counted + sum(count for _, count in told.over()) == 1000
    assert told.over() == []
