"""A workload is added: what starts a loop."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from shared.events.envelope import FOR_EVER, Event, Topic
from shared.fields import FrozenFile, Moment, Name
from shared.workload import Workload


class WorkloadAdded(Event):
    """A workload's definition, its labelled rows, and the token that stands for each label.

    A higher revision replaces the definition; golden and held-out rows stay as they were first frozen.
    """

    topic: ClassVar[Topic] = Topic("workload-added-v1", key="name", partitions=1, retention=FOR_EVER)
    is_state: ClassVar[bool] = True

    revision: int
    definition: Workload
    answers: dict[Name, str]
    """Label → what the model writes for it: one token, by the label's name or by a code."""
    rows: FrozenFile
    """JSON Lines of {"text", "label"}."""
    added_at: Moment

    @property
    def name(self) -> str:
        return self.definition.name

    def cause(self) -> tuple[str, ...]:
        return (self.name, str(self.revision))

    def happened_at(self) -> datetime:
        return self.added_at
