"""What keys cost: CPU time of a gateway's process for each request, with keys and without, by turns.

    python -m tests.bench.door_cost [--requests N] [--rounds N]

Both gateways are processes as production starts them, before one model server that answers at once; there is
no Kafka, and records wait on disk. Prints one JSON line, in microseconds; `ratio` is their median.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from shared.access.api_key import NewKey, new_key
from shared.access.roles import Role
from shared.events import AccessChanged, now
from tests.servers.lone_gateway import lone_gateway, quick_model_server
from tests.servers.services import ServiceProcess

KEYS = 50
AT_ONCE = 8
WORKLOAD = "tickets"
WITHOUT_KEYS = "Bearer none"
"""OpenAI's clients always send something."""


@dataclass(frozen=True, eq=False)
class Asked:
    """A gateway and the header that opens it."""

    gateway: ServiceProcess
    authorization: str

    async def cpu_us(self, session: aiohttp.ClientSession, requests: int) -> float:
        """For each of so many requests."""
        left = iter(range(requests))
        before = _cpu_us(self.gateway.pid)
        await asyncio.gather(*(self._ask(session, left) for _ in range(AT_ONCE)))
        return (_cpu_us(self.gateway.pid) - before) / requests

    async def _ask(self, session: aiohttp.ClientSession, left: Iterator[int]) -> None:
        headers = {"Authorization": self.authorization}
        for number in left:  # shared by all who ask
            body = {"model": WORKLOAD, "prompt": f"Where is my money, for the {number}th time?"}
            url = f"{self.gateway.url}/v1/completions"
            async with session.post(url, json=body, headers=headers) as answer:
                await answer.read()
                answer.raise_for_status()


def _cpu_us(pid: int) -> float:
    """Of all its threads so far, to the nanosecond (clock_getcpuclockid(3), as Linux has it)."""
    return time.clock_gettime_ns((~pid << 3) | 2) / 1000


async def measure(without: Asked, with_keys: Asked, requests: int, rounds: int) -> dict[str, float]:
    costs: list[tuple[float, float]] = []
    async with aiohttp.ClientSession() as session:
        for number in range(rounds + 1):
            pair = (without, with_keys) if number % 2 else (with_keys, without)
            told = {one: await one.cpu_us(session, requests) for one in pair}
            if number:  # the first is for warming up
                costs.append((told[without], told[with_keys]))
    return {
        "without_keys_us": round(statistics.median(each for each, _ in costs), 1),
        "with_keys_us": round(statistics.median(each for _, each in costs), 1),
        "ratio": round(statistics.median(after / before for before, after in costs), 3),
    }


def known(key: NewKey) -> AccessChanged:
    return AccessChanged(
        key_id=key.key_id,
        revision=1,
        principal=f"p-{key.key_id}",
        role=Role.APP,
        workloads=[WORKLOAD],
        digest=key.digest,
        changed_by="host",
        changed_at=now(),
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.door_cost", description=__doc__)
    parser.add_argument("--requests", type=int, default=500, help="of a gateway in each round")
    parser.add_argument("--rounds", type=int, default=40)
    given = parser.parse_args()
    keys = [new_key() for _ in range(KEYS)]
    free = {"LIMIT_KEY_REQUESTS_PER_SECOND": "100000", "LIMIT_WORKLOAD_REQUESTS_PER_SECOND": "100000"}
    with tempfile.TemporaryDirectory(prefix="door-cost-") as name, ExitStack() as ending:
        folder, models = Path(name), ending.enter_context(quick_model_server())
        gateways = [
            lone_gateway(folder / "without", models, [WORKLOAD], [], free),
            lone_gateway(folder / "with", models, [WORKLOAD], [known(key) for key in keys], free),
        ]
        for one in gateways:
            ending.callback(one.kill)
            one.start()
        for one in gateways:
            one.await_status("/health/live", 200)
        without, with_keys = Asked(gateways[0], WITHOUT_KEYS), Asked(gateways[1], f"Bearer {keys[-1].text}")
        print(json.dumps(asyncio.run(measure(without, with_keys, given.requests, given.rounds))))


if __name__ == "__main__":
    main()
