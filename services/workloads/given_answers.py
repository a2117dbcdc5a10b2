"""Which tokens earlier revisions gave away: a label keeps its own, and nobody gets another's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from shared.events import WorkloadAdded
from shared.workload import Workload


@dataclass(frozen=True)
class Given:
    """What earlier revisions gave away, of one tokenizer."""

    kept: Mapping[str, str] = field(default_factory=dict)
    """Label, by its name of now → what the model writes for it. No two have the same."""
    owner_of: Mapping[str, str | None] = field(default_factory=dict)
    """Everything ever given → its label by the name of now; None if that is none any more."""

    @classmethod
    def by(cls, revisions: Iterable[WorkloadAdded], wanted: Workload, tokenizer_digest: str) -> Given:
        """`revisions` stand from the oldest to the newest.

        A revision of before digests were kept counts if it has the base model that is wanted.
        """
        kept: dict[str, str] = {}
        owner_of: dict[str, str | None] = {}
        for revision in revisions:
            same_base = revision.definition.base_model == wanted.base_model
            if revision.tokenizer_digest != tokenizer_digest and (revision.tokenizer_digest or not same_base):
                continue
            for label, answer in revision.answers.items():
                now = wanted.present_label(label)
                owner_of[answer] = now
                if now is not None:
                    kept[now] = answer
        # A name that was given up in a rename and is a label of its own again left its token to the other.
        return cls({label: one for label, one in kept.items() if owner_of[one] == label}, owner_of)


NOTHING_GIVEN = Given()
