"""What a model's prompts begin with alike is read once: which beginning a prompt has, which is worth keeping.

As vLLM's automatic prefix caching, which keeps blocks of 16 tokens; here it is whole beginnings, for a
workload's prompts differ by their text alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

LEAST, MOST = 16, 512
"""Tokens of a beginning: fewer cost as much to join as to read; of a longer one the rest is read."""
MOST_KEPT = 4
RECENT = 8

Ids = tuple[int, ...]
M = TypeVar("M")


@dataclass(frozen=True, eq=False)
class Beginning(Generic[M]):
    ids: Ids
    memory: M
    """What the model keeps of these tokens; the same whatever follows."""


class Beginnings(Generic[M]):
    """Of one model's prompts. For one thread."""

    def __init__(self) -> None:
        self._kept: list[Beginning[M]] = []
        """That used last at the end."""
        self._recent: deque[Ids] = deque(maxlen=RECENT)

    def of(self, prompt: Ids) -> Beginning[M] | None:
        """The longest kept one that the prompt begins with, and goes on after."""
        longest = self._longest(prompt[:-1])
        if longest is not None:
            self._kept.remove(longest)
            self._kept.append(longest)
        return longest

    def worth_keeping(self, prompt: Ids) -> int:
        """How many of its first tokens two of the last prompts had too; 0 where they are hardly more than are
        kept. Takes the prompt for one of the last.
        """
        shared = sorted(shared_length(prompt[:-1], recent) for recent in self._recent)
        self._recent.append(prompt)
        length = min(shared[-2], MOST) if len(shared) > 1 else 0
        return length if self._is_more(length, prompt[:-1]) else 0

    def keep(self, ids: Ids, memory: M) -> None:
        """In place of the one that was unused for longest; not what is hardly more than is kept by now."""
        if self._is_more(len(ids), ids):
            self._kept = [*self._kept, Beginning(ids, memory)][-MOST_KEPT:]

    def _longest(self, ids: Ids) -> Beginning[M] | None:
        fitting = [one for one in self._kept if one.ids == ids[: len(one.ids)]]
        return max(fitting, key=lambda one: len(one.ids), default=None)

    def _is_more(self, length: int, ids: Ids) -> bool:
        kept = self._longest(ids)
        return length >= (len(kept.ids) if kept else 0) + LEAST


def shared_length(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens both begin with."""
    least, most = 0, min(len(one), len(other))
    while least < most:
        middle = (least + most + 1) // 2
        if one[least:middle] == other[least:middle]:
            least = middle
        else:
            most = middle - 1
    return least
