"""A single model server at an address that stays: asked as it stands, with nothing to keep track of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import aiohttp

from shared.model_server.addresses import Address
from shared.model_server.replica import Replica
from shared.model_server.this_server import Prove, ThisServer


class OneServer:
    def __init__(self, url: str, session: Callable[[], aiohttp.ClientSession]) -> None:
        self._replica, self._session = Replica(Address(url)), session

    async def ask(self, _: str, path: str, body: Mapping[str, Any]) -> Any:
        return await self._replica.post(self._session(), path, body)

    async def listings(self) -> list[Any]:
        return [await self._replica.get(self._session(), "/v1/models")]

    async def load(self, name: str, path: str, _: str | None = None, prove: Prove | None = None) -> None:
        if prove is not None:
            await prove(ThisServer(self._replica, self._session()))
        if name not in await self._replica.names(self._session()):
            await self._replica.load(self._session(), name, path)

    async def unload(self, name: str) -> None:
        await self._replica.unload(self._session(), name)

    async def close(self) -> None:
        """Nothing runs beside the requests."""
