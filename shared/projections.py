"""What state events add up to: the workloads there are, and which adapter answers for each."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from shared.events import ModelPromoted, ModelRolledBack, WorkloadAdded
from shared.fields import FrozenAdapter

T = TypeVar("T")


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
    """The workloads as they are defined now: of each name, the highest revision holds.

    Earlier revisions are kept too: a live adapter was trained by one, and an event is judged by the one it
    was made under.
    """

    _held: dict[str, WorkloadAdded] = field(default_factory=dict)
    _revisions: dict[str, dict[int, WorkloadAdded]] = field(default_factory=dict)
    _labels: dict[str, dict[int, frozenset[str]]] = field(default_factory=dict)
    _ever: dict[str, frozenset[str]] = field(default_factory=dict)

    def apply(self, event: WorkloadAdded) -> bool:
        """True if the event adds or changes a workload."""
        self._revisions.setdefault(event.name, {})[event.revision] = event
        labels = event.definition.known_labels
        self._labels.setdefault(event.name, {})[event.revision] = labels
        self._ever[event.name] = self._ever.get(event.name, frozenset()) | labels
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

    def revisions(self, name: str) -> list[WorkloadAdded]:
        """All that came so far, by their number."""
        return [event for _, event in sorted(self._revisions.get(name, {}).items())]

    def at(self, name: str, revision: int) -> WorkloadAdded | None:
        """The workload as this revision defined it; None before that has come."""
        return self._revisions.get(name, {}).get(revision)

    def labels(self, name: str, revision: int | None) -> frozenset[str]:
        """Every name that a label had up to this revision; None, or one that never came: up to now.

        A champion trained before a label was renamed or removed still answers with it, and rightly so.
        """
        return self._labels.get(name, {}).get(revision or 0) or self._ever.get(name, frozenset())

    def all(self) -> list[WorkloadAdded]:
        return list(self._held.values())

    def only(self, names: Collection[str]) -> Workloads:
        """As of now, to whom all others are unknown."""
        return Workloads(
            _only(self._held, names),
            _only(self._revisions, names),
            _only(self._labels, names),
            _only(self._ever, names),
        )


def _only(held: Mapping[str, T], names: Collection[str]) -> dict[str, T]:
    return {name: held[name] for name in names if name in held}
