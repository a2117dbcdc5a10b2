"""How much one key, or one workload, may ask of a process at a time; pure but for the clock it is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from shared.access.token_bucket import TokenBucket

BUSY_SECONDS = 1.0
"""When to come again where as many as may be are under way: nobody knows when one ends."""


class What(StrEnum):
    REQUESTS = "requests"
    BYTES = "bytes"
    IN_FLIGHT = "in_flight"


@dataclass(frozen=True)
class Limit:
    """Of each: requests and bytes of bodies by the second, and how many requests may be under way."""

    requests: TokenBucket
    bytes: TokenBucket
    in_flight: int
    """0: without a limit."""


@dataclass(frozen=True)
class Exceeded:
    what: What
    seconds: float
    """When the same may be sent again."""


class _Use:
    """So far."""

    __slots__ = ("bytes_until", "in_flight", "requests_until")

    def __init__(self) -> None:
        self.requests_until = self.bytes_until = 0.0
        self.in_flight = 0


class Limits:
    """The same limit for each of many, by name. Names are to be those of keys or workloads there are."""

    def __init__(self, limit: Limit, clock: Callable[[], float]) -> None:
        """`clock`: seconds that never go back."""
        self.limit, self._clock = limit, clock
        self._uses: dict[str, _Use] = {}

    def enter(self, name: str, size: int) -> Exceeded | None:
        """Counts a request of so many bytes, which is then to `leave`; or says why it does not come in."""
        use, at = self._use(name), self._clock()
        if exceeded := self._exceeded(use, at):
            return exceeded
        self._count(use, size, at)
        return None

    def enter_all(self, sizes: Mapping[str, int]) -> tuple[str, Exceeded] | None:
        """Like `enter`, of one request that is about several, of each with so many of its bytes. Where one of
        them keeps it out, the name of that one; nothing is counted then.
        """
        at = self._clock()
        for name in sizes:
            if exceeded := self._exceeded(self._use(name), at):
                return name, exceeded
        for name, size in sizes.items():
            self._count(self._uses[name], size, at)
        return None

    def draw(self, name: str, size: int) -> None:
        """More bytes of one that has entered, which did not say how many they would be."""
        use = self._uses[name]
        use.bytes_until = self.limit.bytes.drawn(use.bytes_until, self._clock(), size)

    def leave(self, name: str) -> None:
        self._uses[name].in_flight -= 1

    def _use(self, name: str) -> _Use:
        use = self._uses.get(name)
        if use is None:
            use = self._uses[name] = _Use()
        return use

    def _exceeded(self, use: _Use, at: float) -> Exceeded | None:
        limit = self.limit
        if limit.in_flight and use.in_flight >= limit.in_flight:
            return Exceeded(What.IN_FLIGHT, BUSY_SECONDS)
        if seconds := limit.requests.wait_seconds(use.requests_until, at):
            return Exceeded(What.REQUESTS, seconds)
        if seconds := limit.bytes.wait_seconds(use.bytes_until, at):
            return Exceeded(What.BYTES, seconds)
        return None

    def _count(self, use: _Use, size: int, at: float) -> None:
        use.in_flight += 1
        use.requests_until = self.limit.requests.drawn(use.requests_until, at, 1)
        use.bytes_until = self.limit.bytes.drawn(use.bytes_until, at, size)
