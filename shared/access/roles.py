"""What each role may do. Every route names the verb it wants, and this is the one table that answers."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Verb(StrEnum):
    PREDICT = "predict"
    """Ask a workload's champion."""
    LOG = "log"
    """Log predictions that were answered elsewhere."""
    FEEDBACK = "feedback"
    """Say what users thought of an answer."""
    REVIEW = "review"
    """Take items of the review queue and judge them."""
    READ = "read"
    """See what there is: pages, lists, metrics. It shows texts of production."""
    AUDIT = "audit"
    """Read the audit log: who did what, and from where; and whose the keys in it are."""
    OPERATE = "operate"
    """Add and retire workloads, start cycles and trainings, roll back, decide about dead letters."""
    KEYS = "keys"
    """Make and revoke keys."""

    @property
    def in_words(self) -> str:
        """As it stands after "may"."""
        return "make and revoke keys" if self is Verb.KEYS else self.value


class Role(StrEnum):
    APP = "app"
    REVIEWER = "reviewer"
    OPERATOR = "operator"
    AUDITOR = "auditor"


MAY: Mapping[Role, frozenset[Verb]] = {
    Role.APP: frozenset({Verb.PREDICT, Verb.LOG, Verb.FEEDBACK}),
    Role.REVIEWER: frozenset({Verb.REVIEW, Verb.READ}),
    Role.OPERATOR: frozenset(Verb),
    Role.AUDITOR: frozenset({Verb.READ, Verb.AUDIT}),
}
