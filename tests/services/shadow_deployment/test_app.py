"""The service as the runner builds it."""

from __future__ import annotations

from pathlib import Path

from prometheus_client import CollectorRegistry

from services.shadow_deployment.app import build
from shared.addresses import Addresses
from shared.clickhouse import ClickHouse
from shared.events import Event, ModelPromoted, now
from shared.files import Files
from shared.flow import FLOW
from shared.migrations import migrate
from shared.model_server import ModelServer
from shared.service import ServiceContext
from tests.services.shadow_deployment.example_events import evaluated, workload


async def test_built_by_the_runner_it_consumes_its_part_and_moves_the_alias_for_the_first_time(
    clickhouse: ClickHouse, tmp_path: Path
) -> None:
    published: list[Event] = []

    async def publish(*events: Event) -> None:
        published.extend(events)

    async with ModelServer("http://127.0.0.1:1") as models:
        files = Files(tmp_path.as_uri(), tmp_path)
        service = build(
            ServiceContext(
                Addresses(), publish, clickhouse, files, models, now, CollectorRegistry(), tmp_path
            )
        )
        for _ in range(2):  # as at a second start
            await migrate(clickhouse, "shadow_deployment")
        assert set(service.consumes) == FLOW["shadow_deployment"].consumes
        for event in (workload(), evaluated("first", None)):
            handler = service.consumes[type(event)]
            assert callable(handler)
            await handler(event)
    assert any(isinstance(event, ModelPromoted) for event in published)
