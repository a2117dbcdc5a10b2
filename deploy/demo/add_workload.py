"""Adds a workload over HTTP, as anybody would: the definition and its rows as JSON."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import aiohttp

from deploy.demo.follow_events import LoopStopped
from services.workloads.rows import LabelledRow
from shared.workload import Workload

KEPT_BY_THE_SERVICE = {"renamed", "removed"}
PATIENCE_SECONDS = 120.0


async def add_workload(services_url: str, workload: Workload, rows: Sequence[LabelledRow]) -> dict[str, Any]:
    """The answer: its revision, and the round that trains it. Raises LoopStopped if it is refused."""
    body = {
        "definition": workload.model_dump(mode="json", exclude=KEPT_BY_THE_SERVICE),
        "rows": [row.as_json() for row in rows],
    }
    async with asyncio.timeout(PATIENCE_SECONDS), aiohttp.ClientSession() as session:
        while True:
            async with session.post(f"{services_url}/workloads", json=body) as reply:
                answer: dict[str, Any] = await reply.json(content_type=None)
                if reply.status < 400:
                    return answer
                if reply.status != 503:  # which says that the service has only just started
                    raise LoopStopped(f"{workload.name} is not added: {answer.get('detail', reply.status)}")
            await asyncio.sleep(0.5)
