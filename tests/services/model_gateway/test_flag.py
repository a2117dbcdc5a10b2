"""The highest revision answers, and a restart remembers it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from services.model_gateway.flag import Flag
from shared.fields import FrozenAdapter
from tests.services.model_gateway.conftest import added, promoted


def adapter(name: str) -> FrozenAdapter:
    return FrozenAdapter(name=name, uri=f"file:///{name}", digest="sha256:" + "0" * 64, base_model="base")


@pytest.fixture
def flag(tmp_path: Path) -> Flag:
    return Flag(tmp_path / "flag.json")


def test_a_flag_of_a_workload_nobody_knows_yet_is_not_wanted(flag: Flag) -> None:
    flag.champions.hear(promoted(adapter("one")))
    assert flag.wanted() == []
    flag.workloads.hear(added())
    assert [event.champion.name for event in flag.wanted()] == ["one"]


def test_an_older_revision_than_the_one_that_serves_is_not_wanted(flag: Flag) -> None:
    flag.workloads.hear(added())
    flag.flip(promoted(adapter("two"), revision=2))
    flag.champions.hear(promoted(adapter("one"), revision=1))
    assert flag.wanted() == []


def test_the_adapter_before_the_last_is_unneeded(flag: Flag) -> None:
    events = [promoted(adapter(name), revision=number) for number, name in enumerate("abc")]
    assert [flag.flip(event) for event in events] == [None, None, "a"]


def test_going_back_and_forth_between_two_adapters_needs_both(flag: Flag) -> None:
    events = [promoted(adapter(name), revision=number) for number, name in enumerate("abab")]
    assert [flag.flip(event) for event in events] == [None] * 4


async def test_a_restart_remembers_workloads_and_who_serves(flag: Flag) -> None:
    flag.workloads.hear(added())
    flag.flip(promoted(adapter("one"), revision=4))
    await flag.keep()
    again = Flag.restored(flag.file)
    assert again.serving == flag.serving
    assert again.workloads.all() == flag.workloads.all()


async def test_flips_at_the_same_moment_are_all_kept(flag: Flag) -> None:
    async def flip(number: int) -> None:
        flag.flip(promoted(adapter("one"), workload=f"workload-{number}"))
        await flag.keep()

    await asyncio.gather(*(flip(number) for number in range(20)))
    assert Flag.restored(flag.file).serving == flag.serving


def test_a_broken_file_counts_as_none(flag: Flag) -> None:
    flag.file.write_bytes(b'{"workloads": [')
    assert Flag.restored(flag.file).serving == {}
