"""How far a training or an evaluation is, and how long the rest will take at its pace so far."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from services.workloads.round_progress import Stage
from shared.events import TrainingProgressed
from shared.time_left import Mark, seconds_left

STAGES = {"training": Stage.TRAINING, "evaluation": Stage.EVALUATION}


@dataclass(frozen=True)
class Waits:
    """What stands still, and goes on by itself once it can: mostly for the model server, which is down or of
    another base model."""

    since: datetime
    why: str

    @property
    def sentence(self) -> str:
        return f"waits: {self.why}"


@dataclass(frozen=True)
class Progress:
    run_id: str
    stage: Stage
    done: int
    total: int
    began_at: datetime
    began_with: int
    """How much was done when its first event came."""
    at: datetime
    loss: float | None
    told_seconds_left: float | None
    """What the run itself says; None where it says nothing, as up to version 0.1."""
    waits: Waits | None
    version: int

    @classmethod
    def after(cls, before: Progress | None, event: TrainingProgressed, version: int) -> Progress:
        """The progress after an event; `before` itself if the event tells nothing newer."""
        stage = STAGES.get(event.phase, Stage.TRAINING)
        is_same = before is not None and (before.run_id, before.stage) == (event.run_id, stage)
        if before is not None and event.progressed_at <= before.at and event.run_id == before.run_id:
            return before
        began_at, began_with = event.progressed_at, event.done
        if before is not None and is_same and event.done >= before.done:
            began_at, began_with = before.began_at, before.began_with
        return cls(
            run_id=event.run_id,
            stage=stage,
            done=event.done,
            total=event.total,
            began_at=began_at,
            began_with=began_with,
            at=event.progressed_at,
            loss=event.loss,
            told_seconds_left=event.seconds_left,
            waits=Waits(event.waits_since, event.waits_for) if event.waits_since else None,
            version=version,
        )

    @property
    def seconds_left(self) -> float | None:
        """None until there is a pace, and while it stands still."""
        if self.waits is not None:
            return None
        if self.told_seconds_left is not None:
            return self.told_seconds_left
        first = Mark(self.began_with, self.began_at.timestamp())
        return seconds_left(first, Mark(self.done, self.at.timestamp()), self.total)

    @property
    def sentence(self) -> str:
        if self.waits is not None:
            return self.waits.sentence
        loss = f", loss {self.loss:.2f}" if self.loss is not None else ""
        unit = "step" if self.stage is Stage.TRAINING else "answer"
        return f"{self.stage.value}, {unit} {self.done} of {self.total}{loss}"
