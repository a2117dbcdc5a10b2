"""A champion that is not what we signed never answers; the one before it goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from services.model_gateway import alias_switch
from shared import backoff
from shared.events import FrozenAdapter
from shared.files import Files
from shared.model_server import ModelServer
from tests.servers.adapters import contract_of, freeze_trained
from tests.servers.planted_adapters import PLANTED, planted
from tests.services.model_gateway.conftest import Gateways, added, promoted
from tests.shared.adapters.keys import key_pair, sign


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Our private key, which the gateway knows the public one of, and somebody else's."""
    ours, public = key_pair(tmp_path, "ours")
    theirs, _ = key_pair(tmp_path / "elsewhere", "theirs")
    monkeypatch.setenv("ADAPTERS_PUBLIC_KEY", str(public))
    return ours, theirs


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(f"file://{tmp_path}/files", tmp_path / "cache")


@pytest.fixture
async def emptied(models_url: str) -> AsyncIterator[str]:
    """The model server; it forgets afterwards what it was given."""
    async with ModelServer(models_url) as models:
        before = await models.loaded()
        yield models_url
        for name in await models.loaded() - before:
            await models.unload_adapter(name)


@pytest.mark.parametrize("name", PLANTED)
async def test_the_champion_before_it_answers_on_and_the_log_says_why(
    gateways: Gateways,
    emptied: str,
    files: Files,
    keys: tuple[Path, Path],
    caplog: pytest.LogCaptureFixture,
    name: str,
) -> None:
    ours, _ = keys
    plant, why = planted(*keys)[name]
    good = freeze_trained(files, "tickets-1", 1, added(), before_freezing=partial(sign, private_key=ours))
    bad = freeze_trained(files, "tickets-2", 2, added(), before_freezing=plant)
    gateway = await gateways(emptied)
    await gateway.apply(added(), promoted(good))
    before = await gateway.ask()
    assert before.status_code == 200, before.text
    await gateway.apply(promoted(bad, revision=2))
    after = await gateway.ask("Where is my money now?")
    assert after.status_code == 200
    assert after.json()["model"] == before.json()["model"] == good.name
    [refusal] = [line for line in caplog.messages if "REFUSED as champion, the old one stays" in line]
    assert why in refusal
    assert 'alias_switches_total{outcome="refused",workload="tickets"} 1.0' in gateway.metrics()
    async with ModelServer(emptied) as models:
        assert bad.name not in await models.loaded()


async def test_a_first_champion_that_is_not_signed_opens_nothing(
    gateways: Gateways, emptied: str, files: Files, keys: tuple[Path, Path]
) -> None:
    gateway = await gateways(emptied)
    await gateway.apply(added(), promoted(freeze_trained(files, "tickets-2", 2, added())))
    assert "is not signed, and ADAPTERS_PUBLIC_KEY asks for it" in (await gateway.ask()).json()["detail"]


async def test_a_champion_that_was_tampered_with_since_is_not_loaded_again_when_the_server_forgot_it(
    gateways: Gateways, emptied: str, files: Files, keys: tuple[Path, Path], tmp_path: Path
) -> None:
    good = freeze_trained(files, "tickets-1", 1, added(), before_freezing=partial(sign, private_key=keys[0]))
    gateway = await gateways(emptied)
    await gateway.apply(added(), promoted(good))
    (tmp_path / "files" / good.uri / "README.md").write_text("Changed in the store.")
    async with ModelServer(emptied) as models:
        await models.unload_adapter(good.name)
        answer = await gateway.ask()
        assert (answer.status_code, answer.json()["code"]) == (503, "champion_refused")
        assert good.name not in await models.loaded()


async def test_many_requests_for_a_champion_that_cannot_be_loaded_read_its_files_once_and_say_so_once(
    gateways: Gateways,
    emptied: str,
    files: Files,
    keys: tuple[Path, Path],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    good = freeze_trained(files, "tickets-1", 1, added(), before_freezing=partial(sign, private_key=keys[0]))
    gateway = await gateways(emptied)
    await gateway.apply(added(), promoted(good))
    changed = tmp_path / "files" / good.uri / "README.md"
    as_it_was = changed.read_bytes()
    changed.write_text("Changed in the store.")
    monkeypatch.setattr(backoff, "pause_seconds", lambda failures: 1.5)
    with reads(monkeypatch) as read:
        async with ModelServer(emptied) as models:
            await models.unload_adapter(good.name)
        answers = await asyncio.gather(*(gateway.ask(f"Where is my money, {number}?") for number in range(8)))
        assert {answer.status_code for answer in answers} == {503}
        assert read == [good.digest]
        assert len([line for line in caplog.messages if "cannot be loaded again" in line]) == 1
        assert len([line for line in caplog.messages if "loading it again" in line]) == 1
    changed.write_bytes(as_it_was)
    async with asyncio.timeout(10):
        while (await gateway.ask("And now?")).status_code != 200:
            await asyncio.sleep(0.2)


async def test_a_champion_that_does_not_fit_its_server_is_tried_after_growing_pauses(
    gateways: Gateways,
    emptied: str,
    files: Files,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wide = contract_of(added()).model_copy(update={"lora_r": 4096})
    adapter = freeze_trained(files, "tickets-1", 1, added(), wide)
    gateway = await gateways(emptied)
    monkeypatch.setattr(alias_switch, "LOOK_AGAIN_SECONDS", 0.01)
    with reads(monkeypatch) as read:
        await gateway.apply(added(), promoted(adapter))
        switching = asyncio.ensure_future(gateway.service.background[0]())
        await asyncio.sleep(1.1)
        switching.cancel()
        await asyncio.gather(switching, return_exceptions=True)
    assert 2 <= len(read) <= 4  # at once, after 0.2, 0.4 and 0.8 seconds
    assert len([line for line in caplog.messages if "cannot answer yet" in line]) <= 2


async def test_while_the_model_server_is_down_the_champion_s_files_are_not_read_again(
    gateways: Gateways, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = freeze_trained(files, "tickets-1", 1, added())
    gateway = await gateways()
    monkeypatch.setattr(alias_switch, "LOOK_AGAIN_SECONDS", 0.01)
    with reads(monkeypatch) as read:
        await gateway.apply(added(), promoted(adapter))
        switching = asyncio.ensure_future(gateway.service.background[0]())
        await asyncio.sleep(0.5)
        switching.cancel()
        await asyncio.gather(switching, return_exceptions=True)
    assert len(read) == 1
    late = 'alias_switches_total{outcome="late",workload="tickets"} '
    [count] = [line.split(late)[1] for line in gateway.metrics().splitlines() if late in line]
    assert float(count) > 3


@contextmanager
def reads(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The digest of each adapter whose files are read to be proved."""
    read: list[str] = []
    prove = Files.adapter_folder

    def proving(files: Files, adapter: FrozenAdapter, **how: bool) -> Path:
        read.append(adapter.digest)
        return prove(files, adapter, **how)

    with monkeypatch.context() as patch:
        patch.setattr(Files, "adapter_folder", proving)
        yield read
