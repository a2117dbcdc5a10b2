"""Broker, ClickHouse, prediction_logging and load on one machine: what goes through, and what it costs."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from shared.events import PredictionLogged
from tests.bench.ingest.payload import PROBES, WORKLOAD
from tests.bench.installation import (
    ClickHouseProcess,
    Killable,
    ServiceProcess,
    add_workload,
    asked,
    cpu_seconds,
    environment,
    killed_at_the_end,
)
from tests.bench.progress import Watch
from tests.servers.kafka import EmbeddedKafka
from tests.servers.model import ROOT

LOOK_SECONDS = 0.25  # how exact "visible" is
SHORT_HELD_SECONDS = 1.2  # a batch on its way
HELD_SECONDS = 2.0  # so soon after the last event nothing may wait any more
DRAIN_SECONDS = 300.0
FLOOD_RATE, FLOOD_SECONDS = 50_000.0, 10.0
SHORT, SEARCHES, NEAR = 0.25, 7, 1.08
CONFIRMATIONS, LOWER = 10, 0.93
LOAD = "load generator"


@dataclass(frozen=True)
class Run:
    """One rate for so long."""

    rate: float
    acknowledged: int
    seconds: float
    """From the first event until nothing waited."""
    late_seconds: float
    """Of these, after the last event."""
    cpu_us: Mapping[str, float]
    """Per event, by process."""
    visible_seconds: list[float]
    """Of each probe, from produce until a query saw it."""

    @property
    def is_held(self) -> bool:
        return self.late_seconds <= HELD_SECONDS

    @property
    def is_held_so_far(self) -> bool:
        """Stricter, for a short run: what it is behind would grow."""
        return self.late_seconds <= SHORT_HELD_SECONDS

    @property
    def events_per_s(self) -> float:
        return self.acknowledged / self.seconds


@dataclass
class Bench:
    broker: EmbeddedKafka
    clickhouse: ClickHouseProcess
    service: ServiceProcess
    watch: Watch
    acknowledged: int = 0
    probes: int = 0

    def run(self, rate: float, seconds: float) -> Run:
        """Raises TimeoutError when events still wait long after the load."""
        name = uuid4().hex[:8]
        processes: dict[str, Killable] = {
            "broker": self.broker, "ClickHouse": self.clickhouse, "prediction_logging": self.service
        }  # fmt: skip
        before = {each: cpu_seconds(process) for each, process in processes.items()}
        command = [sys.executable, "-m", "tests.bench.ingest.load", self.broker.address, name]
        load = subprocess.Popen(
            [*command, str(rate), str(seconds)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        poll = _Probes(self.clickhouse.url, name)
        try:
            with poll.looking():
                said, _ = load.communicate(timeout=seconds + DRAIN_SECONDS)
                ended = time.monotonic()
                told = json.loads(said.splitlines()[-1])
                nothing_waits = self._until_nothing_waits(ended)
                poll.wanted(len(told["probes"]))
        finally:
            if load.poll() is None:
                load.kill()
                load.wait(10)
        used = {each: cpu_seconds(process) - before[each] for each, process in processes.items()}
        acknowledged = told["acknowledged"]
        self.acknowledged += acknowledged
        self.probes += len(told["probes"])
        produced_at = told["probes"]
        return Run(
            rate,
            acknowledged,
            nothing_waits - produced_at[0],
            max(0.0, nothing_waits - produced_at[0] - seconds),
            {
                each: 1e6 * spent / acknowledged
                for each, spent in (used | {LOAD: told["cpu_seconds"]}).items()
            },
            [seen - produced for produced, seen in zip(produced_at, poll.seen_at(), strict=False)],
        )

    def _until_nothing_waits(self, since: float) -> float:
        while True:
            last = self.watch.last
            if last is not None and last.asked_at > since and last.lag == 0:
                return last.asked_at
            if time.monotonic() - since > DRAIN_SECONDS:
                raise TimeoutError(f"events still wait {DRAIN_SECONDS:.0f} s after the load")
            time.sleep(0.05)

    def lost_and_visible_twice(self) -> tuple[int, int]:
        """Of all runs."""
        sql = f"""SELECT count(), uniqExact(workload, prediction_id) FROM predictions_v1
            WHERE workload IN ('{WORKLOAD}', '{PROBES}') FORMAT TSV"""
        rows, ids = map(int, asked(self.clickhouse.url, sql).split("\t"))
        return self.acknowledged - ids, rows - ids


@dataclass
class _Probes:
    """Asks the published view, as any reader does, which probes are there."""

    url: str
    run: str
    _seen: dict[int, float] = field(default_factory=dict)
    _is_over: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def looking(self) -> Iterator[None]:
        thread = threading.Thread(target=self._look_on, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._is_over.set()
            thread.join(30)

    def wanted(self, count: int) -> None:
        """Returns when so many were seen. Raises TimeoutError."""
        until = time.monotonic() + 30
        while len(self._seen) < count:
            if time.monotonic() > until:
                raise TimeoutError(f"{count - len(self._seen)} probes are not visible, though nothing waits")
            time.sleep(0.05)

    def seen_at(self) -> list[float]:
        return [moment for _, moment in sorted(self._seen.items())]

    def _next(self) -> int:
        """The first that was not seen yet: partitions overtake each other."""
        number = 0
        while number in self._seen:
            number += 1
        return number

    def _look_on(self) -> None:
        while not self._is_over.wait(LOOK_SECONDS):
            sql = f"""SELECT prediction_id FROM predictions_v1 WHERE workload = '{PROBES}'
                AND prediction_id BETWEEN '{self.run}-{self._next():016}' AND '{self.run}-{"9" * 16}'
                FORMAT TSV"""
            names = asked(self.url, sql).split()
            moment = time.monotonic()
            for name in names:
                self._seen.setdefault(int(name.rpartition("-")[2]), moment)


@contextmanager
def installed(folder: Path) -> Iterator[Bench]:
    """All of it, ready; at the end it is killed."""
    broker, clickhouse = EmbeddedKafka(folder / "kafka"), ClickHouseProcess(folder / "clickhouse")
    with killed_at_the_end(broker, clickhouse):
        broker.start()
        clickhouse.start()
        add_workload(broker.address, WORKLOAD, PROBES)
        service = ServiceProcess(
            "prediction_logging", folder / "service", environment(folder, broker.address, clickhouse.url)
        )
        with killed_at_the_end(service):
            service.start()
            service.wait_until_ready()
            watch = Watch(broker.address, service.name, [PredictionLogged.topic])
            watch.start()
            try:
                yield Bench(broker, clickhouse, service, watch)
            finally:
                watch.stop()


def highest_held(bench: Bench, seconds: float, say: Callable[[str], None]) -> Run:
    """The highest rate that was held for so long: looked for in short runs, then confirmed or lowered.

    Raises RuntimeError where none was.
    """
    flood = bench.run(FLOOD_RATE, min(FLOOD_SECONDS, seconds))
    say(f"flooded: {flood.events_per_s:,.0f}/s go through")
    rate = _found(bench, flood.events_per_s, seconds * SHORT, say)
    for _ in range(CONFIRMATIONS):
        tried = _tried(bench, rate, seconds, say)
        if tried.is_held:
            return tried
        rate *= LOWER
    raise RuntimeError(f"not even {rate / LOWER:,.0f}/s were held for {seconds:.0f} s")


def _found(bench: Bench, rate: float, seconds: float, say: Callable[[str], None]) -> float:
    """About the highest rate: raised or lowered until it lies between two, then halfway."""
    held, failed = 0.0, 0.0
    for _ in range(SEARCHES):
        if _tried(bench, rate, seconds, say).is_held_so_far:
            held = rate
        else:
            failed = rate
        if held and failed and failed / held < NEAR:
            break
        rate = (held + failed) / 2 if held and failed else 1.5 * held or 0.6 * failed
    return held or rate


def _tried(bench: Bench, rate: float, seconds: float, say: Callable[[str], None]) -> Run:
    tried = bench.run(rate, seconds)
    say(
        f"{rate:,.0f}/s for {seconds:.0f} s: {tried.late_seconds:.1f} s behind at its end, "
        f"{sum(tried.cpu_us.values()):.1f} µs CPU per event"
    )
    return tried
