"""What one model is asked in an evaluation, and what its answers mean to the workload."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from services.retraining.questions import Answer, Question, questions_digest
from shared.adapters.label_contract import LabelContract
from shared.events import FrozenAdapter
from shared.workload import Workload


@dataclass
class Asked:
    """Which questions go to which model, how, and what it answered, now or in an earlier evaluation."""

    questions: Sequence[Question]
    model: FrozenAdapter | str
    """A name is the untouched base model's."""
    asked_by: LabelContract
    answers: list[Answer] | None = None
    """Under the labels' names in what it is asked by."""
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        self.digest = questions_digest(self.questions, self.asked_by)

    @property
    def identity(self) -> str:
        return self.model if isinstance(self.model, str) else self.model.digest

    def label(self, number: int, workload: Workload) -> str | None:
        """Its answer to that question, by the label's name of now. None: the text is too long for it."""
        assert self.answers is not None
        said = self.answers[number].label
        return said and workload.present_name(said)

    def too_long(self) -> int:
        return sum(answer.label is None for answer in self.answers or ())
