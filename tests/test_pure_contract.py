"""The import contract about purity catches what it is for; planted are faults in its list."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from grimp import ImportGraph, build_graph

from tests.pure_contract import PureContract

CONTRACTS = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text("utf-8"))["tool"][
    "importlinter"
]["contracts"]
(OURS,) = [contract for contract in CONTRACTS if contract["type"] == "pure"]


@cache
def graph() -> ImportGraph:
    return build_graph("services", "shared", "deploy", include_external_packages=True, cache_dir=None)


def faults(**changed: Sequence[str]) -> list[str]:
    options: dict[str, Any] = OURS | changed
    check = PureContract("pure", {}, options).check(graph(), verbose=False)
    return list(check.metadata["faults"])


def without(name: str) -> list[str]:
    kept = [door for door in OURS["doors"] if not door.startswith(f"{name}:")]
    assert len(kept) == len(OURS["doors"]) - 1
    return kept


def test_the_code_is_as_its_list_says() -> None:
    assert faults() == []


def test_a_file_that_opens_a_framework_is_caught_unless_it_is_listed() -> None:
    found = faults(doors=without("shared.redaction.redactor"))
    assert "shared.redaction.redactor is no room and no door, but imports presidio_analyzer" in found


def test_what_reaches_the_network_through_another_file_is_caught_with_the_way() -> None:
    found = faults(doors=without("shared.request_bodies"))
    assert "shared.request_bodies is no room and no door, but imports shared.problems -> starlette" in found


def test_a_clock_that_is_read_is_caught_though_no_import_shows_it() -> None:
    (found,) = faults(doors=without("shared.events.envelope"))
    assert found.startswith("shared.events.envelope is no room and no door, but calls datetime.now() in line")


@pytest.mark.parametrize("door", ["services.shadow_deployment.verdict", "services.nowhere"])
def test_an_exception_that_nothing_needs_is_taken_off_the_list(door: str) -> None:
    assert faults(doors=[*OURS["doors"], f"{door}: because"]) == [
        f"{door} is pure now, or gone: take it off the list"
    ]


def test_an_exception_wants_a_reason() -> None:
    assert "shared.files has no reason" in faults(doors=[*without("shared.files"), "shared.files"])
