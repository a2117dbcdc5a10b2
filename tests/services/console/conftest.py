"""A console built as the runner builds it, with `say` collected instead of sent."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from services.console.app import build
from shared.addresses import Addresses
from shared.clickhouse import ClickHouse
from shared.consumer import Batch, ConsumerRecord
from shared.events.envelope import Event
from shared.files import Files
from shared.model_server import ModelServer
from shared.problems import answer_with_problems
from shared.service import Service, ServiceContext
from tests.services.console import examples


@dataclass
class Console:
    service: Service
    http: httpx.AsyncClient
    published: list[Event] = field(default_factory=list)

    async def consume(self, *events: Event) -> None:
        for event in events:
            handler = self.service.consumes[type(event)]
            if isinstance(handler, Batch):
                await handler.handler([ConsumerRecord(event, 0, 0)])
            else:
                await handler(event)


@pytest.fixture
async def console(clickhouse: ClickHouse, tmp_path: Path) -> AsyncIterator[Console]:
    """A console whose clock stands at examples.NOW; its HTTP API is asked without a network."""
    published: list[Event] = []

    async def publish(*events: Event) -> None:
        published.extend(events)

    models = ModelServer("http://127.0.0.1:1")  # the console never asks it
    files = Files(tmp_path.as_uri(), tmp_path)
    context = ServiceContext(
        Addresses(), publish, clickhouse, files, models, lambda: examples.NOW, CollectorRegistry(), tmp_path
    )
    service = build(context)
    app = FastAPI()
    answer_with_problems(app)
    for router in service.routers:
        app.include_router(router)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://console") as http:
        yield Console(service, http, published)
    await models.close()
