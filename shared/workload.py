"""A workload's definition: one task of one production app, as its TOML file says it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)

from shared.fields import MOST_ITEMS, Name, Number, Paragraph, Part, Sentence, Share, Whole, WorkloadName
from shared.training.base_model_name import why_no_name
from shared.training.section import Training as Training

WRITTEN = "written by a person"
MOST_LABELS = 2000
"""More than any model server tells the probabilities of; its own limit is asked when a workload is added."""


def _one_word(text: str) -> str:
    if any(character.isspace() or character in "<>|[]{}" for character in text):
        raise ValueError(
            f'"{text}" is no word that a model writes as one token. Write one word, without < > | [ ] {{ }}.'
        )
    return text


Word = Annotated[Name, AfterValidator(_one_word)]
"""A word that a model can write as one token; no white space, and no special token of a model."""


class Section(Part):
    """A table of the TOML file.

    An event's definition is kept for ever, so it ignores keys it does not know and reads old names. What a
    person writes is read by `written`, for which an unknown key is an error.
    """


class Review(Section):
    doubt_below: Share = 0.6
    """Answers with a lower confidence go to review."""
    audit_share: Share = 0.05
    """Share of all predictions drawn at random for review."""
    double_share: Share = 0.2
    """Share of reviewed predictions that a second reviewer sees, to measure agreement."""


class Cycle(Section):
    every_days: Annotated[int, Field(ge=1, le=365)] = 7
    corrections: Annotated[Whole, Field(ge=1)] = 500
    """A cycle starts when this many new corrections have come, or after `every_days` if there is any."""

    @model_validator(mode="before")
    @classmethod
    def _under_its_old_name(cls, given: Any) -> Any:
        """Up to version 0.1 `corrections` was called `failures`."""
        if not isinstance(given, dict) or "failures" not in given or "corrections" in given:
            return given
        return {("corrections" if name == "failures" else name): value for name, value in given.items()}


class Split(Section):
    golden: Annotated[Whole, Field(ge=10)] = 150
    held_out: Annotated[Whole, Field(ge=10)] = 300
    """Rows set apart for ever: golden rows guard what works, held-out rows measure the task.

    With fewer labelled rows than these need, each takes at most a fifth of them.
    """


class Promotion(Section):
    alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    """Chance of promoting a candidate that is no better (the e-value must reach 1 / alpha)."""
    golden_drop: Annotated[float, Field(gt=0, le=1)] = 0.05
    """A paired drop on the golden rows of this much or more is a regression."""
    max_pairs: Annotated[Whole, Field(ge=1)] = 2000
    """Shadow pairs after which a candidate without evidence is put on hold."""
    max_hours: Annotated[Number, Field(gt=0)] = 168.0


class Privacy(Section):
    entities: Annotated[tuple[Sentence, ...], Field(max_length=MOST_ITEMS)] = (
        "PERSON",
        "EMAIL_ADDRESS",
        "PHONE_NUMBER",
        "CREDIT_CARD",
        "IBAN_CODE",
        "IP_ADDRESS",
        "US_SSN",
    )
    """Presidio entity types that are replaced in every row that leaves `data_augmentation`."""
    keep: Annotated[tuple[Sentence, ...], Field(max_length=MOST_ITEMS)] = ()
    """Words that are no personal data in this workload although they look it ("Apache", "Mozilla")."""


class Workload(Section):
    """The definition. Rows of text and label come beside it."""

    name: WorkloadName
    title: Name
    base_model: Name = "SmolLM2-135M-Instruct"
    prompt: Annotated[Paragraph, StringConstraints(min_length=6)]
    """What the model reads; `{text}` stands for the input. The answer follows directly."""
    labels: Annotated[tuple[Name, ...], Field(min_length=2, max_length=MOST_LABELS)]
    words: Annotated[dict[Name, Word], Field(max_length=MOST_LABELS)] = Field(default_factory=dict)
    """Label → the word that answers for it, where the owner names one; the others are chosen."""
    language: Annotated[str, StringConstraints(pattern="^[a-z]{2}$")] = "en"
    credit: Annotated[Paragraph, StringConstraints(max_length=2000)] = ""
    """Shown wherever the rows or an adapter trained on them are shown."""
    renamed: Annotated[dict[Name, Name], Field(max_length=MOST_ITEMS)] = Field(default_factory=dict)
    """A name that a label had in an earlier revision → its name now. Kept by `workloads`, not by the TOML."""
    removed: Annotated[tuple[Name, ...], Field(max_length=MOST_ITEMS)] = ()
    """Labels of earlier revisions that no longer are any. Kept by `workloads`, not by the TOML."""
    review: Review = Review()
    cycle: Cycle = Cycle()
    split: Split = Split()
    training: Training = Training()
    promotion: Promotion = Promotion()
    privacy: Privacy = Privacy()

    @model_validator(mode="before")
    @classmethod
    def _base_model_among_training(cls, given: Any) -> Any:
        """`base_model` may stand in the training section, with what else is said about training."""
        if not isinstance(given, Mapping) or not isinstance(given.get("training"), Mapping):
            return given
        training = dict(given["training"])
        base_model = training.pop("base_model", None)
        if base_model is None:
            return given
        if given.get("base_model") not in (None, base_model):
            raise ValueError("base_model and training.base_model are one setting. Remove one.")
        return {**given, "base_model": base_model, "training": training}

    @field_validator("base_model")
    @classmethod
    def _names_one_model(cls, name: str, info: ValidationInfo) -> str:
        """Only where a person writes it: an event keeps what an earlier version took."""
        if info.context == WRITTEN and (problem := why_no_name(name)):
            raise ValueError(problem)
        return name

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        seen: set[str] = set()
        for label in self.labels:
            if label in seen:
                raise ValueError(f'label "{label}" appears twice. Remove one.')
            seen.add(label)
        if unknown := sorted(self.words.keys() - seen):
            raise ValueError(f'words names "{unknown[0]}", which is no label. Check its spelling.')
        if self.prompt.count("{text}") != 1:
            raise ValueError('prompt must hold "{text}" exactly once: that is where the input goes.')
        if self.prompt != self.prompt.rstrip(" "):
            raise ValueError("prompt must not end in a space: the answer brings its own.")
        return self

    @classmethod
    def written(cls, content: Mapping[str, Any]) -> Self:
        """A definition as a person writes it: a typo must not pass for a setting. Raises ValidationError."""
        return cls.model_validate(content, extra="forbid", context=WRITTEN)

    def present_label(self, label: str) -> str | None:
        """What a label of this or an earlier revision is called now; None if it is none any more."""
        if label in self.labels:
            return label
        return self.renamed.get(label)

    def present_name(self, label: str) -> str:
        """What to call a label of this or an earlier revision now: one that was removed keeps its name."""
        return self.present_label(label) or label

    @property
    def known_labels(self) -> frozenset[str]:
        """Its labels, and every name that one had in an earlier revision."""
        return frozenset((*self.labels, *self.renamed, *self.removed))

    def in_present_labels(self, rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Rows of any revision ({"label", …}) under their labels' names of now, without removed labels'."""
        present = ((row, self.present_label(row["label"])) for row in rows)
        return [{**row, "label": label} for row, label in present if label is not None]

    def prompt_for(self, text: str) -> str:
        before, _, after = self.prompt.partition("{text}")
        return f"{before}{text}{after}"
