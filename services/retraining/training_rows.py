"""Rows as the model reads them: prompt and answer, cut where they are too long."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.retraining.shortening import shortened
from shared.workload import Workload


@dataclass(frozen=True)
class Example:
    """What the model reads and what it should write next, tokenised apart as they are in serving."""

    prompt: str
    answer: str


@dataclass(frozen=True)
class Probe:
    """A row of the dataset, and what training made of it."""

    text: str
    label: str
    example: Example


def probes(rows: Sequence[Mapping[str, Any]], examples: Sequence[Example]) -> list[Probe]:
    """Rows ({"text", "label"}) with the examples made of them, in their order."""
    return [Probe(row["text"], row["label"], example) for row, example in zip(rows, examples, strict=True)]


@dataclass(frozen=True)
class TrainingRows:
    """One workload's rows, each answered by the token of its label. `count` gives texts' tokens."""

    workload: Workload
    answers: Mapping[str, str]
    count: Callable[[Sequence[str]], list[int]]

    def longest(self, rows: Sequence[Mapping[str, Any]]) -> int:
        """Tokens of the longest row, with its prompt and answer."""
        prompts = [self.workload.prompt_for(row["text"]) for row in rows]
        return max(self.count(prompts)) + max(self.count(list(self.answers.values())))

    def examples(self, rows: Sequence[Mapping[str, Any]], max_length: int) -> tuple[list[Example], int]:
        """The rows, and how many of them lost their middle to fit. Raises PromptTooLong."""
        room = max_length - max(self.count(list(self.answers.values())))

        def fits(text: str) -> bool:
            return self.count([self.workload.prompt_for(text)])[0] <= room

        lengths = self.count([self.workload.prompt_for(row["text"]) for row in rows])
        examples, cut = [], 0
        for row, length in zip(rows, lengths, strict=True):
            text: str | None = row["text"]
            if length > room:
                text, cut = shortened(row["text"], fits), cut + 1
            if text is None:
                raise PromptTooLong(
                    f"the prompt without any text takes more than the {room} tokens that max_length leaves "
                    "it. Shorten the prompt, or raise training.max_length."
                )
            examples.append(Example(self.workload.prompt_for(text), self.answers[row["label"]]))
        return examples, cut


class PromptTooLong(Exception):
    """No text fits between a prompt's beginning and end."""
