"""The course of it: consumers in turn, publishing, end to end, and ClickHouse alone. Prints the tables."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from confluent_kafka import Producer

from shared.events import FeedbackGiven, PredictionLogged
from shared.kafka import Kafka
from shared.topics import declare, topics_of
from tests.bench.ingest.end_to_end import Bench, Run, highest_held, installed
from tests.bench.ingest.measured import measured
from tests.bench.ingest.payload import TOPIC, WORKLOAD, Encoded
from tests.bench.installation import add_workload, cpu_seconds
from tests.bench.progress import percentile
from tests.servers.clickhouse import embedded_clickhouse
from tests.servers.kafka import embedded_kafka
from tests.servers.model import ROOT

OURS, ARROYO, FASTSTREAM = "ours", "arroyo_batches", "faststream_single"
HANDLERS = "ours handlers"
PACKAGES = (
    "confluent-kafka",
    "sentry-arroyo",
    "faststream",
    "pydantic",
    "msgspec",
    "orjson",
    "jsonschema-rs",
)


def ingest(
    folder: Path,
    events: int,
    rounds: int,
    seconds: float,
    rate: float | None,
    rows: int,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """The figures of the last line."""
    print(", ".join(f"{name} {version(name)}" for name in PACKAGES))
    with embedded_kafka(folder / "kafka") as kafka, embedded_clickhouse(folder / "clickhouse") as url:
        _fill(kafka, events)
        consumed = _in_turn(kafka, url, events, rounds, say)
        published = median(measured("publishing", kafka, str(events)) for _ in range(rounds))
        ready = median(measured("publishing", kafka, str(events), "ready") for _ in range(rounds))
    print(_consumer_table(consumed))
    print(f"publish, in batches: {published:.1f} µs CPU per event; of records that are ready {ready:.1f}")
    with installed(folder / "end-to-end") as bench:
        run = highest_held(bench, seconds, say) if rate is None else bench.run(rate, seconds)
        lost, twice = bench.lost_and_visible_twice()
        alone_rate, alone_cpu = _alone(bench, rows)
    print(_end_to_end_table(run))
    print(f"ClickHouse alone, the same rows: {alone_rate:,.0f}/s, {alone_cpu:.1f} µs CPU per row")
    ours, arroyo, single = (median(consumed[name]) for name in (OURS, ARROYO, FASTSTREAM))
    return {
        "cpu_us_per_event": round(ours, 2),
        "cpu_ratio_arroyo": round(ours / arroyo, 3),
        "cpu_ratio_faststream_single": round(ours / single, 4),
        "publish_cpu_us": round(published, 2),
        "end_to_end_cpu_us_per_event": round(sum(run.cpu_us.values()), 2),
        "events_per_s_end_to_end": round(run.rate) if run.is_held else round(run.events_per_s),
        "p99_visible_s": percentile(run.visible_seconds, 0.99),
        "lost": lost,
        "visible_twice": twice,
    }


def _fill(kafka: str, events: int) -> None:
    declare(topics_of([PredictionLogged, FeedbackGiven]), Kafka(kafka), 1, 30)
    add_workload(kafka, WORKLOAD)
    producer = Producer(
        {"bootstrap.servers": kafka, "linger.ms": 10, "queue.buffering.max.messages": 1_000_000}
    )
    encoded = Encoded.of(WORKLOAD)
    headers = list(encoded.headers.items())
    for number in range(events):
        name = b"filled00-%016d" % number
        producer.produce(TOPIC, encoded.value(name, number), name, headers=headers)
    assert producer.flush(60) == 0


def _in_turn(
    kafka: str, url: str, events: int, rounds: int, say: Callable[[str], None]
) -> dict[str, list[float]]:
    """Microseconds per event of each consumer, once a round."""
    consumed: dict[str, list[float]] = {OURS: [], ARROYO: [], FASTSTREAM: [], HANDLERS: []}
    for number in range(1, rounds + 1):
        for name, found in consumed.items():
            module, *more = name.split()
            found.append(measured(module, kafka, str(events), url, *more))
            say(f"round {number}, {name}: {found[-1]:.2f} µs CPU per event")
    return consumed


def _alone(bench: Bench, rows: int) -> tuple[float, float]:
    """Rows a second, and microseconds of client and server per row."""
    before = cpu_seconds(bench.clickhouse)
    command = [sys.executable, "-m", "tests.bench.ingest.alone", bench.clickhouse.url, str(rows)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=300, check=True)
    told = json.loads(done.stdout.splitlines()[-1])
    used = told["cpu_seconds"] + cpu_seconds(bench.clickhouse) - before
    return told["rows_per_s"], 1e6 * used / rows


def _consumer_table(consumed: dict[str, list[float]]) -> str:
    ours = median(consumed[OURS])
    lines = ["| consume → columns | µs CPU per event, median (each) | ours to it |", "|---|---|---|"]
    for name, found in consumed.items():
        each = ", ".join(f"{one:.1f}" for one in found)
        lines.append(f"| {name} | {median(found):.2f} ({each}) | {ours / median(found):.3f} |")
    return "\n".join(lines)


def _end_to_end_table(run: Run) -> str:
    lines = [f"| end to end, {run.rate:,.0f}/s | µs CPU per event |", "|---|---|"]
    lines += [f"| {name} | {spent:.1f} |" for name, spent in run.cpu_us.items()]
    lines.append(f"| all | {sum(run.cpu_us.values()):.1f} |")
    return "\n".join(lines)
