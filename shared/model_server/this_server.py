"""One model server by itself, as whoever proves that an adapter fits it sees it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

import aiohttp

from shared.model_server.answers import ServerLimits, limits, tokens
from shared.model_server.replica import Replica


class Served(Protocol):
    """What there is to ask a server before it gets an adapter."""

    async def tokenize(self, model: str, text: str) -> list[int]:
        """The token ids of `text`, without special tokens."""

    async def limits(self) -> ServerLimits:
        """What it takes."""


Prove = Callable[[Served], Awaitable[None]]
"""Raises if the adapter is not to be loaded on this very server now."""


@dataclass(frozen=True)
class ThisServer:
    replica: Replica
    session: aiohttp.ClientSession

    async def tokenize(self, model: str, text: str) -> list[int]:
        return tokens(await self.replica.post(self.session, "/tokenize", tokenizing(model, text)))

    async def limits(self) -> ServerLimits:
        return limits(await self.replica.get(self.session, "/v1/models"))


def tokenizing(model: str, text: str) -> dict[str, object]:
    return {"model": model, "prompt": text, "add_special_tokens": False}
