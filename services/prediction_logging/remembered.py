"""What came lately, in bounded memory: two generations of 64-bit hashes."""

from __future__ import annotations

from collections.abc import Mapping


class Remembered:
    """For each key the content it came with, for `seconds` at least, as long as no more than `most` come.

    Both are Python's own hashes (SipHash under a secret of this process): of a million keys the chance that
    two are taken for one is 3 in 10⁸. One costs about 160 bytes.
    """

    def __init__(self, most: int, seconds: float) -> None:
        self._most, self._seconds = most, seconds
        self._young: dict[int, int] = {}
        self._old: dict[int, int] = {}
        self._since = 0.0

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def differs(self, key: int, content: int) -> bool:
        """Whether the key came before, with other content."""
        held = self._young.get(key)
        if held is None:
            held = self._old.get(key)
        return held is not None and held != content

    def any_differs(self, contents: Mapping[int, int]) -> bool:
        """Whether one of these keys came before, with other content."""
        if self._young.keys().isdisjoint(contents) and self._old.keys().isdisjoint(contents):
            return False
        return any(self.differs(key, content) for key, content in contents.items())

    def keep_all(self, contents: Mapping[int, int], second: float) -> None:
        """`second`: of any clock that only goes forward."""
        has_room = (len(self._young) + len(contents)) * 2 <= self._most
        if has_room and second - self._since < self._seconds and self._young.keys().isdisjoint(contents):
            self._young.update(contents)
            return
        for key, content in contents.items():
            self.keep(key, content, second)

    def keep(self, key: int, content: int, second: float) -> None:
        """`second`: of any clock that only goes forward."""
        if len(self._young) * 2 >= self._most or second - self._since >= self._seconds:
            self._young, self._old, self._since = {}, self._young, second
        self._young.setdefault(key, content)
