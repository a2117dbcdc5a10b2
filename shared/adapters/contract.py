"""An adapter's contract: how it is asked and how its answers are read, frozen with its weights.

Whoever asks an adapter asks it by this and never by the newest definition, so nothing that happens to the
definition changes what a live adapter's answers mean.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from shared.events import WorkloadAdded
from shared.fields import MOST_ITEMS, Id, Name, Paragraph, Part, Sentence, Whole, WorkloadName

CONTRACT_FILE = "contract.json"
"""In the adapter's folder, so its digest covers it."""

Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]


class ContractLabel(Part):
    label: Name
    answer: Sentence
    """What the model writes for it."""
    token: Annotated[Whole, Field(ge=0)]
    """The one token that `answer` is for the base model's tokenizer."""


class ContractRedaction(Part):
    """How the rows it was trained on were redacted."""

    entities: Annotated[tuple[Sentence, ...], Field(max_length=MOST_ITEMS)] = ()
    keep: Annotated[tuple[Sentence, ...], Field(max_length=MOST_ITEMS)] = ()


class AdapterContract(Part):
    """`format` grows when a reader of an earlier one would misread it."""

    format: Literal[1] = 1
    workload: WorkloadName
    revision: Whole
    """Of the definition it was trained by."""
    prompt: Paragraph
    labels: Annotated[tuple[ContractLabel, ...], Field(min_length=2, max_length=MOST_ITEMS)]
    """In the definition's order: of two equal probabilities the first answers."""
    base_model: Name
    base_model_digest: Digest | None = None
    tokenizer_digest: Digest | None = None
    language: str = "en"
    redaction: ContractRedaction = ContractRedaction()
    dataset_id: Id
    dataset_digest: Digest | None = None
    """Of the training rows."""
    method: Name = "lora"
    training: dict[str, Any] = Field(default_factory=dict)
    """Every setting that ran, with its value, and the steps and rows that it came to."""
    lora_r: Annotated[int, Field(ge=1)]

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        if self.prompt.count("{text}") != 1:
            raise ValueError('prompt must hold "{text}" exactly once')
        for what in ("label", "token"):
            if len({getattr(each, what) for each in self.labels}) != len(self.labels):
                raise ValueError(f"two labels have the same {what}")
        return self

    @classmethod
    def of(
        cls,
        added: WorkloadAdded,
        tokens: Mapping[str, int],
        *,
        dataset_id: str,
        lora_r: int,
        method: str = "lora",
        training: Mapping[str, Any] | None = None,
        dataset_digest: str | None = None,
        base_model_digest: str | None = None,
        tokenizer_digest: str | None = None,
    ) -> Self:
        """The contract of an adapter trained by this revision. `tokens`: label → the token of its answer."""
        definition = added.definition
        return cls(
            workload=added.name,
            revision=added.revision,
            prompt=definition.prompt,
            labels=tuple(
                ContractLabel(label=label, answer=added.answers[label], token=tokens[label])
                for label in definition.labels
            ),
            base_model=definition.base_model,
            base_model_digest=base_model_digest,
            tokenizer_digest=tokenizer_digest,
            language=definition.language,
            redaction=ContractRedaction(entities=definition.privacy.entities, keep=definition.privacy.keep),
            dataset_id=dataset_id,
            dataset_digest=dataset_digest,
            method=method,
            training=dict(training or {}),
            lora_r=lora_r,
        )

    @classmethod
    def read(cls, content: bytes) -> Self:
        """A file's content. Raises ValueError if it is no contract that this version understands."""
        return cls.model_validate_json(content)

    def written(self) -> bytes:
        """The file's content; equal contracts give the same bytes."""
        said = json.dumps(self.model_dump(mode="json"), indent=1, sort_keys=True, ensure_ascii=False)
        return f"{said}\n".encode()

    @property
    def label_names(self) -> tuple[str, ...]:
        return tuple(each.label for each in self.labels)

    @property
    def token_of(self) -> dict[str, int]:
        """Label → token, in the contract's order."""
        return {each.label: each.token for each in self.labels}

    def prompt_for(self, text: str) -> str:
        before, _, after = self.prompt.partition("{text}")
        return f"{before}{text}{after}"
