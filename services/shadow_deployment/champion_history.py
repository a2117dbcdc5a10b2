"""The alias's history: who may answer next, who may come back, and whom the model server must keep."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from itertools import islice

from shared.alias_history import PROMOTED, ROLLED_BACK, standing
from shared.events import CandidateJudged, FrozenAdapter, ModelPromoted, ModelRolledBack, RollbackRequested


class Kind(StrEnum):
    PROMOTED = PROMOTED
    ROLLED_BACK = ROLLED_BACK


@dataclass(frozen=True)
class AliasRevision:
    """From revision to revision one adapter answers a workload's users."""

    workload: str
    revision: int
    champion: FrozenAdapter
    previous: FrozenAdapter | None
    kind: Kind
    run_id: str
    """The run that made the champion."""
    since: datetime
    request_id: str = ""
    reason: str = ""
    requested_by: str = ""
    is_published: bool = False

    def event(self) -> ModelPromoted | ModelRolledBack:
        if self.kind is Kind.PROMOTED:
            return ModelPromoted(
                workload=self.workload,
                revision=self.revision,
                champion=self.champion,
                previous=self.previous,
                run_id=self.run_id,
                promoted_at=self.since,
            )
        assert self.previous is not None
        return ModelRolledBack(
            workload=self.workload,
            revision=self.revision,
            champion=self.champion,
            withdrawn=self.previous.name,
            reason=self.reason,
            requested_by=self.requested_by,
            rolled_back_at=self.since,
        )


def promoted(history: Sequence[AliasRevision], judged: CandidateJudged) -> AliasRevision:
    """What a PROMOTE makes of the history, which stands by revision."""
    return AliasRevision(
        workload=judged.workload,
        revision=history[-1].revision + 1 if history else 1,
        champion=judged.candidate,
        previous=history[-1].champion if history else None,
        kind=Kind.PROMOTED,
        run_id=judged.run_id,
        since=judged.judged_at,
    )


def carried(history: Sequence[AliasRevision], copy: FrozenAdapter) -> AliasRevision | None:
    """The alias moves to a copy of the very champion that answers. None: it is there already."""
    if not history or history[-1].champion.name != copy.name or history[-1].champion == copy:
        return None
    last = history[-1]
    return replace(last, revision=last.revision + 1, champion=copy, is_published=False)


def way_back(history: Sequence[AliasRevision]) -> AliasRevision | None:
    """The revision whose champion a rollback brings back. None: there is none."""
    stands = standing((one.champion.name, one.kind) for one in history)
    return history[stands[-2]] if len(stands) > 1 else None


def rolled_back(
    history: Sequence[AliasRevision], request: RollbackRequested, since: datetime
) -> AliasRevision | None:
    """The champion before the current one, of those not withdrawn, answers again. None: there is none."""
    back = way_back(history)
    if back is None:
        return None
    return replace(
        back,
        revision=history[-1].revision + 1,
        previous=history[-1].champion,
        kind=Kind.ROLLED_BACK,
        since=since,
        request_id=request.request_id,
        reason=request.reason,
        requested_by=request.requested_by,
        is_published=False,
    )


def superfluous(
    loaded: Collection[str],
    ours: Collection[str],
    history: Sequence[AliasRevision],
    in_shadow: Collection[str],
) -> list[str]:
    """Adapters the model server no longer needs: of `ours`, all but the live one, the one before and shadows.

    The one before stays: requests under way still name it, and it may have to come back at once.
    """
    newest_first = dict.fromkeys(revision.champion.name for revision in reversed(history))
    needed = {*islice(newest_first, 2), *in_shadow}  # a champion carried to its copy stands there twice
    return sorted((set(loaded) & set(ours)) - needed)
