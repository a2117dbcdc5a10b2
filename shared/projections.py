"""What state events add up to: the workloads there are, and which adapter answers for each."""

from __future__ import annotations

from dataclasses import dataclass, field

from shared.events import ModelPromoted, ModelRolledBack, WorkloadAdded
from shared.fields import FrozenAdapter


@dataclass
class Champions:
    """The champion alias, workload by workload, whatever order the events arrive in."""

    _held: dict[str, ModelPromoted | ModelRolledBack] = field(default_factory=dict)

    def apply(self, event: ModelPromoted | ModelRolledBack) -> bool:
        """True if the event changes who answers."""
        held = self._held.get(event.workload)
        if held is not None and held.revision >= event.revision:
            return False
        self._held[event.workload] = event
        return True

    def of(self, workload: str) -> FrozenAdapter | None:
        held = self._held.get(workload)
        return held.champion if held else None

    def all(self) -> list[ModelPromoted | ModelRolledBack]:
        return list(self._held.values())


@dataclass
class Workloads:
    """The workloads as they are defined now: of each name, the highest revision holds."""

    _held: dict[str, WorkloadAdded] = field(default_factory=dict)

    def apply(self, event: WorkloadAdded) -> bool:
        """True if the event adds or changes a workload."""
        held = self._held.get(event.name)
        if held is not None and held.revision >= event.revision:
            return False
        self._held[event.name] = event
        return True

    def get(self, name: str) -> WorkloadAdded | None:
        return self._held.get(name)

    def known(self, name: str) -> WorkloadAdded:
        """Of a workload that is known, as the consumer sees to for every event that a handler is given."""
        return self._held[name]

    def all(self) -> list[WorkloadAdded]:
        return list(self._held.values())
