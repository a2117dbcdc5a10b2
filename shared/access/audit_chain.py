"""The audit log as a hash chain, one for each partition of its topic: a row's hash covers the row before it.

Whoever alters, adds or removes a row has to alter all after it, and cannot alter a hash that others have
noted. What a chain holds follows from the partition alone: stored again, a row is the same row.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any


@dataclass(frozen=True)
class Head:
    """How far a chain is."""

    number: int
    """Of its last row; 0: it has none."""
    hash: str


@dataclass(frozen=True)
class Link:
    """One row. `action` is an event in canonical JSON, `hash` in hex."""

    number: int
    action: str
    hash: str

    @property
    def head(self) -> Head:
        return Head(self.number, self.hash)


def beginning(partition: int) -> Head:
    """What the first row follows."""
    return Head(0, sha256(f"tuneloop audit log, partition {partition}".encode()).hexdigest())


def canonical(action: Mapping[str, Any]) -> str:
    """The one text of a JSON object: sorted names, no spaces, characters as they are."""
    return json.dumps(action, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def following(head: Head, actions: Iterable[str]) -> list[Link]:
    """The next rows, in this order."""
    links: list[Link] = []
    for action in actions:
        head = Head(head.number + 1, _hash(head.hash, action))
        links.append(Link(head.number, action, head.hash))
    return links


class Verification:
    """Of one partition's chain, row after row. `noted`: what is known of it from elsewhere than its table."""

    def __init__(self, partition: int, noted: Sequence[Head]) -> None:
        self._head = beginning(partition)
        self._noted = {head.number: head.hash for head in noted if head.number}
        self.rows = 0

    def breaks_at(self, link: Link) -> str:
        """Where the chain breaks, in a sentence; empty if it goes on. To be asked about each row in order."""
        expected = self._head.number + 1
        if link.number < expected:
            return f"row {link.number} stands there twice"
        if link.number > expected:
            return _gone(expected, link.number - 1)
        if _hash(self._head.hash, link.action) != link.hash:
            return f"row {link.number}, or the one before it, is not what was stored"
        if self._noted.pop(link.number, link.hash) != link.hash:
            return f"row {link.number}, or one before it, is another than the service noted"
        self._head = link.head
        self.rows += 1
        return ""

    def ends(self) -> str:
        """The same of what should have come yet."""
        if not self._noted:
            return ""
        return _gone(self._head.number + 1, max(self._noted))


def _gone(first: int, last: int) -> str:
    return f"row {first} is gone" if first == last else f"rows {first} to {last} are gone"


def _hash(previous: str, action: str) -> str:
    return sha256(f"{previous}\n{action}".encode()).hexdigest()
