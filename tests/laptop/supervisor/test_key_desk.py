"""Keys of a data folder over which nothing runs: they are made, listed and revoked, one command at a time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from deploy.laptop import key_desk as module
from deploy.laptop.errors import LaptopError
from deploy.laptop.folder_lock import lock_folder
from deploy.laptop.key_desk import DESK, key_desk
from deploy.laptop.laptop import LaptopSettings
from deploy.laptop.opening import has_usable_key
from deploy.laptop.running import state_of
from deploy.laptop.supervisor import OnStep
from shared.access.admission import KNOWN_KEYS
from shared.events.envelope import now
from tests.servers.model import ROOT

COMMAND_SECONDS = 150


def ignore(name: str, words: str) -> None:
    """Nobody watches."""


def begun(data: Path, *words: str) -> subprocess.Popen[str]:
    told = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("TUNELOOP_", "KAFKA_", "CLICKHOUSE_"))
    }
    return subprocess.Popen(
        [sys.executable, "-m", "deploy", "keys", *words, "--data", str(data)],
        cwd=ROOT,
        env=told,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(command: subprocess.Popen[str]) -> str:
    """What it printed on standard output. Raises AssertionError where it failed."""
    out, errors = command.communicate(timeout=COMMAND_SECONDS)
    assert command.returncode == 0, errors
    return out


def test_commands_over_a_stopped_folder_wait_for_each_other_and_a_key_ends_before_it_opens(
    tmp_path: Path,
) -> None:
    data = tmp_path / "data"
    at_once = [begun(data, "create", name, "--role", "operator", "--json") for name in ("anna", "ben")]
    made = {one["name"]: one["key_id"] for one in (json.loads(ended(command)) for command in at_once)}
    listed = json.loads(ended(begun(data, "list", "--json")))
    assert {one["name"]: one["key_id"] for one in listed} == made
    assert has_usable_key(data, now())
    for key_id in made.values():
        assert "is revoked" in ended(begun(data, "revoke", key_id, "--yes"))
    assert not has_usable_key(data, now()), "opening it would let in who has the leaked key"


@pytest.mark.parametrize("starts", [True, False])
async def test_only_what_other_processes_knew_is_forgotten_and_not_before_all_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, starts: bool
) -> None:
    kept = {name: state_of(tmp_path, name) / KNOWN_KEYS for name in ("services", "gateway")}
    for file in kept.values():
        file.parent.mkdir(parents=True)
        file.write_text("[]")

    @asynccontextmanager
    async def start(settings: LaptopSettings, on_step: OnStep) -> AsyncIterator[None]:
        if not starts:
            raise LaptopError("The disk is full.")
        yield

    monkeypatch.setattr(module, "start_laptop", start)
    try:
        async with key_desk(tmp_path, ignore, anew=True):
            pass
    except LaptopError:
        assert not starts
    assert {name: file.exists() for name, file in kept.items()} == {"services": True, "gateway": not starts}


async def test_whoever_waits_too_long_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.0)
    with (
        lock_folder(tmp_path, DESK),
        pytest.raises(LaptopError, match=f"Another command still starts what keeps keys in {tmp_path}"),
    ):
        async with key_desk(tmp_path, ignore, anew=True):
            pass


async def test_only_a_new_key_makes_a_folder_one_of_data(tmp_path: Path) -> None:
    async with key_desk(tmp_path / "nothing", ignore, anew=False):
        assert not (tmp_path / "nothing").exists()
    async with key_desk(tmp_path, ignore, anew=False):
        assert not (tmp_path / DESK).exists()
