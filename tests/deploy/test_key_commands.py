"""`tuneloop keys …`: what is asked of the service, and what is refused before it is asked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from deploy import key_commands
from deploy.cli import app
from deploy.installation import Installation
from deploy.workloads_client import WorkloadsClient
from shared.access.api_key import new_key
from shared.service_client import ServiceClient, ServiceRefused

URL = "http://127.0.0.1:1"
ANNA, BEN = new_key(), new_key()


def listed(key_id: str, name: str, role: str) -> dict[str, Any]:
    return {
        "key_id": key_id, "name": name, "principal": f"p-{name}", "role": role, "workloads": None,
        "expires_at": None, "revoked_at": None, "changed_at": "2026-11-27T12:00:00Z",
    }  # fmt: skip


class Keeper(ServiceClient):
    """What keeps keys, of which there are Anna's and Ben's."""

    def __init__(self) -> None:
        super().__init__(URL)
        self.asked: list[str] = []

    async def ask(self, method: str, path: str, **more: Any) -> Any:
        anna = listed(ANNA.key_id, "anna", "operator")
        if method == "POST":
            self.asked.append(path)
            return anna | ({"key": ANNA.text} if path == "/keys" else {})
        if more.get("key") == key_commands.NO_KEY:
            raise ServiceRefused(401, {})
        return [anna, listed(BEN.key_id, "ben", "reviewer")]


@pytest.fixture
def keeper(monkeypatch: pytest.MonkeyPatch) -> Keeper:
    found = Keeper()

    @asynccontextmanager
    async def asking(*_: object) -> AsyncIterator[tuple[WorkloadsClient, Installation]]:
        yield WorkloadsClient(found), Installation(URL)

    monkeypatch.setattr(key_commands, "asking", asking)
    return found


def keys(*words: str) -> Result:
    return CliRunner().invoke(app, ["--url", URL, "keys", *words])


def test_the_key_stands_alone_on_standard_output_so_that_a_shell_can_take_it(keeper: Keeper) -> None:
    result = keys("create", "anna", "--role", "operator")
    assert (result.exit_code, result.stdout) == (0, f"{ANNA.text}\n")
    assert "It is not shown again" in result.stderr
    assert ANNA.text not in result.stderr


def test_a_key_that_is_made_is_shown_though_it_is_not_known_yet(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_commands, "TRIES", 0)
    made = keys("create", "anna", "--role", "operator")
    assert made.exit_code == 1
    assert made.stdout == f"{ANNA.text}\n"
    assert "not known yet" in made.stderr


def test_it_is_said_when_a_revoked_key_opens_nothing_any_more(keeper: Keeper) -> None:
    result = keys("revoke", BEN.text)
    assert keeper.asked == [f"/keys/{BEN.key_id}/revoke"], "an address holds no secret"
    for said in ("at once", "within seconds, when Kafka has told it", "where Kafka is away, within an hour"):
        assert said in result.stdout


def test_the_last_operator_s_key_is_not_ended_unasked(keeper: Keeper) -> None:
    result = keys("revoke", ANNA.key_id[:4])
    assert (result.exit_code, keeper.asked) == (1, [])
    assert "the last operator's key" in result.stderr
    assert "--yes" in result.stderr
    assert keys("revoke", ANNA.key_id[:4], "--yes").exit_code == 0
    assert keeper.asked == [f"/keys/{ANNA.key_id[:4]}/revoke"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["revoke", "../keys"], "That is no id of a key"),
        (["revoke", ""], "That is no id of a key"),
        (["create", "x", "--role", "app", "--workload", "My Tickets"], "--workload takes a workload's name"),
        (["create", "x", "--role", "app"], "--workload NAME"),
        (["create", "x", "--role", "operator", "--expires", "4000"], "--expires takes 1 to 3650 days"),
        (["create", "x", "--role", "operator", "--expires", "0"], "--expires takes 1 to 3650 days"),
        (["create", "x", "--role", "operator", "--expires", "soon"], "“soon” is neither"),
    ],
)
def test_what_cannot_be_is_said_by_its_own_name_and_nobody_is_asked(
    keeper: Keeper, words: list[str], said: str
) -> None:
    result = keys(*words)
    assert (result.exit_code, keeper.asked) == (1, [])
    assert said in result.stderr
