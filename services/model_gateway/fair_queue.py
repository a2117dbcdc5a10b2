"""A queue that is fair: each name in turn, whatever how many wait under one."""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class FairQueue(Generic[T]):
    """Round robin among names (Nagle, RFC 970); of one name first come, first served."""

    def __init__(self) -> None:
        self._waiting: dict[str, deque[T]] = {}
        """In the order of whose turn it is."""

    def push(self, name: str, item: T) -> None:
        self._waiting.setdefault(name, deque()).append(item)

    def pop(self) -> T | None:
        """None: nothing waits."""
        if not self._waiting:
            return None
        name = next(iter(self._waiting))
        items = self._waiting.pop(name)
        item = items.popleft()
        if items:
            self._waiting[name] = items  # behind all others
        return item
