"""HTTP for the command line and scripts: how the workloads stand, start a cycle, ask for a rollback."""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import datetime
from typing import Any, TypeVar

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from services.console.commands import Commands
from services.console.cycle_status import Snapshot, Standing, current_stage
from services.console.views import TablesDoNotAnswer
from shared.events import Rate, WorkloadAdded
from shared.fields import Name
from shared.problems import Problem

T = TypeVar("T")


class Wish(BaseModel):
    """Who wants it, and why. Both are kept with what follows from it."""

    model_config = ConfigDict(extra="forbid")

    requested_by: Name
    reason: Name


class Figure(BaseModel):
    """A share with its n and its 95 % interval."""

    value: float
    n: int
    low: float
    high: float


class WorkloadStands(BaseModel):
    name: str
    title: str
    champion: str | None
    champion_since: datetime | None
    accuracy: Figure | None
    """The champion's, on the held-out rows."""
    stage: str
    """Where the latest round works: one of the loop's eight stages, "… failed", or "at rest"."""


class Status(WorkloadStands):
    audited: Figure | None
    """How often the champion was right on predictions drawn at random in production."""
    agreement: Figure | None
    predictions: int
    feedback: int
    corrections: int
    open_reviews: int
    last_cycle: dict[str, Any] | None


def routes(commands: Commands) -> APIRouter:
    router = APIRouter(prefix="/workloads", tags=["workloads"])

    @router.get("")
    async def workloads() -> list[WorkloadStands]:
        with_names = sorted(commands.workloads.all(), key=lambda one: one.name)
        return [_stands(await _snapshot(commands, one)) for one in with_names]

    @router.get("/{name}/status")
    async def status(name: str) -> Status:
        snapshot = await _snapshot(commands, _known(commands, name))
        counts = await _asked(commands.store.counts(name))
        cycle = snapshot.cycle
        return Status(
            **_stands(snapshot).model_dump(),
            audited=_figure(snapshot.audited),
            agreement=_figure(counts.agreement),
            predictions=counts.predictions,
            feedback=counts.feedback,
            corrections=counts.corrections,
            open_reviews=counts.open_review_items,
            last_cycle=vars(cycle) if cycle else None,
        )

    @router.post("/{name}/cycles", status_code=202)
    async def start_cycle(name: str, wish: Wish) -> dict[str, str]:
        _known(commands, name)
        return {"cycle_id": await commands.start_cycle(name, wish.requested_by, wish.reason)}

    @router.post("/{name}/rollback", status_code=202)
    async def roll_back(name: str, wish: Wish) -> dict[str, str]:
        _known(commands, name)
        if not commands.can_roll_back(name):
            raise Problem(
                409, "Nothing to roll back to", f"“{name}” has had no champion before the present one."
            )
        return {"request_id": await commands.roll_back(name, wish.requested_by, wish.reason)}

    return router


def _known(commands: Commands, name: str) -> WorkloadAdded:
    added = commands.workloads.get(name)
    if added is None:
        known = ", ".join(sorted(one.name for one in commands.workloads.all())) or "none yet"
        raise Problem(404, "Unknown workload", f"There is no workload “{name}”. Known: {known}.")
    return added


async def _snapshot(commands: Commands, added: WorkloadAdded) -> Snapshot:
    return await _asked(commands.snapshot(added.definition))


async def _asked(asking: Awaitable[T]) -> T:
    try:
        return await asking
    except TablesDoNotAnswer as away:
        raise Problem(
            503, "Tables away", f"{away}. Try again in a moment.", headers={"Retry-After": "2"}
        ) from away


def _stands(snapshot: Snapshot) -> WorkloadStands:
    return WorkloadStands(
        name=snapshot.definition.name,
        title=snapshot.definition.title,
        champion=snapshot.champion or None,
        champion_since=snapshot.champion_since,
        accuracy=_figure(snapshot.champion_accuracy()),
        stage=stage_in_words(snapshot),
    )


def stage_in_words(snapshot: Snapshot) -> str:
    here = current_stage(snapshot)
    if here is None:
        return "at rest"
    stage, standing = here
    return f"{stage} failed" if standing is Standing.FAILED else str(stage)


def _figure(rate: Rate | None) -> Figure | None:
    if rate is None or rate.n == 0:
        return None
    return Figure(value=rate.value, n=rate.n, low=rate.low, high=rate.high)
