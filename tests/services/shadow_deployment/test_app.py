"""The service as the runner builds it."""

from __future__ import annotations

from pathlib import Path

from prometheus_client import CollectorRegistry

from services.shadow_deployment.app import build
from shared.addresses import Addresses
from shared.events import Event, ModelPromoted, now
from shared.files import Files
from shared.flow import FLOW
from shared.models import ModelServer
from shared.service import Surroundings
from shared.tables import Tables
from tests.services.shadow_deployment.facts import evaluated, workload


async def test_built_by_the_runner_it_hears_its_part_and_raises_a_first_flag(
    tables: Tables, tmp_path: Path
) -> None:
    said: list[Event] = []

    async def say(*events: Event) -> None:
        said.extend(events)

    async with ModelServer("http://127.0.0.1:1") as models:
        files = Files(tmp_path.as_uri(), tmp_path)
        service = build(
            Surroundings(Addresses(), say, tables, files, models, now, CollectorRegistry(), tmp_path)
        )
        for _ in range(2):  # as at a second start
            await tables.apply(service.tables_sql)
        assert set(service.hears) == FLOW["shadow_deployment"].hears
        for event in (workload(), evaluated("first", None)):
            handler = service.hears[type(event)]
            assert callable(handler)
            await handler(event)
    assert any(isinstance(event, ModelPromoted) for event in said)
