"""What somebody wants trained: the definition's settings with theirs in place, and why it cannot be."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from services.workloads.complaints import BadWorkload, Complaint, unknown_setting
from shared.events import DatasetPublished, TrainingRequested
from shared.fields import FrozenAdapter
from shared.training.section import FEWEST_TO_FUSE, OF_FUSION
from shared.workload import Training, Workload

FUSION = "fusion"
REQUESTED, FAILED = "requested", "failed"
"""How a run stands that `retraining` has not heard of yet, and one that came to nothing; its other states are
its own."""
IN_PLACE_OF = {
    "method": ("use_4bit",),
    "warmup_steps": ("warmup_ratio",),
    "warmup_ratio": ("warmup_steps",),
}
"""A setting that is given → what the definition says of the same thing in another way."""

OTHER_BASE_MODEL = (
    "every training starts from the workload's base model. To use another, change base_model in the "
    "workload's definition and add that: tuneloop workload add FILE"
)


@dataclass(frozen=True)
class Twin:
    """A run that is there already, and how it stands, in words."""

    run_id: str
    stands: str


@dataclass(frozen=True)
class KnownTrainings:
    """The trainings of a workload that are there already, as far as they ask the model like a new one."""

    requests: Sequence[TrainingRequested]
    states: Mapping[str, str]
    """Run id → how it stands, of the runs that `retraining` has heard of."""
    under_way: Collection[str]
    """Runs that were asked for and are not over, heard of or not."""
    by_itself: Training | None = None
    """What the run that followed the dataset by itself was asked for; None where it asks the model
    otherwise, or there is none."""

    def state(self, run_id: str) -> str | None:
        """None for a run that failed or never was: neither keeps anybody from trying again."""
        state = self.states.get(run_id, REQUESTED if run_id in self.under_way else None)
        return None if state == FAILED else state


def overridden(training: Training, given: Mapping[str, Any]) -> Training:
    """The definition's section with what was given in its place. Raises BadWorkload with every complaint."""
    try:
        wanted = Training.model_validate(given, extra="forbid")
        given_up = {name for said, names in IN_PLACE_OF.items() if said in given for name in names}
        if wanted.method not in (None, FUSION):
            given_up.update(OF_FUSION)
        held = training.model_dump(exclude_none=True, exclude=given_up)
        return Training.model_validate(held | wanted.model_dump(exclude_unset=True))
    except ValidationError as error:
        raise BadWorkload([_complaint(row) for row in error.errors()]) from None


def fusable(
    training: Training, names: Sequence[str], known: Mapping[str, FrozenAdapter], workload: Workload
) -> list[FrozenAdapter]:
    """The adapters that a fusion is made of: those named, else the definition's. None for another method.

    Raises BadWorkload.
    """
    if training.method != FUSION:
        if names:
            problem = f'only the method "{FUSION}" takes adapters. Leave them out, or choose it.'
            raise BadWorkload([Complaint("adapters", problem)])
        return []
    names = names or training.adapters or ()
    complaints = [
        Complaint("adapters", f'“{workload.name}” has no adapter "{name}". See: tuneloop adapters list')
        for name in names
        if name not in known
    ]
    found = [known[name] for name in dict.fromkeys(names) if name in known]
    complaints += [
        Complaint(
            "adapters",
            f"{one.name} is of the base model {one.base_model}, and the workload's is {workload.base_model}. "
            "Only adapters of one base model can be fused.",
        )
        for one in found
        if one.base_model != workload.base_model
    ]
    if not complaints and len(found) < FEWEST_TO_FUSE:
        complaints = [Complaint("adapters", "a fusion is made of two adapters or more. Name them.")]
    if not complaints and training.weights is not None and len(training.weights) != len(found):
        problem = f"has {len(training.weights)} numbers for {len(found)} adapters. Give each its own."
        complaints = [Complaint("training.weights", problem)]
    if complaints:
        raise BadWorkload(complaints)
    return found


def twin_of(wanted: TrainingRequested, known: KnownTrainings) -> Twin | None:
    """A training for the very same run, which would only bring the same candidate again."""
    by_itself = DatasetPublished.run_of(wanted.dataset_id)
    if known.by_itself == wanted.training and not wanted.adapters and (state := known.state(by_itself)):
        return Twin(by_itself, state)
    for one in known.requests:
        is_same = (one.dataset_id, one.training, one.adapters) == (
            wanted.dataset_id,
            wanted.training,
            wanted.adapters,
        )
        if is_same and (state := known.state(one.run_id)):
            return Twin(one.run_id, state)
    return None


def _complaint(error: Any) -> Complaint:
    where = ".".join(["training", *(str(part) for part in error["loc"])])
    if error["type"] == "extra_forbidden" and error["loc"] == ("base_model",):
        return Complaint(where, OTHER_BASE_MODEL)
    if error["type"] == "extra_forbidden":
        return Complaint(where, unknown_setting(error["loc"][-1]))
    return Complaint(where, f"{str(error['msg']).removeprefix('Value error, ').rstrip('.')}.")
