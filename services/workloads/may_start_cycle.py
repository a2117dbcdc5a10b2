"""Why a cycle may not start now: one at a time, none while a candidate is undecided, none over nothing."""

from __future__ import annotations

from dataclasses import dataclass

from services.workloads.round_progress import Kind, Round


@dataclass(frozen=True)
class Refusal:
    reason: str
    cycle_id: str | None = None
    """The cycle under way, where that is the reason."""


def why_not(under_way: Round | None, corrections: int, *, is_retired: bool) -> Refusal | None:
    """`corrections` are those that no champion has learnt from yet: since the last cycle that brought one."""
    if is_retired:
        return Refusal("The workload is retired. Add it again to bring it back.")
    if under_way is not None and under_way.kind is Kind.CYCLE:
        reason = f"Cycle {under_way.round_id} is under way: {under_way.sentence}."
        return Refusal(reason, under_way.round_id)
    if under_way is not None and under_way.kind is Kind.TRAINING:
        return Refusal(f"A training that was asked for is undecided: {under_way.sentence}.")
    if under_way is not None:
        return Refusal(f"The model of revision {under_way.revision} is undecided: {under_way.sentence}.")
    if not corrections:
        return Refusal(
            "There is nothing to learn from: no correction has come that a champion has not learnt from yet. "
            "Review some of the queue first."
        )
    return None
