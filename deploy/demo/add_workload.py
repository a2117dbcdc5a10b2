"""Adds a workload over HTTP, as anybody would: the definition and its rows as JSON."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from deploy.demo.follow_events import LoopStopped
from deploy.installation import Installation
from deploy.run_command import client_of
from services.workloads.rows import LabelledRow
from shared.service_client import ServiceRefused
from shared.workload import Workload

KEPT_BY_THE_SERVICE = {"renamed", "removed"}
PATIENCE_SECONDS, PAUSE_SECONDS = 120.0, 1.0
"""So long whatever is not ready yet is waited for: adding the same again changes nothing."""


async def add_workload(services_url: str, workload: Workload, rows: Sequence[LabelledRow]) -> dict[str, Any]:
    """The answer: its revision, and the round that trains it. Raises LoopStopped if it is refused."""
    body = {
        "definition": workload.model_dump(mode="json", exclude=KEPT_BY_THE_SERVICE),
        "rows": [row.as_json() for row in rows],
    }
    async with client_of(Installation(services_url)) as service:
        until = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                added: dict[str, Any] = await service.ask("POST", "/workloads", body=body)
                return added
            except ServiceRefused as refused:
                if not refused.is_for_now or time.monotonic() > until:
                    raise LoopStopped(f"{workload.name} is not added: {refused}") from None
            await asyncio.sleep(PAUSE_SECONDS)
