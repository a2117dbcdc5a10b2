"""How many people have to agree on a pair before it is evidence for or against a candidate."""

from __future__ import annotations


def reviews_of_a_pair(*, wants_keys: bool) -> int:
    """Two where keys are on: one key that was stolen, and one person who errs, then move no verdict.

    Without keys reviewers are who they say they are, and a second name would prove nothing.
    """
    return 2 if wants_keys else 1
