"""The demo's workload on a laptop that is opened: what is said is for those who ask on other machines."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from deploy import add as adding
from deploy.demo import install
from deploy.follow import Follower
from deploy.installation import Installation
from deploy.laptop.laptop import Laptop
from deploy.laptop.supervisor import Supervisor
from deploy.workloads_client import Added, Checked, Listed, Round, Upload, WorkloadsClient
from shared.addresses import Addresses
from tests.servers.model import free_port

CHECKED = {
    "name": "licences", "rows": 300, "labels": 10, "repeated_texts": 0, "expected_minutes": None,
    "changes": [], "is_new": True, "differs": True, "trains": True,
}  # fmt: skip
OVER = Round(
    round_id="r", kind="first", stage="done", sentence="", is_over=True, outcome="promoted", version=1
)


async def test_its_users_are_told_the_address_that_they_reach(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []

    async def listed(*_: object) -> list[Listed]:
        return []

    async def check(_: WorkloadsClient, upload: Upload) -> Checked:
        return Checked.model_validate(CHECKED)

    async def add(_: WorkloadsClient, upload: Upload) -> Added:
        return Added.model_validate(CHECKED | {"revision": 1, "round_id": "r"})

    async def follow(follower: Follower, *_: object) -> Round:
        return OVER

    async def opens(where: Installation, name: str) -> None:
        asked.append((where.gateway_url, where.review_page(name)))

    for name, stand_in in (("listed", listed), ("check", check), ("add", add)):
        monkeypatch.setattr(WorkloadsClient, name, stand_in)
    monkeypatch.setattr(Follower, "follow", follow)
    monkeypatch.setattr(adding, "_until_open", opens)
    monkeypatch.setattr(install, "_upload", lambda: Upload("licences.toml", b""))
    gateway, services = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
    with (tmp_path / "held").open("w") as held:
        nobody = Supervisor(tmp_path, held, lambda name, words: None)
        laptop = Laptop(
            Addresses(),
            gateway,
            services,
            tmp_path,
            nobody,
            "https://192.0.2.10:8080",
            "https://192.0.2.10:8081",
        )
        await install.install_demo(laptop, Console())
    assert asked == [(gateway, "https://192.0.2.10:8081/review?workload=licences")]
    assert 'ask https://192.0.2.10:8080/v1 for the model "licences"' in capsys.readouterr().out
