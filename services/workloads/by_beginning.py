"""What somebody means who names it by the beginning of its id or name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from shared.problems import Problem

T = TypeVar("T")


def only_one(what: str, called: str, beginning: str, found: Sequence[T]) -> T:
    """The one that was found. `what` and `called` are words, such as "run" and "an id".

    Raises Problem: 404 where there is none, 409 where there are several.
    """
    if not found:
        raise Problem(404, f"Unknown {what}", f"No {what} has {called} that begins with “{beginning}”.")
    if len(found) > 1:
        raise Problem(
            409,
            f"Several {what}s",
            f"{len(found)} {what}s have {called} that begins with “{beginning}”. Type more of it, until only "
            "one is left.",
        )
    return found[0]
