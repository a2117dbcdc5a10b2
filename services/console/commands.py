"""What people ask of the service `workloads`, which decides: a cycle, a rollback, an end; and its state."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter

from services.console.audited import Audited
from services.console.cycle_status import Round
from services.console.waiting import Consumer, Waiting, waiting
from shared.service_client import ServiceClient

_round = TypeAdapter(Round | None)
_consumers = TypeAdapter(list[Consumer])
_audited = TypeAdapter(list[Audited])


@dataclass(frozen=True)
class Commands:
    """An HTTP client. Every method raises ServiceAway, and ServiceRefused, whose message says why not."""

    service: ServiceClient
    key: str = field(default="", repr=False)
    """Who asks; empty on a laptop without keys."""

    async def latest_round(self, workload: str) -> Round | None:
        """The one under way, else the last one."""
        status = await self._ask("GET", f"/workloads/{workload}/status")
        return _round.validate_python(status["round"])

    async def waiting(self, now: datetime) -> list[Waiting]:
        """What waits anywhere in the installation."""
        consumers = _consumers.validate_python(await self._ask("GET", "/consumers"))
        letters = await self._ask("GET", "/dead-letters", query=[("limit", "0")])
        return waiting(consumers, int(letters["total"]), now)

    async def audited(self, limit: int) -> list[Audited]:
        """What was done lately, the newest first."""
        return _audited.validate_python(await self._ask("GET", "/audit", query=[("limit", str(limit))]))

    async def start_cycle(self, workload: str, requested_by: str, reason: str) -> tuple[int, int]:
        """How many failures and corrections it goes by."""
        started = await self._wish(workload, "cycles", requested_by, reason)
        return int(started["failures"]), int(started["corrections"])

    async def roll_back(self, workload: str, requested_by: str, reason: str) -> None:
        await self._wish(workload, "rollback", requested_by, reason)

    async def cancel(self, run_id: str, requested_by: str, reason: str) -> None:
        """Ends a run that is not evaluated yet."""
        wish = {"requested_by": requested_by, "reason": reason}
        await self._ask("POST", f"/runs/{run_id}/cancel", body=wish)

    async def retire(self, workload: str, requested_by: str, reason: str) -> None:
        await self._wish(workload, "retire", requested_by, reason)

    async def _wish(self, workload: str, what: str, requested_by: str, reason: str) -> Any:
        wish = {"requested_by": requested_by, "reason": reason}
        return await self._ask("POST", f"/workloads/{workload}/{what}", body=wish)

    async def _ask(self, method: str, path: str, **more: Any) -> Any:
        return await self.service.ask(method, path, key=self.key, **more)
