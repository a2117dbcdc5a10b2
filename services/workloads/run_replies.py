"""What HTTP answers about trainings that are asked for, runs and adapters."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Self

from pydantic import BaseModel, Field, JsonValue

from services.workloads.adapter_states import AdapterState
from services.workloads.published_runs import Adapter
from services.workloads.replies import Figure, Wish
from services.workloads.trainings import Wanted
from shared.access.principal import Principal
from shared.events import TrainingRequested
from shared.fields import Name
from shared.idempotency_keys import LONGEST_KEY


class WantedTraining(Wish):
    """A training on a dataset version that is there; every setting may be left out."""

    training: dict[str, JsonValue] = Field(
        default_factory=dict,
        description="Settings by the names of the definition's section `training`, such as method.",
    )
    dataset_version: int | None = Field(None, ge=1, le=2**31, description="The newest if it is left out.")
    adapters: list[Name] = Field(
        default_factory=list, max_length=100, description="Those that a fusion is made of."
    )
    idempotency_key: str | None = Field(
        None, min_length=1, max_length=LONGEST_KEY, description="Asked again by it, it is the same training."
    )

    def wanted(self, principal: Principal) -> Wanted:
        return Wanted(
            self.training,
            self.dataset_version,
            tuple(self.adapters),
            self.by(principal),
            self.reason,
            self.idempotency_key,
        )


class TrainingAccepted(BaseModel):
    request_id: str
    run_id: str
    round_id: str
    dataset_id: str
    training: dict[str, Any]
    """The definition's settings with those asked for. What stands nowhere is decided when it starts."""

    @classmethod
    def of(cls, requested: TrainingRequested) -> Self:
        return cls(
            request_id=requested.request_id,
            run_id=requested.run_id,
            round_id=requested.request_id,
            dataset_id=requested.dataset_id,
            training=requested.training.model_dump(mode="json", exclude_none=True),
        )


class CancelAccepted(BaseModel):
    run_id: str
    workload: str


class RunState(BaseModel):
    """A run: a candidate trained and evaluated, or none."""

    run_id: str
    workload: str
    state: str
    """"requested", "training", "evaluating", "evaluated" or "failed"."""
    sentence: str
    """How its round stands: what it is busy with, what came of it, why it failed."""
    seconds_left: float | None = None
    waits_since: datetime | None = None
    """Since then it stands still, and waits; its sentence says why."""
    dataset_id: str
    dataset_version: int | None = None
    candidate: str
    method: str
    training: dict[str, Any] | None
    """As it was asked for."""
    plan: dict[str, Any] | None
    """Every setting as it ran."""
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
    accuracy: Figure | None = None
    """The candidate's, on the held-out rows."""


class AdapterShown(BaseModel):
    name: str
    workload: str
    state: AdapterState
    method: str
    base_model: str
    lora_r: int | None
    trained_at: datetime
    dataset_id: str
    dataset_version: int | None
    train_rows: int
    rows_seen: int | None
    is_signed: bool | None
    """Whether its folder holds a signature; None where the folder cannot be reached."""
    warnings: list[str]
    run_id: str
    uri: str
    digest: str
    steps: int
    final_loss: float
    eval_loss: float | None
    seconds: float
    peak_memory_gb: float | None
    estimated_memory_gb: float | None
    plan: dict[str, Any] | None

    @classmethod
    def of(cls, adapter: Adapter, state: AdapterState, version: int | None, is_signed: bool | None) -> Self:
        known = vars(adapter)
        own = {name: known[name] for name in cls.model_fields if name in known}
        frozen = adapter.frozen
        return cls(
            **own,
            state=state,
            base_model=frozen.base_model,
            lora_r=(adapter.plan or {}).get("lora_r"),
            dataset_version=version,
            is_signed=is_signed,
            uri=frozen.uri,
            digest=frozen.digest,
        )
