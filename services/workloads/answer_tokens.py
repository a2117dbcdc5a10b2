"""One token for each label: its own name where it is one, or a code; once given it stays with its label."""

from __future__ import annotations

import string
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product

from shared.events import WorkloadAdded
from shared.workload import Workload

TokensOf = Callable[[str], Sequence[int]]
"""The tokens of a text, without special ones."""


class NoTokenLeft(Exception):
    """The tokenizer has fewer single-token codes than the workload has labels."""


@dataclass(frozen=True)
class Given:
    """What earlier revisions gave away on the same base model."""

    kept: Mapping[str, str] = field(default_factory=dict)
    """Label, by its name of now → what the model writes for it."""
    taken: frozenset[str] = frozenset()
    """Everything ever given, to removed labels too: theirs is never given again."""

    @classmethod
    def by(cls, revisions: Iterable[WorkloadAdded], wanted: Workload) -> Given:
        """`revisions` stand from the oldest to the newest."""
        kept, taken = {}, set()
        for revision in revisions:
            if revision.definition.base_model != wanted.base_model:
                continue
            for label, answer in revision.answers.items():
                taken.add(answer)
                if (now := wanted.present_label(label)) is not None:
                    kept[now] = answer
        return cls(kept, frozenset(taken))


NOTHING_GIVEN = Given()


def candidate_answers(labels: Sequence[str], given: Given = NOTHING_GIVEN) -> list[str]:
    """Everything that `answers_for` may want to see as tokens."""
    return [*(f" {label}" for label in labels), *_codes(), *sorted(given.taken)]


def answers_for(labels: Sequence[str], tokens_of: TokensOf, given: Given = NOTHING_GIVEN) -> dict[str, str]:
    """What the model writes for each label, always one token and never the same twice.

    The labels' own names are used when each is one token; otherwise all get codes (" A", " B", …), so that
    no label is easier to write than another. A label of an earlier revision keeps what it has, and a new one
    follows the others' kind where it can. Raises NoTokenLeft.
    """
    kept = {label: given.kept[label] for label in labels if label in given.kept}
    by_name = not kept or not set(kept.values()) <= set(_codes())
    names = {label: kept.get(label, f" {label}") for label in labels}
    gone = {tuple(tokens_of(answer)) for answer in given.taken - set(kept.values())}
    if by_name and _all_single_and_distinct(names.values(), tokens_of, gone):
        return names
    used = {tuple(tokens_of(answer)) for answer in kept.values()} | gone
    codes = (code for code in _codes() if len(tokens_of(code)) == 1 and tuple(tokens_of(code)) not in used)
    answers = {label: kept.get(label) or next(codes, "") for label in labels}
    if not all(answers.values()):
        available = sum(bool(answer) for answer in answers.values())
        raise NoTokenLeft(
            f"{len(labels)} labels, but this model's tokenizer has only {available} one-token codes. "
            "Use fewer labels or another base model."
        )
    return answers


def _all_single_and_distinct(answers: Iterable[str], tokens_of: TokensOf, gone: set[tuple[int, ...]]) -> bool:
    tokens = [tuple(tokens_of(answer)) for answer in answers]
    return all(len(token) == 1 for token in tokens) and len(set(tokens) | gone) == len(tokens) + len(gone)


def _codes() -> Iterator[str]:
    letters = string.ascii_uppercase + string.ascii_lowercase
    yield from (f" {letter}" for letter in letters)
    yield from (f" {a}{b}" for a, b in product(string.ascii_uppercase, repeat=2))
