"""Serves a console and the services it asks, human_review and workloads, without Kafka.

`python -m tests.services.console.serve empty|new|filled|hostile [CLICKHOUSE_URL]`

Prints its address, then every event they publish as a line of topic and JSON. It takes such lines from its
standard input, and ends when that closes.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from services.stack import build
from shared import events as e
from shared.addresses import Addresses
from shared.clickhouse import connect
from shared.consumer import Batch, ConsumerRecord, Sample
from shared.events.envelope import Event, now
from shared.files import Files
from shared.http_conventions import HttpSettings, follow_http_conventions, guard
from shared.http_server import HttpServer, server_config
from shared.loopback import NAME, bound_sockets
from shared.model_server import ModelServer
from shared.problems import answer_with_problems
from shared.service import Service, ServiceContext
from tests.servers.clickhouse import embedded_clickhouse
from tests.servers.http import with_door
from tests.servers.model import free_port
from tests.servers.views import OWNERS, views_as_tables
from tests.services.console import examples, hostile

ASKED = ("workloads", "human_review")
BY_TOPIC = {kind.topic.name: kind for kind in e.EVENTS}


async def serve(stage: str, clickhouse_url: str, folder: Path) -> None:
    clickhouse = await connect(clickhouse_url, patience_seconds=30)
    models = ModelServer("http://127.0.0.1:1")

    async def publish(*events: Event) -> None:
        for event in events:
            print(event.topic.name, event.model_dump_json(), flush=True)
            await tell(service, event)

    context = ServiceContext(
        Addresses(),
        publish,
        clickhouse,
        Files(f"file://{folder}", folder),
        models,
        now,
        CollectorRegistry(),
        folder,
    )
    port = free_port()
    os.environ["HUMAN_REVIEW_URL"] = os.environ["WORKLOADS_URL"] = f"http://127.0.0.1:{port}"
    service, asked = build("console", context), [build(name, context) for name in ASKED]
    added = hostile.workload_added() if stage == "hostile" else examples.workload_added()
    if stage == "hostile":
        await examples.fill(hostile.Spoiling(clickhouse._connection), now())
    elif stage == "filled":
        await examples.fill(clickhouse, now())
    else:
        await views_as_tables(clickhouse, *OWNERS)
    if stage != "empty":
        for one in (service, *asked):
            await tell(one, added)
    if stage in ("filled", "hostile"):
        for event in lately():
            for one in (service, asked[0]):
                await tell(one, event)
    app = FastAPI()
    answer_with_problems(app)
    for router in (router for one in asked for router in one.routers):
        app.include_router(router)
    assert service.mount is not None
    service.mount(app)
    with_door(app)
    follow_http_conventions(app, HttpSettings())
    guard(app, HttpSettings())
    server = HttpServer(server_config(app, graceful_seconds=1))
    serving = asyncio.create_task(server.serve(bound_sockets(NAME, port)))
    while not server.started:
        await asyncio.sleep(0.01)  # uvicorn has no event for it
    print(f"http://127.0.0.1:{port}", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        topic, _, payload = line.partition(" ")
        await tell(service, BY_TOPIC[topic].model_validate_json(payload))
    server.stop()
    await serving
    await models.close()
    await clickhouse.close()


async def tell(service: Service, event: Event) -> None:
    handler = service.consumes.get(type(event))
    if handler is None:
        return
    if isinstance(handler, Batch | Sample):
        await handler.handler([ConsumerRecord(event, 0, 0)])
    else:
        await handler(event)


def lately() -> list[Event]:
    """What a console that has run since this morning has consumed."""
    at = now()
    minute = timedelta(minutes=1)
    return [
        examples.promoted(examples.FIRST, None, 1, at - timedelta(days=13.9)),
        examples.promoted(at=at - timedelta(days=6)),
        e.CycleRequested(
            cycle_id="cycle-2",
            workload="tickets",
            cut=at - 180 * minute,
            reason="a week has passed",
            requested_by="calendar",
        ),
        e.DatasetPublished(
            dataset_id="dataset-3",
            workload="tickets",
            version=3,
            cycle_id="cycle-2",
            cutoff=at - 180 * minute,
            train=examples.frozen(548),
            golden=examples.frozen(150),
            held_out=examples.frozen(300),
            manifest=examples.frozen(1),
            counts=e.DatasetCounts(corrected=228),
            published_at=at - 178 * minute,
        ),
        e.CandidateEvaluated(
            run_id="run-3",
            workload="tickets",
            dataset_id="dataset-3",
            cycle_id="cycle-2",
            cutoff=at - 180 * minute,
            candidate=examples.adapter(examples.THIRD),
            champion=examples.SECOND,
            scorecard=examples.scorecard(247, 239, (2, 9)),
            answers=examples.frozen(450),
            seconds=52,
            evaluated_at=at - 174 * minute,
        ),
        *(
            e.ReviewGiven(
                review_id=f"r{n}",
                prediction_id=f"p-{n}",
                workload="tickets",
                reviewer="ada",
                right_answer="refund",
                given_at=at - (20 - n) * minute,
            )
            for n in range(18)
        ),
    ]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        given = sys.argv[2:]
        url = given[0] if given else stack.enter_context(embedded_clickhouse(Path(name) / "clickhouse"))
        asyncio.run(serve(sys.argv[1], url, Path(name)))
