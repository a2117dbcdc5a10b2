"""What the command line asks the service `workloads`, and what it reads of the answers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import aiohttp
from pydantic import BaseModel, TypeAdapter

from deploy.terminal import escaped
from shared.service_client import ServiceClient

SAYS_WHO = "command line"


class Figure(BaseModel):
    """A share with its n and its 95 % interval."""

    value: float
    n: int
    low: float
    high: float


class Listed(BaseModel):
    name: str
    title: str
    revision: int
    labels: list[str]
    is_retired: bool
    champion: str | None
    champion_since: datetime | None
    champion_lost: str | None = None  # version 0.1 did not say it
    accuracy: Figure | None
    stage: str


class Round(BaseModel):
    """Once round the loop: the first training of a revision, or a cycle."""

    round_id: str
    kind: str
    stage: str
    sentence: str
    done: float | None = None
    total: float | None = None
    seconds_left: float | None = None
    waits_since: datetime | None = None
    is_over: bool
    outcome: str | None = None
    reason: str | None = None
    version: int


class Cycle(BaseModel):
    cycle_id: str
    cutoff: datetime
    reason: str
    requested_by: str
    state: str
    outcome: str | None
    outcome_reason: str | None


class Status(Listed):
    audited: Figure | None
    agreement: Figure | None
    predictions: int
    feedback: int
    unmatched_feedback: int = 0  # version 0.2 did not say it
    corrections: int
    open_reviews: int
    last_cycle: Cycle | None
    round: Round | None


class Checked(BaseModel):
    name: str
    rows: int
    labels: int
    answers: dict[str, str] = {}  # version 0.1 did not say them
    words_to_name: dict[str, str] = {}
    repeated_texts: int
    expected_minutes: float | None
    changes: list[str]
    is_new: bool
    differs: bool
    """From the revision before."""
    trains: bool


class Added(Checked):
    revision: int
    round_id: str | None


class Started(BaseModel):
    cycle_id: str
    failures: int
    corrections: int


@dataclass(frozen=True)
class Upload:
    """A workload to be checked or added: the text of its TOML file, and its rows' file."""

    file_name: str
    definition: bytes
    rows_name: str = ""
    rows: bytes | None = None

    def form(self) -> aiohttp.FormData:
        form = aiohttp.FormData()
        form.add_field(
            "definition", self.definition, filename=self.file_name, content_type="application/toml"
        )
        if self.rows is not None:
            kind = "text/csv" if self.rows_name.endswith(".csv") else "application/jsonl"
            form.add_field("rows", self.rows, filename=self.rows_name, content_type=kind)
        return form


@dataclass(frozen=True)
class WorkloadsClient:
    """Every method raises ServiceAway and ServiceRefused."""

    service: ServiceClient

    async def check(self, upload: Upload) -> Checked:
        return Checked.model_validate(await self.service.ask("POST", "/workloads/check", form=upload.form))

    async def add(self, upload: Upload) -> Added:
        return Added.model_validate(await self.service.ask("POST", "/workloads", form=upload.form))

    async def listed(self, *, retired: bool = False) -> list[Listed]:
        query = [("retired", "true")] if retired else []
        return TypeAdapter(list[Listed]).validate_python(
            await self.service.ask("GET", "/workloads", query=query)
        )

    async def definition(self, name: str) -> dict[str, Any]:
        return dict(await self.service.ask("GET", f"/workloads/{name}"))

    async def status(self, name: str) -> Status:
        return Status.model_validate(await self.service.ask("GET", f"/workloads/{name}/status"))

    async def start_cycle(self, name: str, reason: str) -> Started:
        return Started.model_validate(await self._wish(name, "cycles", reason))

    async def roll_back(self, name: str, reason: str) -> str:
        return str((await self._wish(name, "rollback", reason))["request_id"])

    async def retire(self, name: str, reason: str) -> None:
        await self._wish(name, "retire", reason)

    async def round(self, name: str, round_id: str, *, after: int = 0, wait: int = 0) -> Round:
        """As soon as it differs from version `after`, or unchanged after `wait` seconds."""
        query = [("after", str(after)), ("wait", str(wait))]
        return Round.model_validate(
            await self.service.ask("GET", f"/workloads/{name}/rounds/{round_id}", query=query)
        )

    async def _wish(self, name: str, what: str, reason: str) -> Any:
        wish = {"requested_by": SAYS_WHO, "reason": reason}
        return await self.service.ask("POST", f"/workloads/{name}/{what}", body=wish)


def as_json(value: Any) -> str:
    """One document, whose keys stay as they are from version to version."""
    return escaped(json.dumps(value, indent=2, ensure_ascii=False))
