"""What the console is made of: it consumes everything, publishes nothing, and decides nothing."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from services.console.app import build
from services.console.commands import Commands
from services.console.feed import Feed
from services.console.parts import Parts
from services.console.review_client import ReviewClient
from services.console.settings import Settings
from services.console.store import ConsoleStore
from shared.addresses import Addresses
from shared.clickhouse import ClickHouse, clickhouse_at
from shared.events import Event
from shared.files import Files
from shared.flow import FLOW
from shared.http_tls import CannotUseTls
from shared.model_server import ModelServer
from shared.projections import Champions, Workloads
from shared.service import ServiceContext
from shared.service_client import ServiceClient
from tests.services.console import examples
from tests.services.console.examples import FIRST, NOW, SECOND


def context(folder: Path) -> ServiceContext:
    async def publish(*_: Event) -> None:
        raise AssertionError("the console publishes nothing")

    return ServiceContext(
        Addresses(),
        publish,
        clickhouse_at("http://nobody@127.0.0.1:1/none"),
        Files(folder.as_uri(), folder),
        ModelServer("http://127.0.0.1:1"),
        lambda: NOW,
        CollectorRegistry(),
        folder,
    )


def test_it_consumes_what_the_flow_says_and_publishes_nothing(tmp_path: Path) -> None:
    service = build(context(tmp_path))
    assert set(service.consumes) == FLOW["console"].consumes
    assert FLOW["console"].produces == frozenset()
    assert service.consumes_from_now


@pytest.mark.parametrize("asked", ["HUMAN_REVIEW_URL", "WORKLOADS_URL"])
def test_sessions_of_people_go_to_another_machine_by_tls_alone_unless_that_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    monkeypatch.setenv(asked, "http://192.0.2.2:8080")
    with pytest.raises(
        CannotUseTls, match=r"http://192\.0\.2\.2:8080 is on another machine.*HTTP_PLAIN=true"
    ):
        build(context(tmp_path))
    monkeypatch.setenv("HTTP_PLAIN", "true")
    assert build(context(tmp_path)).name == "console"


def test_where_a_certificate_is_set_no_setting_that_contradicts_it_is_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKLOADS_URL", "http://192.0.2.2:8080")
    monkeypatch.setenv("HTTP_TLS_CERTIFICATE", "/here.pem")
    with pytest.raises(CannotUseTls, match=r"by https://.*SERVICES_CA") as refused:
        build(context(tmp_path))
    assert "HTTP_PLAIN" not in str(refused.value)


def test_whom_it_asks_is_set_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUMAN_REVIEW_URL", "http://human_review:8080")
    monkeypatch.setenv("WORKLOADS_URL", "http://workloads:8080")
    settings = Settings()
    assert settings.human_review_url == "http://human_review:8080"
    assert settings.workloads_url == "http://workloads:8080"


@pytest.fixture
def parts(clickhouse: ClickHouse) -> Parts:
    nobody = ServiceClient("http://127.0.0.1:1")
    store = ConsoleStore(clickhouse)
    return Parts(Workloads(), Champions(), Feed(), store, ReviewClient(nobody), Commands(nobody), lambda: NOW)


async def test_the_highest_revision_is_champion_whatever_comes_last(parts: Parts) -> None:
    parts.champions.apply(examples.promoted(revision=2))
    parts.champions.apply(examples.promoted(FIRST, None, revision=1))
    assert (await parts.snapshot(examples.definition())).champion == SECOND


def test_a_retired_workload_is_not_shown_until_it_is_added_again(parts: Parts) -> None:
    added = examples.workload_added()
    at = NOW + timedelta(days=1)
    parts.known.apply(added)
    assert [one.name for one in parts.shown()] == ["tickets"]
    parts.known.apply(added.model_copy(update={"revision": 2, "retired_at": at, "added_at": at}))
    assert parts.shown() == []
    parts.known.apply(added.model_copy(update={"revision": 3, "added_at": at}))
    assert [one.name for one in parts.shown()] == ["tickets"]
