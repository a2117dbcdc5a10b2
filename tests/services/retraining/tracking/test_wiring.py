"""The service itself notes what it consumes; that needs no MLflow to be there."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from services.retraining.app import build
from shared.addresses import Addresses
from shared.clickhouse import clickhouse_at
from shared.events import Event, now
from shared.files import Files
from shared.model_server import ModelServer
from shared.service import ServiceContext
from tests.services.retraining.tracking.run_events import promoted, rolled_back

NOWHERE = "http://127.0.0.1:9"


@pytest.mark.parametrize(("uri", "noted"), [(NOWHERE, 2), ("", 0)], ids=["an MLflow", "none"])
async def test_champions_are_noted_where_an_mlflow_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uri: str, noted: int
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    registry = CollectorRegistry()

    async def publish(*_: Event) -> None:
        raise AssertionError("a champion's event publishes nothing here")

    async with ModelServer(NOWHERE) as models:
        service = build(
            ServiceContext(
                Addresses(),
                publish,
                clickhouse_at(f"{NOWHERE}/none"),
                Files(tmp_path.as_uri(), tmp_path / "cache"),
                models,
                now,
                registry,
                tmp_path,
            )
        )
        for event in (promoted(1, 1), rolled_back(2, 2)):
            handler = service.consumes[type(event)]
            assert callable(handler)
            await handler(event)
    assert registry.get_sample_value("tuneloop_retraining_tracking_waiting") == noted
