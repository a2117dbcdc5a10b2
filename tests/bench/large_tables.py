"""What is asked every second and what is shown costs as much at ten million predictions as at ten thousand.

    python -m tests.bench.large_tables [--rows 10000000]

Fills a ClickHouse with a day of predictions of two workloads, one with ids in the order of time and one whose
app makes its own random ids, and asks it through the services' own stores. Progress goes to standard error;
the last line of standard output is one JSON object:

- `unpaired_ms`: what of all this the shadow takes next, the slowest of four medians: each workload, with a
  day's backlog and with nothing left to do;
- `status_ms`: how a workload stands, as `tuneloop status` and the console ask it, the slower of two medians;
- `insert_rows_per_s`: batches of 20,000 rows of 0.8 KB into the table that is so large already.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import psutil
from prometheus_client import CollectorRegistry

from services.prediction_logging.arrival_clock import ArrivalClock, nanoseconds
from services.prediction_logging.audit import Audit, OpenRows
from services.prediction_logging.audit_store import AuditStore
from services.prediction_logging.metrics import Metrics
from services.prediction_logging.store import PredictionStore
from services.shadow_deployment.store import ShadowStore
from services.shadow_deployment.unpaired_requests import UnpairedRequests
from services.workloads.overview import Overview
from services.workloads.published_views import PublishedViews
from services.workloads.rounds import Rounds
from services.workloads.store import WorkloadStore
from shared.clickhouse import ClickHouse, connect
from shared.consumer import ConsumerRecord
from shared.events import (
    CandidateEvaluated,
    FrozenAdapter,
    FrozenFile,
    PredictionLogged,
    Scorecard,
    ShadowPairRecorded,
    WorkloadAdded,
)
from shared.flow import FLOW
from shared.intervals import wilson
from shared.migrations import migrate
from shared.time_ordered_ids import time_ordered_id
from shared.workload import Workload
from tests.servers.clickhouse import embedded_clickhouse

ORDERED, RANDOM = "time-ordered-ids", "random-ids"
LABELS = ("billing", "delivery", "refund", "account", "outage", "praise", "other")
AT_ONCE = 500_000  # rows that one statement makes
DAY = timedelta(days=1)
PAIRS = 2000  # a candidate has, once it was judged on all it may get
BATCH = 20_000
ASKED = 15

# Rows as the handlers store them: a batch of a thousand shares its arrival. `{id}` is an expression.
MAKE = """INSERT INTO predictions (prediction_id, workload, predicted_at, adapter, input, answer, confidence,
    probabilities, latency_ms, tokens_in, attributes, kafka_partition, kafka_offset, arrived_at)
WITH
    ['order','parcel','invoice','refund','charged','twice','courier','never','arrived','please','help','account',
     'password','customer','delivery','yesterday','number','again','money','return'] AS words,
    fromUnixTimestamp64Nano({{start:Int64}} + intDiv(number, 1000) * {{step:Int64}}, 'UTC') AS arrived,
    rand64(1) AS one, rand64(2) AS two
SELECT {id}, {{workload:String}}, arrived - INTERVAL 1 SECOND,
    if(number % 20 = 0, 'an-earlier-champion', 'champion'),
    concat(arrayStringConcat(arrayMap(n -> words[1 + (bitShiftRight(one, n) + n) % 20], range(45)), ' '),
        ' ', hex(two), hex(one)),
    ['billing','delivery','refund','account','outage','praise','other'][1 + one % 7], (two % 10000) / 10000,
    mapFromArrays(['billing','delivery','refund','account','outage','praise','other'],
        arrayMap(n -> toFloat32((bitShiftRight(two, n * 8) % 256) / 900), range(7))),
    one % 90, 20 + two % 300, map('customer', toString(one % 1000000), 'channel', 'mail'),
    number % 6, number, arrived
FROM numbers({{first:UInt64}}, {{rows:UInt64}})"""
IDS = {
    RANDOM: "toString(generateUUIDv4(number))",
    ORDERED: """concat(substring(lower(hex(toUInt64(toUnixTimestamp64Milli(arrived)))), 5, 8), '-',
        substring(lower(hex(toUInt64(toUnixTimestamp64Milli(arrived)))), 13, 4), '-7',
        substring(lower(hex(one)), 1, 3), '-8', substring(lower(hex(one)), 4, 3), '-',
        substring(lower(hex(two)), 1, 12))""",
}
FEEDBACK = """INSERT INTO feedback
    (feedback_id, prediction_id, workload, thumb, is_negative, given_at, is_looked_after)
SELECT toString(generateUUIDv4()), prediction_id, workload, 'down', true, predicted_at, true
FROM arrivals WHERE kafka_offset % 100 = 0"""
FLAGS = """INSERT INTO flags (prediction_id, workload, reason, flagged_at)
SELECT prediction_id, workload, 'audit', predicted_at FROM arrivals WHERE kafka_offset % 20 = 0"""
CORRECTIONS = """INSERT INTO corrections (prediction_id, workload, predicted_at, adapter, answer, confidence,
    right_answer, reviewers, corrected_at)
SELECT prediction_id, workload, predicted_at, adapter, 'refund', confidence, 'refund', ['ada'], predicted_at
FROM arrivals WHERE workload = {workload:String} AND kafka_offset % 500 = 0 LIMIT 10000"""
BEFORE = """SELECT prediction_id, predicted_at, input, answer, confidence FROM predictions_v1
WHERE workload = {workload:String} AND adapter = 'champion' AND prediction_id NOT IN (
    SELECT prediction_id FROM pairs WHERE workload = {workload:String})
ORDER BY predicted_at, prediction_id LIMIT 16"""


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


async def seconds(work: Awaitable[object]) -> float:
    started = time.perf_counter()
    await work
    return time.perf_counter() - started


@dataclass(frozen=True)
class Asked:
    """A median in milliseconds, and what it cost ClickHouse, which hardly depends on what else runs here."""

    ms: float
    cpu_ms: float

    def __str__(self) -> str:
        return f"{self.ms:.1f} ms (ClickHouse {self.cpu_ms:.1f} ms CPU)"


def clickhouse_cpu_seconds() -> float:
    """Of the server that this process started; 0 where CLICKHOUSE_URL names another."""
    children = psutil.Process().children(recursive=True)
    return sum(sum(child.cpu_times()[:2]) for child in children)


async def asked(ask: Callable[[], Awaitable[object]], between: Callable[[], Awaitable[object]]) -> Asked:
    took: list[float] = []
    used = 0.0
    for _ in range(ASKED):
        before = clickhouse_cpu_seconds()
        took.append(await seconds(ask()))
        used += clickhouse_cpu_seconds() - before
        await between()
    return Asked(1000 * statistics.median(took), 1000 * used / ASKED)


async def nothing() -> None:
    pass


async def fill(clickhouse: ClickHouse, rows: int, start: datetime) -> None:
    """A day of predictions of both workloads, `rows` in all, and some feedback and flags."""
    each, clickhouse = rows // 2, clickhouse.patient(3600)
    step = int(DAY.total_seconds() * 1e9) // max(1, each // 1000)
    for first in range(0, each, AT_ONCE):
        for workload in (ORDERED, RANDOM):
            await clickhouse.command(
                MAKE.format(id=IDS[workload]),
                workload=workload,
                start=nanoseconds(start),
                step=step,
                first=first,
                rows=min(AT_ONCE, each - first),
            )
        say(f"made {2 * min(each, first + AT_ONCE):,} of {rows:,} predictions")
    await clickhouse.command(FEEDBACK)
    await clickhouse.command(FLAGS)


async def audit(clickhouse: ClickHouse, start: datetime) -> None:
    """What the service did hour by hour meanwhile."""

    async def nobody(conflicts: object) -> None:
        pass

    await clickhouse.command("TRUNCATE TABLE audit_watermark")
    store = AuditStore(clickhouse.patient(3600))
    await store.keep_audited_until(nanoseconds(start) - 1)
    audit = Audit(
        store,
        PredictionStore(clickhouse),
        nobody,
        lambda: datetime.now(UTC),
        ArrivalClock(),
        Metrics(CollectorRegistry()),
        OpenRows(),
        every_seconds=3600,
    )
    say(f"the audit of the whole day took {await seconds(audit.audit()):.1f} s")


def candidate_of(workload: str, cutoff: datetime, name: str) -> CandidateEvaluated:
    adapter = FrozenAdapter(name=name, uri="nowhere", digest="sha256:" + "0" * 64, base_model="m")
    return CandidateEvaluated(
        run_id=f"run-{workload}-{name}",
        workload=workload,
        dataset_id="d",
        cycle_id=None,
        candidate=adapter,
        champion="champion",
        scorecard=Scorecard(
            held_out=wilson(9, 10), base_model=wilson(1, 10), champion=None, held_out_difference=None,
            golden=wilson(9, 10), golden_difference=None, golden_regressed=False, adversarial=[], labels=[],
            confusions=[], majority_share=0.2, calibration_error=0.1,
        ),
        cutoff=cutoff,
        answers=FrozenFile(uri="nowhere", digest="sha256:" + "0" * 64, rows=0),
        seconds=1,
        evaluated_at=cutoff,
    )  # fmt: skip


@dataclass
class Shadowing:
    """A candidate that takes requests and records their pairs."""

    store: ShadowStore
    unpaired: UnpairedRequests
    candidate: CandidateEvaluated

    async def take(self, most: int = 16) -> int:
        now = datetime.now(UTC)
        requests = await self.unpaired.first(self.candidate, "champion", most, now)
        self.taken = [
            ShadowPairRecorded(
                run_id=self.candidate.run_id,
                workload=self.candidate.workload,
                prediction_id=one.prediction_id,
                predicted_at=one.predicted_at,
                champion="champion",
                champion_answer=one.answer,
                champion_confidence=one.confidence,
                candidate=self.candidate.candidate.name,
                candidate_answer=one.answer,
                candidate_confidence=one.confidence,
                recorded_at=now,
            )
            for one in requests
        ]
        return len(requests)

    async def record(self) -> None:
        await self.store.keep_pairs(self.taken)

    async def asked(self) -> Asked:
        """With what was taken recorded in between."""
        return await asked(self.take, self.record)


async def unpaired_ms(clickhouse: ClickHouse, workload: str, start: datetime) -> tuple[float, float]:
    """With a backlog of a day, and with nothing left to do."""
    behind = Shadowing(
        ShadowStore(clickhouse), UnpairedRequests(clickhouse), candidate_of(workload, start - DAY, "behind")
    )
    while await count(clickhouse, behind.candidate.run_id) < PAIRS:
        await behind.take(500)
        await behind.record()
    behind.unpaired = UnpairedRequests(clickhouse)
    first = 1000 * await seconds(behind.take())
    backlog = await behind.asked()
    (row,) = await clickhouse.rows("SELECT max(arrived_at) AS latest FROM arrivals_v1")
    latest: datetime = row["latest"].replace(tzinfo=UTC)
    done = Shadowing(
        ShadowStore(clickhouse),
        UnpairedRequests(clickhouse),
        candidate_of(workload, latest - timedelta(seconds=30), "done"),
    )
    while await done.take(500):
        await done.record()
    idle = await done.asked()
    before = 1000 * await seconds(clickhouse.rows(BEFORE, workload=workload))
    say(
        f"{workload}: unpaired {backlog} with a backlog, {first:.1f} ms after a restart, {idle} with nothing "
        f"to do; asked as version 0.2 did {before:.0f} ms"
    )
    return backlog.ms, idle.ms


async def count(clickhouse: ClickHouse, run_id: str) -> int:
    (row,) = await clickhouse.rows("SELECT count() AS n FROM pairs WHERE run_id = {run:String}", run=run_id)
    return int(row["n"])


async def status_ms(clickhouse: ClickHouse, workload: str, rows: int) -> float:
    store, views = WorkloadStore(clickhouse), PublishedViews(clickhouse)
    since = {"since": datetime.now(UTC) - DAY, "kind": "promoted", "adapter": "champion"}
    await clickhouse.insert(
        "alias_revisions", [since | {"workload": workload, "revision": 1, "published": 1}]
    )
    await clickhouse.command(CORRECTIONS, workload=workload)
    rounds = Rounds(store, views, lambda: datetime.now(UTC), on_over=lambda: None)
    await rounds.load()
    overview = Overview(store, views, rounds)
    definition = Workload(name=workload, title="Tickets", prompt="{text}\nTopic:", labels=LABELS)
    added = WorkloadAdded(
        revision=1,
        definition=definition,
        answers={label: f" {label}" for label in LABELS},
        rows=FrozenFile(uri="nowhere", digest="sha256:" + "0" * 64, rows=0),
        added_at=datetime.now(UTC),
    )
    told = (await overview.status(added)).predictions
    assert told == rows // 2, f"status says {told}, and {rows // 2} are there"
    shown = await asked(lambda: overview.status(added), nothing)
    counting = "SELECT count() AS n FROM predictions_v1 WHERE workload = {workload:String}"
    before = 1000 * await seconds(clickhouse.rows(counting, workload=workload))
    say(f"{workload}: status {shown}; counting predictions as version 0.2 did {before:.0f} ms")
    return shown.ms


def events(count: int) -> list[ConsumerRecord[PredictionLogged]]:
    """Of 0.8 KB, half of them with ids of each kind."""
    chance = random.Random(7)
    words = [
        "".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=chance.randint(2, 9))) for _ in range(3000)
    ]
    moment = datetime.now(UTC)
    return [
        ConsumerRecord(
            PredictionLogged(
                prediction_id=time_ordered_id(moment)
                if number % 2
                else str(UUID(int=chance.getrandbits(128))),
                workload=ORDERED if number % 2 else RANDOM,
                predicted_at=moment,
                input=" ".join(chance.choices(words, k=60)),
                answer=chance.choice(LABELS),
                confidence=chance.random(),
                probabilities=dict.fromkeys(LABELS, chance.random() / len(LABELS)),
                adapter="champion",
                latency_ms=12.5,
                tokens_in=80,
                attributes={"customer": str(chance.randrange(10**6)), "channel": "mail"},
            ),
            number % 6,
            number,
        )
        for number in range(count)
    ]


async def insert_rows_per_s(clickhouse: ClickHouse) -> float:
    store, clock = PredictionStore(clickhouse), ArrivalClock()
    rates: list[float] = []
    client = server = 0.0
    for _ in range(6):
        batch, before = events(BATCH), (time.process_time(), clickhouse_cpu_seconds())
        rates.append(BATCH / await seconds(store.keep_predictions(batch, clock.arrival(datetime.now(UTC)))))
        client += time.process_time() - before[0]
        server += clickhouse_cpu_seconds() - before[1]
    rows = len(rates) * BATCH
    say(
        f"inserted {rows:,} rows in batches, a median of {statistics.median(rates):,.0f} rows/s; "
        f"CPU for a row: {1e6 * client / rows:.1f} µs here, {1e6 * server / rows:.1f} µs in ClickHouse"
    )
    return statistics.median(rates)


async def measure(url: str, rows: int) -> dict[str, float]:
    server, _, _ = url.rpartition("/")
    clickhouse = await connect(f"{server}/large_tables_{uuid4().hex}", patience_seconds=60)
    try:
        for service in FLOW:
            await migrate(clickhouse, service)
        start = datetime.now(UTC) - DAY
        say(f"making the rows took {await seconds(fill(clickhouse, rows, start)):.0f} s")
        await audit(clickhouse, start)
        unpaired = [await unpaired_ms(clickhouse, workload, start) for workload in (ORDERED, RANDOM)]
        shown = [await status_ms(clickhouse, workload, rows) for workload in (ORDERED, RANDOM)]
        inserted = await insert_rows_per_s(clickhouse)
        return {
            "rows": rows,
            "unpaired_ms": round(max(max(pair) for pair in unpaired), 1),
            "status_ms": round(max(shown), 1),
            "insert_rows_per_s": round(inserted),
        }
    finally:
        await clickhouse.command("DROP DATABASE {name:Identifier} SYNC", name=await database(clickhouse))
        await clickhouse.close()


async def database(clickhouse: ClickHouse) -> str:
    (row,) = await clickhouse.rows("SELECT currentDatabase() AS name")
    return str(row["name"])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, embedded_clickhouse(Path(folder)) as url:
        figures = asyncio.run(measure(url, arguments.rows))
    print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    main()
