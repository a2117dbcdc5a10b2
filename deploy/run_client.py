"""What the command line asks about runs and adapters, and what it reads of the answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel, TypeAdapter

from deploy.workloads_client import SAYS_WHO, Figure
from shared.service_client import ServiceClient


class Accepted(BaseModel):
    """A training that was asked for."""

    request_id: str
    run_id: str
    round_id: str


class Run(BaseModel):
    run_id: str
    workload: str
    state: str
    sentence: str
    seconds_left: float | None
    waits_since: datetime | None = None
    dataset_version: int | None
    candidate: str
    method: str
    train_rows: int
    rows_seen: int | None
    steps: int
    final_loss: float
    eval_loss: float | None
    seconds: float
    peak_memory_gb: float | None
    estimated_memory_gb: float | None
    warnings: list[str]
    reason: str
    requested_by: str
    changed_at: datetime
    accuracy: Figure | None


class Adapter(BaseModel):
    name: str
    workload: str
    state: str
    method: str
    base_model: str
    lora_r: int | None
    trained_at: datetime
    dataset_version: int | None
    train_rows: int
    rows_seen: int | None
    is_signed: bool | None
    warnings: list[str]


@dataclass(frozen=True)
class RunClient:
    """Asks the service `workloads`. Every method raises ServiceAway and ServiceRefused."""

    service: ServiceClient

    async def train(
        self, workload: str, training: dict[str, Any], dataset_version: int | None, adapters: Sequence[str],
        reason: str, key: str,
    ) -> Accepted:  # fmt: skip
        """Asked again by the same key it is the same training."""
        wish = {
            "requested_by": SAYS_WHO,
            "reason": reason,
            "training": training,
            "dataset_version": dataset_version,
            "adapters": list(adapters),
            "idempotency_key": key,
        }
        answer = await self.service.ask("POST", f"/workloads/{quote(workload, safe='')}/trainings", body=wish)
        return Accepted.model_validate(answer)

    async def runs(self, workload: str | None) -> list[Run]:
        return TypeAdapter(list[Run]).validate_python(
            await self.service.ask("GET", "/runs", query=_of(workload))
        )

    async def run(self, run_id: str) -> Run:
        return Run.model_validate(await self.service.ask("GET", f"/runs/{quote(run_id, safe='')}"))

    async def cancel(self, run_id: str, reason: str) -> str:
        """The whole id of the run that ends now."""
        wish = {"requested_by": SAYS_WHO, "reason": reason}
        answer = await self.service.ask("POST", f"/runs/{quote(run_id, safe='')}/cancel", body=wish)
        return str(answer["run_id"])

    async def adapters(self, workload: str | None) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = await self.service.ask("GET", "/adapters", query=_of(workload))
        return found

    async def adapter(self, name: str) -> dict[str, Any]:
        return dict(await self.service.ask("GET", f"/adapters/{quote(name, safe='')}"))


def _of(workload: str | None) -> list[tuple[str, str]]:
    return [("workload", workload)] if workload else []
