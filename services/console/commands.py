"""What people ask of the service `workloads`, which decides: a cycle, a rollback, an end; and its state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from services.console.cycle_status import Round
from shared.service_client import ServiceClient

_round = TypeAdapter(Round | None)


@dataclass(frozen=True)
class Commands:
    """An HTTP client. Every method raises ServiceAway, and ServiceRefused, whose message says why not."""

    service: ServiceClient

    async def latest_round(self, workload: str) -> Round | None:
        """The one under way, else the last one."""
        status = await self.service.ask("GET", f"/workloads/{workload}/status")
        return _round.validate_python(status["round"])

    async def start_cycle(self, workload: str, requested_by: str, reason: str) -> tuple[int, int]:
        """How many failures and corrections it goes by."""
        started = await self._wish(workload, "cycles", requested_by, reason)
        return int(started["failures"]), int(started["corrections"])

    async def roll_back(self, workload: str, requested_by: str, reason: str) -> None:
        await self._wish(workload, "rollback", requested_by, reason)

    async def retire(self, workload: str, requested_by: str, reason: str) -> None:
        await self._wish(workload, "retire", requested_by, reason)

    async def _wish(self, workload: str, what: str, requested_by: str, reason: str) -> Any:
        wish = {"requested_by": requested_by, "reason": reason}
        return await self.service.ask("POST", f"/workloads/{workload}/{what}", body=wish)
