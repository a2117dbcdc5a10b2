"""The alias's history as rows of its table: of the champion before, each has only the name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from services.shadow_deployment.champion_history import AliasRevision, Kind
from shared.events import FrozenAdapter
from shared.times import utc


def row_of(revision: AliasRevision) -> dict[str, Any]:
    return {
        "workload": revision.workload,
        "revision": revision.revision,
        "adapter": revision.champion.name,
        "uri": revision.champion.uri,
        "digest": revision.champion.digest,
        "base_model": revision.champion.base_model,
        "previous": revision.previous.name if revision.previous else "",
        "kind": revision.kind.value,
        "run_id": revision.run_id,
        "since": revision.since,
        "request_id": revision.request_id,
        "reason": revision.reason,
        "requested_by": revision.requested_by,
        "published": int(revision.is_published),
    }


def history_of(rows: Iterable[Mapping[str, Any]]) -> list[AliasRevision]:
    """Of rows by revision. Carried to a copy, an adapter keeps the one before it."""
    history: list[AliasRevision] = []
    for row in rows:
        last = history[-1] if history else None
        is_carried = last is not None and last.champion.name == row["adapter"]
        previous = None if last is None else last.previous if is_carried else last.champion
        history.append(_alias_revision(row, previous))
    return history


def _alias_revision(row: Mapping[str, Any], previous: FrozenAdapter | None) -> AliasRevision:
    champion = FrozenAdapter(
        name=row["adapter"], uri=row["uri"], digest=row["digest"], base_model=row["base_model"]
    )
    return AliasRevision(
        workload=row["workload"],
        revision=row["revision"],
        champion=champion,
        previous=previous,
        kind=Kind(row["kind"]),
        run_id=row["run_id"],
        since=utc(row["since"]),
        request_id=row["request_id"],
        reason=row["reason"],
        requested_by=row["requested_by"],
        is_published=bool(row["published"]),
    )
