"""What the HTTP intake costs for each event, beside a plain FastAPI endpoint with pydantic.

    python -m tests.bench.intake [--events N] [--rounds N]

Both are served by one process, over an embedded broker, and asked by this one by turns: single events, and
100 in a body. CPU time is the server process's, its Kafka producer included; it consumes nothing. The last
line is JSON: events a second and core of the intake.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import uvloop
from fastapi import APIRouter, FastAPI
from prometheus_client import CollectorRegistry

from services.garbage import collect_seldom
from services.prediction_logging.acceptance import Acceptance
from services.prediction_logging.api import Intake
from services.prediction_logging.direct_routes import DirectRoutes
from services.prediction_logging.intake_metrics import IntakeMetrics
from services.prediction_logging.kinds import Predictions
from services.prediction_logging.settings import Settings
from services.run import make_server
from shared.access.limit_settings import LimitSettings
from shared.access.limiter import RequestLimits
from shared.asgi_route import Answer
from shared.broker import make_broker
from shared.events import PredictionLogged, WorkloadAdded, now, record
from shared.events.envelope import Record
from shared.http_conventions import HttpSettings, follow_http_conventions
from shared.kafka import Kafka
from shared.outbox import Delivery, OutboxSettings, own_outbox
from shared.projections import Workloads
from shared.topics import declare, topics_of
from tests.servers.http import with_door
from tests.servers.kafka import embedded_kafka
from tests.servers.model import free_port
from tests.shared.consuming import added

BATCH = 100
CONNECTIONS = 32
LABELS = ("refund", "order")


def event(number: int) -> dict[str, Any]:
    """0.8 KB, with an id of the app's own."""
    return {
        "prediction_id": f"order-{number:012d}",
        "workload": "tickets",
        "predicted_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "input": f"Request {number}: my parcel with the order number on the invoice has not come, and I ask "
        * 5,
        "answer": LABELS[number % 2],
        "confidence": 0.8125,
        "probabilities": {LABELS[0]: 0.8125, LABELS[1]: 0.1875},
        "adapter": "tickets-in-house-7",
        "latency_ms": 41.5,
        "tokens_in": 117,
        "attributes": {"region": "eu-west-1", "channel": "mail", "customer": "c-1029384756"},
        "group_id": f"thread-{number // 3}",
    }


async def serve(port: int, kafka: str, folder: Path) -> None:
    """The intake as `services` runs it but for its consumer, and `/plain` beside it."""
    broker = make_broker(Kafka(kafka), "bench", CollectorRegistry())
    workloads = Workloads()
    workloads.apply(added("tickets"))
    outbox = own_outbox(folder, OutboxSettings(fsync=True))
    delivery = Delivery(outbox, broker.producer.publish_and_wait)
    settings = Settings()
    free = LimitSettings(workload_requests_per_second=0, workload_bytes_per_second=0, workload_in_flight=0)
    limits = RequestLimits(free, CollectorRegistry())
    predictions = Predictions(workloads, lambda user: None)

    def intake(publish: Callable[[Sequence[Record]], Awaitable[None]]) -> Answer:
        acceptance = Acceptance(publish, outbox, settings.publish_timeout_seconds)
        metrics = IntakeMetrics(CollectorRegistry(), delivery)
        return partial(Intake(workloads, acceptance, now, settings, metrics, limits).take, predictions)

    async def forget(_: Sequence[Record]) -> None:
        return None

    plain = APIRouter()

    @plain.post("/plain", status_code=202)
    async def post_plain(predictions: list[PredictionLogged]) -> dict[str, list[str]]:
        await broker.producer.publish_records([record(one, "plain") for one in predictions])
        return {"ids": [one.prediction_id for one in predictions]}

    app = FastAPI()
    app.include_router(plain)
    answers = {
        ("POST", "/predictions"): intake(broker.producer.publish_records),
        ("POST", "/unpublished"): intake(forget),
    }
    app.add_middleware(DirectRoutes, answers=answers)
    with_door(app)
    follow_http_conventions(app, HttpSettings())
    server = make_server(app)
    server.config.host, server.config.port = "127.0.0.1", port
    collect_seldom()
    await server.serve()


@contextmanager
def served(kafka: str, folder: Path) -> Iterator[tuple[int, psutil.Process]]:
    port = free_port()
    command = [sys.executable, "-m", "tests.bench.intake", "--serve", str(port), kafka, str(folder)]
    process = subprocess.Popen(command)
    try:
        yield port, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(timeout=20)


async def ask(port: int, path: str, kind: str, bodies: list[bytes]) -> None:
    """Posts all bodies over some connections at once. Raises RuntimeError if one is not answered 202."""
    waiting = iter(bodies)

    async def connection() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for body in waiting:
            head = f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}"
            writer.write(head.encode() + b"\r\n\r\n" + body)
            answer = (await reader.readuntil(b"\r\n\r\n")).lower()
            rest = await reader.readexactly(int(answer.partition(b"content-length: ")[2].split(b"\r")[0]))
            if b" 202 " not in answer[:20]:
                raise RuntimeError(f"{answer.decode()}{rest.decode()[:500]}")
        writer.close()

    await asyncio.gather(*(connection() for _ in range(CONNECTIONS)))


async def until_it_answers(port: int) -> None:
    for _ in range(600):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.1)
        else:
            writer.close()
            return
    raise TimeoutError("the server does not answer")


def bodies(way: str, first: int, events: int) -> tuple[str, str, list[bytes]]:
    """Path, content type and bodies of a way to send these events."""
    made = [json.dumps(event(number)).encode() for number in range(first, first + events)]
    how, _, what = way.partition(", ")
    path = {"plain": "/plain", "unpublished": "/unpublished"}.get(what, "/predictions")
    if how == "single":
        return path, "application/json", [b"[%b]" % one for one in made] if what == "plain" else made
    batches = [made[start : start + BATCH] for start in range(0, events, BATCH)]
    if what in ("plain", "array"):
        return path, "application/json", [b"[%b]" % b",".join(batch) for batch in batches]
    return path, "application/x-ndjson", [b"\n".join(batch) for batch in batches]


WAYS = (
    "single", "single, unpublished", "single, plain",
    "batch", "batch, array", "batch, unpublished", "batch, plain",
)  # fmt: skip


async def measure(port: int, server: psutil.Process, events: int, rounds: int) -> dict[str, float]:
    """Median CPU microseconds of the server for an event, by way."""
    await until_it_answers(port)
    used: dict[str, list[float]] = {way: [] for way in WAYS}
    number = 0
    for turn in range(rounds + 1):  # the first warms up
        for way in WAYS:
            count = events if way.startswith("batch") else events // 5
            path, kind, all_bodies = bodies(way, number, count)
            number += count
            before = server.cpu_times()
            await ask(port, path, kind, all_bodies)
            after = server.cpu_times()
            spent = (after.user + after.system - before.user - before.system) / count * 1e6
            print(f"round {turn}: {way}: {spent:.1f} µs", file=sys.stderr)
            if turn:
                used[way].append(spent)
    return {way: statistics.median(times) for way, times in used.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--events", type=int, default=50_000, help="of each round of batches")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--serve", nargs=3, metavar=("PORT", "KAFKA", "FOLDER"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        port, kafka, folder = arguments.serve
        uvloop.run(serve(int(port), kafka, Path(folder)))
        return
    size = len(json.dumps(event(1)))
    with tempfile.TemporaryDirectory() as name, embedded_kafka(Path(name) / "kafka") as kafka:
        declare(topics_of([PredictionLogged, WorkloadAdded]), Kafka(kafka), 1, 30)
        with served(kafka, Path(name)) as (port, server):
            cost = asyncio.run(measure(port, server, arguments.events, arguments.rounds))
    print(f"Events of {size} bytes; CPU of the serving process, its producer included\n")
    print(f"{'':20} {'µs an event':>12} {'events/s/core':>14} {'of plain':>9}")
    for way, spent in cost.items():
        plain = cost[f"{way.partition(',')[0]}, plain"]
        print(f"{way:20} {spent:12.1f} {1e6 / spent:14,.0f} {spent / plain:9.2f}")
    line = {"single_per_s_core": round(1e6 / cost["single"]), "batch_per_s_core": round(1e6 / cost["batch"])}
    print(json.dumps(line))


if __name__ == "__main__":
    main()
