"""Whose promotions stand: the one rule for who answers, who comes back by a rollback, and who is said to."""

from __future__ import annotations

from collections.abc import Iterable

PROMOTED, ROLLED_BACK = "promoted", "rolled back"


def standing(moves: Iterable[tuple[str, str]]) -> list[int]:
    """Which of an alias's moves are promotions that no rollback took back, the oldest first.

    `moves`: the adapter that answers from then on, and the kind, from the first to the present one. The last
    one's adapter answers now, the one before it comes back next. A move to the adapter that answers already,
    which is one to its copy, stands in place of that before it.
    """
    stands: list[int] = []
    before = None
    for number, (adapter, kind) in enumerate(moves):
        if adapter == before:
            stands[-1] = number
        elif kind == PROMOTED:
            stands.append(number)
        else:
            stands.pop()
        before = adapter
    return stands
