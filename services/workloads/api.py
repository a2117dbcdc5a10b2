"""HTTP for the command line, the console and scripts: workloads, their cycles, and how far a round is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from confluent_kafka import KafkaException
from fastapi import APIRouter, Depends, Query, Request

from services.workloads import replies
from services.workloads.complaints import BadWorkload
from services.workloads.cycles import Cycles
from services.workloads.may_start_cycle import Refusal
from services.workloads.openapi_document import SUBMISSION
from services.workloads.overview import Overview
from services.workloads.published_views import PublishedViews
from services.workloads.revising import Revising
from services.workloads.rounds import Rounds
from services.workloads.settings import Settings
from services.workloads.submission import Submission, read_submission
from services.workloads.tables_away import of_tables
from shared.access.door import May, admitted, may
from shared.access.principal import Principal
from shared.access.roles import Verb
from shared.broker import Publish
from shared.events import Event, RollbackRequested, WorkloadAdded, derived_id
from shared.files import FilesUnreachable
from shared.http_doors.json_route import JsonRoute
from shared.model_server import ModelServerDown, ModelServerRefused
from shared.problems import Problem, come_again, not_taken
from shared.projections import Workloads
from shared.service import Clock

T = TypeVar("T")
Reader = Annotated[Principal, Depends(May(Verb.READ))]
Operator = Annotated[Principal, Depends(May(Verb.OPERATE))]


@dataclass(frozen=True)
class Parts:
    """What the routes call."""

    workloads: Workloads
    revising: Revising
    cycles: Cycles
    rounds: Rounds
    overview: Overview
    views: PublishedViews
    publish: Publish
    clock: Clock
    owns: Callable[[str], bool]
    """Whether this process decides about a workload."""
    settings: Settings


def routes(parts: Parts) -> APIRouter:
    router = APIRouter(prefix="/workloads", tags=["workloads"], route_class=JsonRoute)

    @router.post("/check", openapi_extra=SUBMISSION, dependencies=[may(Verb.OPERATE)])
    async def check(request: Request) -> replies.Checked:
        """Checks a definition and its rows, says what they change and how long it takes. Keeps nothing."""
        submission = await of_workload(_allowed(parts, request))
        prepared = await of_workload(parts.revising.prepare(submission))
        return replies.Checked.model_validate(prepared.as_json())

    @router.post("", status_code=201, openapi_extra=SUBMISSION, dependencies=[may(Verb.OPERATE)])
    async def add(request: Request) -> replies.Added:
        """Adds a workload or a revision of it. What trains differently is trained at once."""
        submission = await of_workload(_allowed(parts, request))
        decides(parts.owns, submission.definition.workload.name)
        prepared, round_id = await of_workload(parts.revising.add(submission))
        answer = prepared.as_json() | {"revision": prepared.added.revision, "round_id": round_id}
        return replies.Added.model_validate(answer)

    @router.get("")
    async def workloads(principal: Reader, retired: bool = False) -> list[replies.WorkloadState]:
        """All workloads by name that one may see, retired ones only if they are asked for."""
        listed = sorted(parts.workloads.all(), key=lambda one: one.name)
        seen = [one for one in listed if principal.may(Verb.READ, one.name)]
        shown = [one for one in seen if retired or not one.is_retired]
        await of_tables(parts.rounds.look(*(one.name for one in shown)))
        return [await of_tables(parts.overview.state(one)) for one in shown]

    @router.get("/{workload}")
    async def definition(workload: str, principal: Reader) -> replies.Definition:
        added = known(parts.workloads, workload, principal)
        return replies.Definition(
            name=added.name,
            definition=added.definition,
            answers=added.answers,
            revision=added.revision,
            added_at=added.added_at,
            is_retired=added.is_retired,
            retired_at=added.retired_at,
        )

    @router.get("/{workload}/status")
    async def status(workload: str, principal: Reader) -> replies.Status:
        added = known(parts.workloads, workload, principal)
        await of_tables(parts.rounds.look(workload))
        return await of_tables(parts.overview.status(added))

    @router.post("/{workload}/cycles", status_code=201)
    async def start_cycle(workload: str, wish: replies.Wish, principal: Operator) -> replies.Started:
        """Starts a cycle now: its cutoff and its lists stand when this answers."""
        added = decided_here(parts.workloads, parts.owns, workload, principal)
        started = await of_tables(parts.cycles.start(added, wish.by(principal), wish.reason))
        if isinstance(started, Refusal):
            under_way: dict[str, Any] = {"cycle_id": started.cycle_id} if started.cycle_id else {}
            raise Problem(409, "No cycle starts", started.reason, **under_way)
        return replies.Started(
            cycle_id=started.cycle_id,
            cutoff=started.cutoff,
            failures=started.failures.rows,
            corrections=started.corrections.rows,
        )

    @router.get("/{workload}/rounds/{round_id}")
    async def follow(
        workload: str,
        round_id: str,
        principal: Reader,
        after: int = -1,
        wait: Annotated[float, Query(ge=0)] = 0,
    ) -> replies.RoundState:
        """How far a round is: at once if it changed since `after`, else when it does or `wait` is over."""
        known(parts.workloads, workload, principal)
        longest = min(wait, parts.settings.longest_wait_seconds)
        try:
            round_ = await of_tables(parts.rounds.follow(workload, round_id, after, longest))
        except asyncio.CancelledError:  # the server ends what is still open when the process is told to stop
            raise come_again("Stopping", "This process stops. Ask again in a moment.") from None
        if round_ is None:
            raise Problem(404, "Unknown round", f"{workload} has no such round.")
        return parts.overview.round_state(round_)

    @router.post("/{workload}/rollback", status_code=202)
    async def roll_back(workload: str, wish: replies.Wish, principal: Operator) -> replies.Requested:
        """Asks for the champion before the present one."""
        decided_here(parts.workloads, parts.owns, workload, principal)
        champion = await of_tables(parts.views.champion(workload))
        if champion is None or not champion.has_predecessor:
            raise Problem(
                409,
                "Nothing to roll back to",
                f"“{workload}” has no earlier champion that was not withdrawn.",
            )
        at = parts.clock()
        request_id = derived_id("rollback", workload, at.isoformat(), wish.by(principal))
        requested = RollbackRequested(
            request_id=request_id,
            workload=workload,
            reason=wish.reason,
            requested_by=wish.by(principal),
            requested_at=at,
        )
        await publish_in_time(parts.publish, parts.settings.publish_seconds, requested)
        return replies.Requested(request_id=request_id)

    @router.post("/{workload}/retire")
    async def retire(workload: str, wish: replies.Wish, principal: Operator) -> replies.Retired:
        """The workload rests: nothing is asked, drawn, listed or trained. Its data are kept."""
        decided_here(parts.workloads, parts.owns, workload, principal)
        resting = await of_tables(parts.revising.retire(workload))
        assert resting.retired_at is not None
        return replies.Retired(name=workload, revision=resting.revision, retired_at=resting.retired_at)

    return router


async def _allowed(parts: Parts, request: Request) -> Submission:
    settings = parts.settings
    submission = await read_submission(request, settings.body_most_bytes, settings.json_most_bytes)
    admitted(request, Verb.OPERATE, submission.definition.workload.name)
    return submission


def known(workloads: Workloads, name: str, principal: Principal) -> WorkloadAdded:
    """Raises Problem, 404, which names those that the principal may know of."""
    added = workloads.get(name)
    if added is None:
        there = [one.name for one in workloads.all() if not one.is_retired and principal.is_for(one.name)]
        known = ", ".join(sorted(there)) or "none yet"
        raise Problem(404, "Unknown workload", f"There is no workload “{name}”. Known: {known}.")
    return added


def decided_here(
    workloads: Workloads, owns: Callable[[str], bool], name: str, principal: Principal
) -> WorkloadAdded:
    """The workload, if this process decides about it. Raises Problem: 404, 503."""
    added = known(workloads, name, principal)
    decides(owns, name)
    return added


def decides(owns: Callable[[str], bool], name: str) -> None:
    """Raises Problem, 503, if another process decides about that."""
    if not owns(name):
        raise not_taken(
            "Another replica decides",
            "This process does not decide about workloads now. Try again in a moment.",
        )


async def of_workload(work: Awaitable[T]) -> T:
    """Raises Problem: 422 for a bad workload, 503 while a server is away."""
    try:
        return await of_tables(work)
    except BadWorkload as bad:
        errors = [{"where": one.where, "problem": one.problem} for one in bad.complaints]
        raise Problem(422, "Bad workload", str(bad), errors=errors) from None
    except (ModelServerDown, ModelServerRefused) as down:
        raise come_again("No answer from the model server", f"{down}. Try again in a moment.") from down
    except FilesUnreachable as away:
        raise come_again("No answer from the files", f"{away}. Try again in a moment.") from away


async def publish_in_time(publish: Publish, seconds: float, requested: Event) -> None:
    """Raises Problem, 503, if the broker does not confirm within so long."""
    try:
        async with asyncio.timeout(seconds):
            await publish(requested)
    except (TimeoutError, KafkaException) as error:
        raise come_again("Not accepted for sure", "Kafka did not confirm in time.", seconds=5) from error
