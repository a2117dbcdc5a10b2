"""`tuneloop audit export|verify` on the service's own routes: of whole logs, and of ones tampered with."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fastapi import FastAPI
from typer.testing import CliRunner, Result

from deploy.audit_commands import PAGE
from deploy.cli import app
from services.workloads.audit_api import audit_routes
from services.workloads.audit_log import AuditLog
from services.workloads.audit_store import AuditStore
from shared.access.api_key import new_key
from shared.access.audit_chain import Head, Link, Verification, canonical
from shared.access.roles import Role, Verb
from shared.consumer import ConsumerRecord
from shared.events import AccessChanged, ActionAudited
from shared.problems import answer_with_problems
from tests.servers.http import serving, with_door
from tests.shared.access.test_keys import made

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)


class Rows(AuditStore):
    """Lists in the table's place, by partition: they can be tampered with."""

    def __init__(self) -> None:
        self.rows: dict[int, list[Link]] = {}

    async def add(self, partition: int, links: Iterable[tuple[str, Link]]) -> None:
        self.rows.setdefault(partition, []).extend(link for _, link in links)

    async def known(self, partition: int, action_ids: Iterable[str]) -> set[str]:
        return set()

    async def head(self, partition: int) -> Head | None:
        return (await self.heads()).get(partition)

    async def heads(self) -> dict[int, Head]:
        return {partition: links[-1].head for partition, links in self.rows.items() if links}

    async def links(self, partition: int, after: int, limit: int) -> Sequence[Link]:
        return [link for link in self.rows.get(partition, []) if link.number > after][:limit]


class Service:
    def __init__(self, url: str, rows: dict[int, list[Link]]) -> None:
        self._url, self.rows = url, rows

    async def audit(self, command: str, key: str = "") -> Result:
        words, told = ["--url", self._url, "audit", command], {"TUNELOOP_KEY": key}
        return await asyncio.to_thread(lambda: CliRunner().invoke(app, words, env=told))


@asynccontextmanager
async def workloads(folder: Path, *chains: int, keys: Sequence[AccessChanged] = ()) -> AsyncIterator[Service]:
    """What keeps the log, with a chain of so many rows in each partition."""
    store = Rows()
    log = AuditLog(store, folder)
    for partition, count in enumerate(chains):
        await log.keep(
            [ConsumerRecord(action(partition, number), partition, number) for number in range(count)]
        )
    api = FastAPI()
    answer_with_problems(api)
    api.include_router(audit_routes(store, log))
    async with serving(with_door(api, *keys)) as url:
        yield Service(url, store.rows)


def action(partition: int, number: int) -> ActionAudited:
    return ActionAudited(
        action_id=f"action-{partition}-{number}",
        principal=f"p-{partition}",
        verb=Verb.OPERATE,
        method="POST",
        path="/workloads/größe/rollback",
        status=202,
        address="10.0.3.17",
        at=NOON,
    )


async def test_a_whole_log_is_said_to_be_whole_however_long_it_is(tmp_path: Path) -> None:
    async with workloads(tmp_path, 2 * PAGE, 3) as service:
        said = await service.audit("verify")
    assert (said.exit_code, said.stderr) == (0, "")
    assert said.stdout == f"The audit log is whole; rows: {2 * PAGE + 3}, chains: 2.\n"


async def test_a_log_without_a_row_is_whole(tmp_path: Path) -> None:
    async with workloads(tmp_path) as service:
        verified, exported = await service.audit("verify"), await service.audit("export")
    assert (verified.exit_code, verified.stdout) == (0, "The audit log is whole; rows: 0, chains: 0.\n")
    assert (exported.exit_code, exported.stdout) == (0, "")


def _changed(rows: list[Link]) -> None:
    rows[1] = Link(2, rows[1].action.replace("p-0", "p-9"), rows[1].hash)


def _removed(rows: list[Link]) -> None:
    del rows[1]


def _cut_off(rows: list[Link]) -> None:
    del rows[2:]


def _repeated(rows: list[Link]) -> None:
    rows.insert(2, rows[1])


@pytest.mark.parametrize(
    ("tamper", "said"),
    [
        (_changed, "row 2, or the one before it, is not what was stored"),
        (_removed, "row 2 is gone"),
        (_cut_off, "rows 3 to 4 are gone"),
        (_repeated, "row 2 stands there twice"),
        (list.clear, "rows 1 to 4 are gone"),
    ],
)
async def test_a_log_that_is_not_whole_ends_with_where_it_breaks(
    tmp_path: Path, tamper: Callable[[list[Link]], None], said: str
) -> None:
    async with workloads(tmp_path, 4, 4) as service:
        tamper(service.rows[0])
        verified = await service.audit("verify")
    assert (verified.exit_code, verified.stdout) == (1, "")
    assert verified.stderr == f"Chain 0 breaks: {said}.\n"


async def test_every_chain_that_breaks_is_said(tmp_path: Path) -> None:
    async with workloads(tmp_path, 4, 4, 4) as service:
        _removed(service.rows[0])
        _cut_off(service.rows[2])
        verified = await service.audit("verify")
    assert verified.exit_code == 1
    assert verified.stderr == "Chain 0 breaks: row 2 is gone.\nChain 2 breaks: rows 3 to 4 are gone.\n"


async def test_what_is_exported_can_be_verified_without_the_service(tmp_path: Path) -> None:
    async with workloads(tmp_path, PAGE + 1, 3) as service:
        exported = await service.audit("export")
        heads = {partition: links[-1].head for partition, links in service.rows.items()}
    assert exported.exit_code == 0
    verifications = {partition: Verification(partition, [head]) for partition, head in heads.items()}
    for line in exported.stdout.splitlines():
        row = json.loads(line)
        link = Link(row["number"], canonical(row["action"]), row["hash"])
        assert verifications[row["partition"]].breaks_at(link) == ""
    assert [one.rows for one in verifications.values()] == [PAGE + 1, 3]
    assert {one.ends() for one in verifications.values()} == {""}
    assert "größe" in exported.stdout


async def test_what_was_changed_before_it_was_exported_shows_in_the_export(tmp_path: Path) -> None:
    async with workloads(tmp_path, 4) as service:
        _changed(service.rows[0])
        lines = [json.loads(line) for line in (await service.audit("export")).stdout.splitlines()]
    verification = Verification(0, [])
    links = [Link(row["number"], canonical(row["action"]), row["hash"]) for row in lines]
    assert [bool(verification.breaks_at(link)) for link in links[:2]] == [False, True]


@pytest.mark.parametrize("command", ["export", "verify"])
@pytest.mark.parametrize(
    ("role", "may"),
    [(Role.OPERATOR, True), (Role.AUDITOR, True), (Role.REVIEWER, False), (Role.APP, False)],
)
async def test_the_log_is_for_operators_and_auditors(
    tmp_path: Path, command: str, role: Role, may: bool
) -> None:
    key, other = new_key(), new_key()
    keys = [made(key, role=role), made(other, role=role, workloads=["tickets"])]
    async with workloads(tmp_path, 3, keys=keys) as service:
        said, of_one = await service.audit(command, key.text), await service.audit(command, other.text)
    assert (said.exit_code, of_one.exit_code) == (0 if may else 1, 1)
    assert ("may not audit here" in said.stderr) is not may
    assert of_one.stdout == ""
