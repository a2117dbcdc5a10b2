"""The course of it: phases of faults under load, a healthy restart, and the comparison."""

from __future__ import annotations

import asyncio
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from tests.bench.chaos.comparing import compare, stories
from tests.bench.chaos.faults import phases
from tests.bench.chaos.gateway import ANSWERED, ask_for_ever
from tests.bench.chaos.ledger import Ledger
from tests.bench.chaos.sources import Sources
from tests.bench.chaos.stage import Stage, staged
from tests.bench.installation import ServiceProcess
from tests.bench.progress import Recovery, percentile

SEND_SECONDS = 1.0  # faster than it is handled, so that faults meet a backlog
BEFORE_FAULT_SECONDS = 0.3
RECOVERY_SECONDS = 60.0  # how long the next fault waits for the end of the last one
FLUSH_SECONDS = 120.0
LAG_SECONDS = 300.0
EVENTS_PER_DRAINED_SECOND = 500  # the least that a restarted installation handles
GOOD_ANSWERS = ("202", ANSWERED, "503", "no answer")
OUTBOX_SECONDS = 60.0
OUTBOX_EMPTY = r"outbox_backlog_bytes 0\.0"


@dataclass(frozen=True)
class Outcome:
    figures: dict[str, Any]
    lines: list[str]
    """What people are told."""
    is_right: bool


async def chaos(
    folder: Path, events: int, kills: int, broker: str, seed: int, *, with_gateway: bool
) -> Outcome:
    """Raises TimeoutError when something does not come to its end in time."""
    ledger = Ledger()
    async with staged(folder, broker, seed, with_gateway=with_gateway) as stage:
        course = phases(kills, tuple(stage.targets), "broker", seed)
        stopping, asking = asyncio.Event(), None
        if stage.gateway is not None:
            asking = asyncio.create_task(ask_for_ever(stage.gateway.url, ledger, stopping))
        sources = Sources(stage.broker.address, [service.url for service in stage.services], ledger, seed)
        share, rest = divmod(events, len(course) + 1)
        await sources.send(share + rest, SEND_SECONDS, SEND_SECONDS)
        for number, phase in enumerate(course, 1):
            what = ", ".join([*(f"kill {name}" for name in phase.kills), *filter(None, [phase.outage])])
            _say(ledger, f"{number} of {len(course)}: {what}; lag {_lag(stage)}")
            sending = asyncio.create_task(sources.send(share, SEND_SECONDS, SEND_SECONDS + phase.seconds))
            await asyncio.sleep(BEFORE_FAULT_SECONDS)
            for recovery in await stage.play(phase):
                await _recovered(recovery)
                _say(ledger, f"    gone on after {recovery.seconds and round(recovery.seconds, 1)} s")
            await sending
        _say(ledger, "a healthy restart, and waiting until nothing waits")
        stopping.set()
        if asking is not None:
            await asking
        await stage.restart_services()
        for service in stage.every_service:
            await _outbox_is_empty(service)
        await sources.flush(FLUSH_SECONDS)
        await _nothing_waits(stage, LAG_SECONDS + events / EVENTS_PER_DRAINED_SECOND)
        _say(ledger, "comparing")
        return await asyncio.to_thread(_outcome, stage, ledger)


async def _recovered(recovery: Recovery) -> None:
    until = time.monotonic() + RECOVERY_SECONDS
    while recovery.seconds is None and time.monotonic() < until:
        await asyncio.sleep(0.1)


async def _nothing_waits(stage: Stage, seconds: float) -> None:
    began = time.monotonic()
    while True:
        last = stage.watch.last
        if last is not None and last.asked_at > began and last.lag == 0:
            return
        if time.monotonic() - began > seconds:
            raise TimeoutError(
                f"after {seconds:.0f} s {_lag(stage)} events still wait; logs are in the folder"
            )
        await asyncio.sleep(0.2)


async def _outbox_is_empty(service: ServiceProcess) -> None:
    """What it has taken on its own disk is in Kafka. Raises TimeoutError."""
    async with aiohttp.ClientSession() as session, asyncio.timeout(OUTBOX_SECONDS):
        while True:
            async with session.get(f"{service.url}/metrics") as answer:
                if re.search(OUTBOX_EMPTY, await answer.text()):
                    return
            await asyncio.sleep(0.2)


def _outcome(stage: Stage, ledger: Ledger) -> Outcome:
    found = compare(stage.clickhouse.url, ledger)
    recoveries = stage.watch.recoveries
    figures = {
        "acknowledged": ledger.acknowledged,
        "stored": found.stored,
        "visible": found.visible,
        "visible_twice": found.visible_twice,
        "kills": stage.kills,
        "store_outages": stage.store_outages,
        "recovery_p95_s": percentile([one.seconds or RECOVERY_SECONDS for one in recoveries], 0.95),
    }
    bad = sorted(answer for answer in ledger.answers if not answer.startswith(GOOD_ANSWERS))
    lines = [
        f"answers: {dict(ledger.answers)}",
        f"never acknowledged and not sent again: {ledger.unsure}",
        f"requests that the proxy spoilt: {stage.proxy.failed}",
        *(f"no answer for a client that did nothing wrong: {answer}" for answer in bad),
        *(f"another content: {name}" for name in found.wrong[:10]),
        *(f"stored and never flagged: {name}" for name in found.unflagged[:10]),
        *_recovery_table(recoveries),
    ]
    if found.missing:
        lines.append(f"{len(found.missing)} acknowledged and not there. The first:")
        lines += stories(stage.broker.address, found.missing, ledger, stage.watch.last)
    if stage.proxy.broken is not None:
        lines.append(f"the proxy cannot read what is inserted: {stage.proxy.broken}")
    return Outcome(figures, lines, found.is_right and not bad and stage.proxy.broken is None)


def _recovery_table(recoveries: Sequence[Recovery]) -> list[str]:
    by_kind: dict[str, list[float]] = {}
    for one in recoveries:
        by_kind.setdefault(one.what, []).append(one.seconds or RECOVERY_SECONDS)
    rows = ["| fault | times | median s | longest s |", "|---|---|---|---|"]
    for what, seconds in sorted(by_kind.items()):
        rows.append(f"| {what} | {len(seconds)} | {percentile(seconds, 0.5)} | {percentile(seconds, 1.0)} |")
    return rows


def _lag(stage: Stage) -> int | str:
    return "unknown" if stage.watch.last is None else stage.watch.last.lag


def _say(ledger: Ledger, what: str) -> None:
    print(f"{ledger.at():>8}  {what}", file=sys.stderr, flush=True)
