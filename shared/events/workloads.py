"""A workload is added: what starts a loop."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar

from pydantic import Field, model_validator

from shared.events.envelope import FOR_EVER, Event, Topic
from shared.fields import DIGEST, MOST_ITEMS, FrozenFile, Moment, Name, Sentence, Whole
from shared.training.section import said_in_an_old_event
from shared.workload import Workload


class WorkloadAdded(Event):
    """A workload's definition, its labelled rows, and the token that stands for each label.

    A higher revision replaces the definition; golden and held-out rows stay as they were first frozen.
    """

    topic: ClassVar[Topic] = Topic("workload-added-v1", key="name", partitions=1, retention=FOR_EVER)
    is_state: ClassVar[bool] = True

    revision: Whole
    definition: Workload
    answers: Annotated[dict[Name, Sentence], Field(max_length=MOST_ITEMS)]
    """Label → what the model writes for it: one token, a word of the label's or a code."""
    tokenizer_digest: Annotated[str, Field(pattern=DIGEST)] | None = None
    """The tokenizer that `answers` are single tokens of; version 0.1 did not keep it."""
    rows: FrozenFile
    """JSON Lines of {"text", "label"}; labels may go by names of earlier revisions."""
    added_at: Moment
    retired_at: Moment | None = None
    """Set: the workload rests. Nothing is asked, drawn, listed or trained; its data are kept."""
    trains_again: bool = False
    """Whether a model is to be trained although nothing differs: the last attempt came to nothing."""

    @model_validator(mode="before")
    @classmethod
    def _without_what_nobody_said(cls, given: Any) -> Any:
        """Up to version 0.1 every event wrote out its training section whole."""
        if not isinstance(given, Mapping) or not isinstance(given.get("definition"), Mapping):
            return given
        definition = dict(given["definition"])
        if not isinstance(definition.get("training"), Mapping):
            return given
        definition["training"] = said_in_an_old_event(definition["training"])
        return {**given, "definition": definition}

    @property
    def is_retired(self) -> bool:
        return self.retired_at is not None

    def trains_differently_from(self, before: WorkloadAdded) -> bool:
        """Whether this revision changes the rows or what is learnt of them, and not only, say, reviews."""
        of_training = {"language", "training", "privacy"}
        return (
            self.trains_again
            or before.rows.digest != self.rows.digest
            or self.asks_differently_from(before)
            or before.definition.model_dump(include=of_training)
            != self.definition.model_dump(include=of_training)
        )

    def asks_differently_from(self, before: WorkloadAdded) -> bool:
        """Whether the same rows and settings make another model: another base model, prompt or tokens.

        A label that only has another name still has its token, so what was learnt stays true.
        """
        of_asking = {"base_model", "prompt"}
        learnt = {self.definition.present_label(label): token for label, token in before.answers.items()}
        return learnt != self.answers or before.definition.model_dump(
            include=of_asking
        ) != self.definition.model_dump(include=of_asking)

    @property
    def name(self) -> str:
        return self.definition.name

    def cause(self) -> tuple[str, ...]:
        return (self.name, str(self.revision))

    def happened_at(self) -> datetime:
        return self.added_at
