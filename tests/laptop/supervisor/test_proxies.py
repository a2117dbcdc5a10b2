"""A proxy in the environment that reaches nobody: servers and services on this machine find each other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from deploy.laptop import laptop
from deploy.laptop.children import OTHERS, Place, children
from deploy.laptop.laptop import LaptopSettings, start_laptop
from deploy.laptop.supervisor import Child
from shared.addresses import Addresses

NOBODY = "http://127.0.0.1:9"
PROXIES = ("http_proxy", "https_proxy", "all_proxy")


def one_service_and_what_it_needs(place: Place, where: Addresses) -> list[Child]:
    """The service is one that makes tables, and is not ready before they are there."""
    wanted = [child for child in children(place, where) if child.name in ("kafka", "clickhouse", "services")]
    others = set(OTHERS) - {"prediction_logging"}
    return [
        replace(child, command=[word for word in child.command if word not in others], patience_seconds=30)
        for child in wanted
    ]


async def test_a_proxy_that_reaches_nobody_is_not_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("KAFKA_BOOTSTRAP_SERVERS", "CLICKHOUSE_URL", "FILES_URI", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name in PROXIES:
        monkeypatch.setenv(name, NOBODY)
        monkeypatch.setenv(name.upper(), NOBODY)
    monkeypatch.setenv("MODELS_URL", "http://127.0.0.1:1")
    monkeypatch.setattr(laptop, "children", one_service_and_what_it_needs)
    steps: list[tuple[str, str]] = []
    async with start_laptop(
        LaptopSettings(tmp_path / "data", 0, 0, 0, 0, 0), lambda *step: steps.append(step)
    ):
        assert [name for name, words in steps if words.startswith("ready")] == [
            "kafka",
            "clickhouse",
            "services",
        ]
