"""What has become of an adapter: who answers, who did, and what was judged of the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from shared.alias_history import PROMOTED, standing


class AdapterState(StrEnum):
    CHAMPION = "champion"
    PREVIOUS = "previous"  # a rollback brings it back
    FORMER = "former"  # a champion once, of before
    WITHDRAWN = "withdrawn"  # a champion that was rolled back
    HELD = "held"
    REJECTED = "rejected"
    FAILED = "failed"  # its run ended before it was evaluated
    CANDIDATE = "candidate"


@dataclass(frozen=True)
class Alias:
    """One change of who answers: "promoted" or "rolled back" to `adapter`."""

    adapter: str
    kind: str


JUDGED = {"HOLD": AdapterState.HELD, "REJECT": AdapterState.REJECTED}


def adapter_state(
    name: str, run_id: str, aliases: Sequence[Alias], verdicts: Mapping[str, str], failed_runs: frozenset[str]
) -> AdapterState:
    """`aliases` from the first to the present one; `verdicts` by run."""
    present = aliases[-1] if aliases else None
    if present and present.adapter == name:
        return AdapterState.CHAMPION
    stands = standing((one.adapter, one.kind) for one in aliases)
    if len(stands) > 1 and aliases[stands[-2]].adapter == name:
        return AdapterState.PREVIOUS
    if (last := _last_seen(name, aliases)) is not None:
        return last
    if run_id in failed_runs:
        return AdapterState.FAILED
    return JUDGED.get(verdicts.get(run_id, ""), AdapterState.CANDIDATE)


def _last_seen(name: str, aliases: Sequence[Alias]) -> AdapterState | None:
    """How it went the last time it was champion; None if it never was."""
    for before, after in reversed(list(pairwise(aliases))):
        if before.adapter == name:
            return AdapterState.FORMER if after.kind == PROMOTED else AdapterState.WITHDRAWN
    return None
