"""HTTP about runs: a training is asked for, runs are listed and cancelled, adapters are shown."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends

from services.workloads.api import decided_here, known, of_workload, publish_in_time
from services.workloads.by_beginning import only_one
from services.workloads.replies import Wish
from services.workloads.run_overview import RunOverview
from services.workloads.run_replies import (
    AdapterShown,
    CancelAccepted,
    RunState,
    TrainingAccepted,
    WantedTraining,
)
from services.workloads.settings import Settings
from services.workloads.tables_away import of_tables
from services.workloads.trainings import NotNow, Trainings
from shared.access.door import May
from shared.access.principal import Principal
from shared.access.roles import Verb
from shared.broker import Publish
from shared.events import RunCancelRequested, TrainingRequested
from shared.http_doors.json_route import JsonRoute
from shared.problems import Problem
from shared.projections import Workloads
from shared.service import Clock

Reader = Annotated[Principal, Depends(May(Verb.READ))]
Operator = Annotated[Principal, Depends(May(Verb.OPERATE))]
OVER = {"evaluated", "failed"}


@dataclass(frozen=True)
class RunParts:
    """What these routes call."""

    workloads: Workloads
    trainings: Trainings
    overview: RunOverview
    publish: Publish
    clock: Clock
    owns: Callable[[str], bool]
    settings: Settings


def run_routes(parts: RunParts) -> APIRouter:
    router = APIRouter(tags=["runs"], route_class=JsonRoute)

    @router.post("/workloads/{workload}/trainings", status_code=202)
    async def train(workload: str, wanted: WantedTraining, principal: Operator) -> TrainingAccepted:
        """Trains a candidate on a dataset version that is there; follow it as the round that is answered."""
        added = decided_here(parts.workloads, parts.owns, workload, principal)
        requested = await _accepted(parts.trainings.request(added, wanted.wanted(principal)))
        return TrainingAccepted.of(requested)

    @router.get("/runs")
    async def runs(principal: Reader, workload: str = "") -> list[RunState]:
        """All runs that one may see, or a workload's, the newest first."""
        if workload:
            known(parts.workloads, workload, principal)
        found = await of_tables(parts.overview.listed(workload))
        return [one for one in found if principal.may(Verb.READ, one.workload)]

    @router.get("/runs/{run_id}")
    async def run(run_id: str, principal: Reader) -> RunState:
        """One run, by its id or by how that begins."""
        found = await _named(parts, run_id, principal, Verb.READ)
        return await of_tables(parts.overview.with_accuracy(found))

    @router.post("/runs/{run_id}/cancel", status_code=202)
    async def cancel(run_id: str, wish: Wish, principal: Operator) -> CancelAccepted:
        """Ends a run that is not evaluated yet: it has failed, and the reason says who wanted that."""
        found = await _named(parts, run_id, principal, Verb.OPERATE)
        if found.state in OVER:
            raise Problem(
                409, "Run is over", f"Run {found.run_id} is {found.state}: nothing is left to cancel."
            )
        requested = RunCancelRequested(
            run_id=found.run_id,
            workload=found.workload,
            reason=wish.reason,
            requested_by=wish.by(principal),
            requested_at=parts.clock(),
        )
        await publish_in_time(parts.publish, parts.settings.publish_seconds, requested)
        return CancelAccepted(run_id=found.run_id, workload=found.workload)

    @router.get("/adapters")
    async def adapters(principal: Reader, workload: str = "") -> list[AdapterShown]:
        """Every adapter that one may see, or a workload's, the newest first."""
        if workload:
            known(parts.workloads, workload, principal)
        found = await of_tables(parts.overview.adapters(workload))
        return [one for one in found if principal.may(Verb.READ, one.workload)]

    @router.get("/adapters/{name}")
    async def adapter(name: str, principal: Reader) -> AdapterShown:
        """One adapter, by its name or by how that begins."""
        there = await of_tables(parts.overview.adapters(""))
        found = [one for one in there if principal.may(Verb.READ, one.workload)]
        exact = [one for one in found if one.name == name]
        return only_one(
            "adapter", "a name", name, exact or [one for one in found if one.name.startswith(name)]
        )

    return router


async def _named(parts: RunParts, beginning: str, principal: Principal, verb: Verb) -> RunState:
    there = await of_tables(parts.overview.listed("", beginning))
    return only_one("run", "an id", beginning, [one for one in there if principal.may(verb, one.workload)])


async def _accepted(request: Awaitable[TrainingRequested]) -> TrainingRequested:
    try:
        return await of_workload(request)
    except NotNow as not_now:
        same: dict[str, Any] = {"run_id": not_now.run_id} if not_now.run_id else {}
        raise Problem(409, "Nothing is trained", str(not_now), **same) from None
