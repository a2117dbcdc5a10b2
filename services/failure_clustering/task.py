"""What a clustering job is told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.events import CycleRequested, CycleStarted, FrozenFile
from shared.fields import Id, Moment, Part, WorkloadName


class Task(Part):
    cycle_id: Id
    workload: WorkloadName
    revision: int | None = None
    """Of the definition; None in tasks of version 0.1."""
    cutoff: Moment
    failures: FrozenFile
    corrections: FrozenFile

    @classmethod
    def of_cycle(cls, started: CycleStarted) -> Task:
        return cls.model_validate(started.model_dump())

    @classmethod
    def read(cls, task: Mapping[str, Any]) -> Task:
        """A task as a job's row has it. Version 0.1 put the event CycleRequested into it."""
        if "cycle" not in task:
            return cls.model_validate(task)
        cycle = CycleRequested.model_validate(task["cycle"])
        return cls(
            cycle_id=cycle.cycle_id,
            workload=cycle.workload,
            cutoff=cycle.cut,
            failures=FrozenFile(**task["failures"]),
            corrections=FrozenFile(**task["corrections"]),
        )
