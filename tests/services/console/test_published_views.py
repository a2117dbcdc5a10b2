"""The console's SQL on the views as their owners publish them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from services.console.cycle_status import Snapshot, stages
from services.console.store import ConsoleStore
from shared.clickhouse import ClickHouse
from shared.migrations import migrate
from tests.servers.views import OWNERS
from tests.services.console import examples
from tests.services.console.examples import NOW


@pytest.fixture
async def published(clickhouse: ClickHouse) -> ClickHouse:
    for owner in OWNERS:
        await migrate(clickhouse, owner)
    return clickhouse


async def test_every_question_can_be_asked_of_the_real_views(published: ClickHouse) -> None:
    store = ConsoleStore(published)
    workload = examples.definition()
    assert stages(await store.snapshot(workload, "x", NOW, NOW), None) == stages(
        Snapshot(workload, "x"), None
    )
    assert await store.predictions.span("tickets", NOW) is None
    assert await store.predictions.buckets("tickets", NOW, examples.HOUR) == []
    assert await store.predictions.buckets("tickets", NOW, timedelta(seconds=10)) == []
    assert await store.cycles.cycle("tickets", "c1") is None
    assert await store.cycles.corrections_until("tickets", NOW) == 0
