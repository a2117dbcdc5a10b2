"""Who sends too much is told when to come again: 429.

Of keys by ASGI middleware, for every service; of workloads where a request is known to be about one.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from types import TracebackType

from prometheus_client import CollectorRegistry, Counter
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.access.asked import asked_of
from shared.access.limit_settings import LimitSettings
from shared.access.limits import Exceeded, Limits, What
from shared.problems import Problem

_SAID = {
    What.REQUESTS: "sends more requests than it may",
    What.BYTES: "sends more bytes than it may",
    What.IN_FLIGHT: "has as many requests under way as it may",
}


class RequestLimits:
    """Of one process, for all its services."""

    def __init__(
        self,
        settings: LimitSettings,
        registry: CollectorRegistry,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.keys = Limits(settings.of_keys, clock)
        self.workloads = Limits(settings.of_workloads, clock)
        self._refused = Counter(
            "tuneloop_limited_requests",
            "Requests answered 429: whose limit it was, a key's or a workload's, and which",
            ("of", "name", "limit"),
            registry=registry,
        )

    def within_workloads(self, sizes: Mapping[str, int]) -> Within:
        """To be entered by a request about these: of each, so many bytes. All come in, or none.

        All workloads that are not there have one name.
        """
        return Within(self, sizes)

    def too_many(self, of: str, name: str, exceeded: Exceeded) -> Problem:
        self._refused.labels(of, name, exceeded.what.value).inc()
        seconds = math.ceil(exceeded.seconds)
        return Problem(
            429,
            "Too many requests",
            f"The {of} {name} {_SAID[exceeded.what]}. Send the same again after {seconds} s.",
            headers={"Retry-After": str(seconds)},
            code="rate_limit_exceeded",
        )


class Within:
    """A context: a request under way, of its workloads. Entering raises Problem, 429, which names one."""

    __slots__ = ("_limits", "_sizes")

    def __init__(self, limits: RequestLimits, sizes: Mapping[str, int]) -> None:
        self._limits, self._sizes = limits, sizes

    def __enter__(self) -> None:
        if found := self._limits.workloads.enter_all(self._sizes):
            workload, exceeded = found
            raise self._limits.too_many("workload", workload, exceeded)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for workload in self._sizes:
            self._limits.workloads.leave(workload)


class Limiter:
    """ASGI middleware, right behind the door. A page's websocket is one request for hours, and no matter."""

    def __init__(self, app: ASGIApp, limits: RequestLimits) -> None:
        self._app, self._limits = app, limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        principal = asked_of(scope).principal
        if principal is None or principal.is_local or scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        name, size = principal.key_id or principal.id, _announced_bytes(scope)
        keys = self._limits.keys
        if exceeded := keys.enter(name, size or 0):
            problem = self._limits.too_many("key", name, exceeded)
            await problem.response(scope["path"])(scope, receive, send)
            return
        try:
            await self._app(scope, receive if size is not None else self._counted(name, receive), send)
        finally:
            keys.leave(name)

    def _counted(self, name: str, receive: Receive) -> Receive:
        async def receiving() -> Message:
            message = await receive()
            if body := message.get("body"):
                self._limits.keys.draw(name, len(body))
            return message

        return receiving


def _announced_bytes(scope: Scope) -> int | None:
    """Of its body; None if it does not say."""
    size: int | None = 0
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value)  # the HTTP server has read it, so it is a number
        if name == b"transfer-encoding":
            size = None
    return size
