"""What one app can take from all others, by asking more than its share."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp

from shared.access.api_key import NewKey, new_key
from shared.access.roles import Role
from shared.events import AccessChanged, now
from tests.attacks.asking import asked, run_async
from tests.attacks.attack import attack
from tests.attacks.target import Target
from tests.servers.clickhouse import embedded_clickhouse
from tests.servers.lone_gateway import lone_gateway, quick_model_server
from tests.services.prediction_logging.installation import Installation, installed
from tests.shared.consuming import added

NOISY, QUIET = "noisy", "quiet"
MODEL_SECONDS = 0.02
AT_ONCE = 400
"""They take the model server eight seconds."""
MOST_WAITED_SECONDS = 3.0
"""By a quiet workload's request, with what a busy machine takes."""
REQUESTS_BURST, BYTES_BURST = 20, 10_000
LIMITS = {
    "LIMIT_KEY_REQUESTS_PER_SECOND": "1",
    "LIMIT_KEY_REQUESTS_BURST": str(REQUESTS_BURST),
    "LIMIT_KEY_BYTES_PER_SECOND": "1000",
    "LIMIT_KEY_BYTES_BURST": str(BYTES_BURST),
    "LIMIT_KEY_IN_FLIGHT": "50",
}


@attack
def one_workload_keeps_the_model_server_for_itself(_: Target) -> str:
    """Hundreds of requests about one workload at once; then one about another."""
    with _gateway(None) as url:
        waited = run_async(_waits(url))
    return f"another workload waited for {waited:.1f} s" if waited > MOST_WAITED_SECONDS else ""


@attack
def one_key_asks_without_end(_: Target) -> str:
    """A client in a loop, as quick as it can."""
    key = new_key()
    with _gateway(key) as url:
        statuses = [_models(url, key) for _ in range(REQUESTS_BURST + 30)]
    return "" if 429 in statuses else f"{len(statuses)} requests at once, each answered {set(statuses)}"


@attack
def one_key_sends_megabytes_without_end(_: Target) -> str:
    """Few requests, each with a body as long as may be."""
    key = new_key()
    body = {"model": NOISY, "prompt": "a" * 60_000}
    with _gateway(key) as url:
        statuses = [
            asked("POST", f"{url}/v1/completions", json=body, headers=_by(key)).status_code for _ in range(5)
        ]
    return "" if statuses.count(200) < 2 else f"{statuses.count(200)} bodies of 60 kB were taken in a row"


@attack
def one_key_keeps_hundreds_of_requests_under_way(_: Target) -> str:
    """Each holds memory and a place before the model server."""
    key = new_key()
    with _gateway(key, {"LIMIT_KEY_REQUESTS_BURST": "10000"}) as url:
        statuses = run_async(_all_at_once(url, key, 100))
    return "" if statuses.count(429) >= 40 else f"{statuses.count(200)} were under way at once"


@attack
def one_workload_takes_the_intake_for_itself(_: Target) -> str:
    """Bodies in a loop about one workload, with another in some of them to make that one pay as well."""
    burst = {"LIMIT_WORKLOAD_REQUESTS_PER_SECOND": "1", "LIMIT_WORKLOAD_REQUESTS_BURST": str(REQUESTS_BURST)}
    with tempfile.TemporaryDirectory(prefix="limits-") as name:
        folder, state = Path(name), [added(NOISY), added(QUIET)]
        with embedded_clickhouse(folder) as url, installed(url, folder, state, burst) as intake:
            statuses = [_logged(intake, NOISY) for _ in range(REQUESTS_BURST + 30)]
            statuses += [_logged(intake, QUIET, NOISY) for _ in range(REQUESTS_BURST + 30)]
            quiet = _logged(intake, QUIET)
    if statuses.count(429) < 40:
        return f"{statuses.count(202)} of {len(statuses)} bodies in a row were taken"
    return "" if quiet == 202 else f"another workload's is answered {quiet}"


def _logged(intake: Installation, *workloads: str) -> int:
    said = {"input": "Where is my money?", "answer": "refund", "confidence": 0.9, "adapter": "x"}
    return intake.post([said | {"workload": one} for one in workloads]).status_code


async def _waits(url: str) -> float:
    """How long one request about the quiet workload takes beside many about the noisy one."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        noise = [asyncio.create_task(_asks(session, url, NOISY, {})) for _ in range(AT_ONCE)]
        await asyncio.sleep(1.0)
        began = time.monotonic()
        status = await _asks(session, url, QUIET, {})
        waited = time.monotonic() - began
        for one in noise:
            one.cancel()
        await asyncio.gather(*noise, return_exceptions=True)
    if status != 200:
        raise RuntimeError(f"the quiet workload is answered {status}")
    return waited


async def _all_at_once(url: str, key: NewKey, count: int) -> list[int]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        return await asyncio.gather(*(_asks(session, url, NOISY, _by(key)) for _ in range(count)))


async def _asks(session: aiohttp.ClientSession, url: str, workload: str, headers: dict[str, str]) -> int:
    body = {"model": workload, "prompt": "Where is my money?"}
    async with session.post(f"{url}/v1/completions", json=body, headers=headers) as answer:
        await answer.read()
        return answer.status


def _models(url: str, key: NewKey) -> int:
    return asked("GET", f"{url}/v1/models", headers=_by(key)).status_code


def _by(key: NewKey) -> dict[str, str]:
    return {"Authorization": f"Bearer {key.text}"}


@contextmanager
def _gateway(key: NewKey | None, more: dict[str, str] | None = None) -> Iterator[str]:
    """A gateway's process of its own, before a model server that takes its time."""
    known = [] if key is None else [_changed(key)]
    with tempfile.TemporaryDirectory(prefix="limits-") as folder, quick_model_server(MODEL_SECONDS) as models:
        limits = LIMITS | (more or {}) if key else {}
        gateway = lone_gateway(Path(folder), models, [NOISY, QUIET], known, limits)
        gateway.start()
        try:
            gateway.await_status("/health/live", 200)
            yield gateway.url
        finally:
            gateway.kill()


def _changed(key: NewKey) -> AccessChanged:
    return AccessChanged(
        key_id=key.key_id,
        revision=1,
        principal="p-noisy",
        role=Role.APP,
        digest=key.digest,
        changed_by="host",
        changed_at=now(),
    )
