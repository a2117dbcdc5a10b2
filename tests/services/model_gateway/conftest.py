"""A gateway as the runner would serve it, over a model server of the test's choice."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from services.model_gateway.app import build
from shared.adapters.contract import AdapterContract
from shared.addresses import Addresses
from shared.clickhouse import clickhouse_at
from shared.events import AccessChanged, Event, FrozenFile, ModelPromoted, ModelRolledBack, WorkloadAdded, now
from shared.fields import FrozenAdapter
from shared.files import Files
from shared.model_server import ModelServer
from shared.service import Service, ServiceContext
from shared.workload import Workload
from tests.servers.adapters import freeze_trained
from tests.servers.http import app_of
from tests.servers.model import model_server

SUBJECT_KEY = "a secret of the tests"
NOWHERE = "http://127.0.0.1:9"  # the discard port: nobody listens
NO_FILE = FrozenFile(uri="file:///rows.jsonl", digest="sha256:" + "0" * 64, rows=0)
BASE = "SmolLM2-135M-Instruct"


ANSWERS = {"refund": " A", "outage": " B", "other": " C"}


def added(
    name: str = "tickets",
    *,
    revision: int = 1,
    answers: Mapping[str, str] = MappingProxyType(ANSWERS),
    **definition_fields: Any,
) -> WorkloadAdded:
    """`answers`: label → what the model writes for it, in the definition's order."""
    definition = Workload.model_validate(
        {
            "name": name,
            "title": "Which team answers this ticket",
            "prompt": "Classify the message.\n\n{text}\n\nAnswer:",
            "labels": tuple(answers),
            **definition_fields,
        }
    )
    return WorkloadAdded(
        revision=revision, definition=definition, answers=dict(answers), rows=NO_FILE, added_at=now()
    )


def contract() -> AdapterContract:
    """Of an adapter trained by `added()`, with tokens of no tokenizer."""
    return AdapterContract.of(
        added(), {"refund": 1, "outage": 2, "other": 3}, dataset_id="dataset-1", lora_r=4
    )


def promoted(adapter: FrozenAdapter, *, revision: int = 1, workload: str = "tickets") -> ModelPromoted:
    return ModelPromoted(
        workload=workload,
        revision=revision,
        champion=adapter,
        previous=None,
        run_id=f"run-{revision}",
        promoted_at=now() - timedelta(seconds=1),
    )


def rolled_back(adapter: FrozenAdapter, *, revision: int, withdrawn: str) -> ModelRolledBack:
    return ModelRolledBack(
        workload="tickets",
        revision=revision,
        champion=adapter,
        withdrawn=withdrawn,
        reason="worse on Mondays",
        requested_by="ann",
        rolled_back_at=now(),
    )


@dataclass
class Gateway:
    """One running gateway: its HTTP client, and what it published."""

    service: Service
    http: httpx.AsyncClient
    registry: CollectorRegistry
    published: list[Event]
    state_folder: Path

    async def apply(self, *events: Event) -> None:
        """Consumes as at start: all events, then what `start` does."""
        for event in events:
            handler = self.service.consumes[type(event)]
            assert callable(handler)
            await handler(event)
        assert self.service.start is not None
        await self.service.start()

    async def ask(self, text: str = "Where is my money?", **fields: Any) -> httpx.Response:
        body = {"model": "tickets", "messages": [{"role": "user", "content": text}], **fields}
        return await self.http.post("/v1/chat/completions", json=body)

    def metrics(self) -> str:
        return generate_latest(self.registry).decode()


@dataclass
class Gateways:
    """Makes gateways, one after the other, over one state folder."""

    folder: Path
    ending: AsyncExitStack
    made: list[Gateway] = field(default_factory=list)

    async def __call__(
        self,
        models_url: str = NOWHERE,
        state_folder: str = "state",
        keys: Sequence[AccessChanged] = (),
        **given: Any,
    ) -> Gateway:
        """`given` goes to its ServiceContext; `keys` are those that open its door."""
        registry = CollectorRegistry()
        models = await self.ending.enter_async_context(ModelServer(models_url))
        published: list[Event] = []

        async def publish(*events: Event) -> None:
            published.extend(events)

        state = self.folder / state_folder
        context = ServiceContext(
            addresses=Addresses(subject_key=SUBJECT_KEY),
            publish=publish,
            clickhouse=clickhouse_at("http://127.0.0.1:9/none"),
            files=Files(f"file://{self.folder}/files", self.folder / "cache"),
            models=models,
            clock=now,
            registry=registry,
            state_folder=state,
            **given,
        )
        service = build(context)
        transport = httpx.ASGITransport(app_of(service, *keys))
        http = await self.ending.enter_async_context(
            httpx.AsyncClient(transport=transport, base_url="http://localhost")
        )
        self.made.append(Gateway(service, http, registry, published, state))
        return self.made[-1]


@pytest.fixture
async def gateways(tmp_path: Path) -> AsyncIterator[Gateways]:
    (tmp_path / "state").mkdir()
    async with AsyncExitStack() as ending:
        yield Gateways(tmp_path, ending)


@pytest.fixture
def freeze(tmp_path: Path) -> Callable[[str, Path], FrozenAdapter]:
    """Puts an adapter's folder, with the contract of `added()`, where the gateway finds it."""
    files = Files(f"file://{tmp_path}/files", tmp_path / "cache")
    return lambda name, folder: freeze_trained(files, name, folder, added())


@pytest.fixture(scope="session")
def models_url() -> Iterator[str]:
    """The real model server over the real base model."""
    with model_server() as url:
        yield url
