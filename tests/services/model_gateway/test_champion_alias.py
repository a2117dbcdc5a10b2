"""The highest revision answers, and a restart remembers it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from services.model_gateway.champion_alias import ChampionAlias
from shared.fields import FrozenAdapter
from tests.services.model_gateway.conftest import added, contract, promoted


def adapter(name: str) -> FrozenAdapter:
    return FrozenAdapter(name=name, uri=f"file:///{name}", digest="sha256:" + "0" * 64, base_model="base")


@pytest.fixture
def alias(tmp_path: Path) -> ChampionAlias:
    return ChampionAlias(tmp_path / "champion_alias.json")


def test_a_flag_of_a_workload_nobody_knows_yet_is_not_wanted(alias: ChampionAlias) -> None:
    alias.champions.apply(promoted(adapter("one")))
    assert alias.wanted() == []
    alias.workloads.apply(added())
    assert [event.champion.name for event in alias.wanted()] == ["one"]


def test_an_older_revision_than_the_one_that_serves_is_not_wanted(alias: ChampionAlias) -> None:
    alias.workloads.apply(added())
    alias.switch_to(promoted(adapter("two"), revision=2), contract())
    alias.champions.apply(promoted(adapter("one"), revision=1))
    assert alias.wanted() == []


def test_the_adapter_before_the_last_is_unneeded(alias: ChampionAlias) -> None:
    events = [promoted(adapter(name), revision=number) for number, name in enumerate("abc")]
    assert [alias.switch_to(event, contract()) for event in events] == [None, None, "a"]


def test_going_back_and_forth_between_two_adapters_needs_both(alias: ChampionAlias) -> None:
    events = [promoted(adapter(name), revision=number) for number, name in enumerate("abab")]
    assert [alias.switch_to(event, contract()) for event in events] == [None] * 4


async def test_a_restart_remembers_workloads_and_who_serves(alias: ChampionAlias) -> None:
    alias.workloads.apply(added())
    alias.switch_to(promoted(adapter("one"), revision=4), contract())
    await alias.keep()
    again = ChampionAlias.restored(alias.file)
    assert again.serving == alias.serving
    assert again.workloads.all() == alias.workloads.all()


async def test_switches_at_the_same_moment_are_all_kept(alias: ChampionAlias) -> None:
    async def switch_to(number: int) -> None:
        alias.switch_to(promoted(adapter("one"), workload=f"workload-{number}"), contract())
        await alias.keep()

    await asyncio.gather(*(switch_to(number) for number in range(20)))
    assert ChampionAlias.restored(alias.file).serving == alias.serving


async def test_an_adapter_that_was_kept_without_a_contract_serves_no_more(alias: ChampionAlias) -> None:
    alias.workloads.apply(added())
    for name in ("old", "new"):
        alias.switch_to(promoted(adapter("one"), workload=name), contract())
    await alias.keep()
    kept = json.loads(alias.file.read_bytes())
    del kept["serving"]["old"]["contract"]
    alias.file.write_text(json.dumps(kept))
    assert list(ChampionAlias.restored(alias.file).serving) == ["new"]


def test_a_broken_file_counts_as_none(alias: ChampionAlias) -> None:
    alias.file.write_bytes(b'{"workloads": [')
    assert ChampionAlias.restored(alias.file).serving == {}
