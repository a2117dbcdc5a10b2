"""One model server at one address: requests to it, and what is known of it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from shared.backoff import Failures
from shared.model_server.addresses import Address
from shared.model_server.answers import known_shape, names
from shared.model_server.errors import (
    AdapterNotFound,
    ModelServerDown,
    ModelServerFailed,
    ModelServerRefused,
    UnknownModel,
    error_of,
)


@dataclass(eq=False)
class Replica:
    address: Address
    models: set[str] = field(default_factory=set)
    """What it answers to, as far as is known: only of these is it asked."""
    proved: set[str] = field(default_factory=set)
    """Adapters that it has and that were proved to fit it."""
    refused: dict[str, Exception] = field(default_factory=dict)
    """Adapters that it did not load or that do not fit it, and why."""
    failures: Failures = field(default_factory=Failures)
    """When those are due again."""
    down_until: float = 0.0
    """By the loop's clock; until then others are asked first."""
    in_flight: int = 0

    def __post_init__(self) -> None:
        self._headers = {"Host": self.address.host} if self.address.host else None
        self._server_hostname = self.address.server_name

    async def get(self, session: aiohttp.ClientSession, path: str, seconds: float | None = None) -> Any:
        limit = session.timeout if seconds is None else aiohttp.ClientTimeout(total=seconds)
        return await self._request(session, "GET", path, None, limit)

    async def post(self, session: aiohttp.ClientSession, path: str, body: Mapping[str, Any]) -> Any:
        """Raises ModelServerDown, UnknownModel, PromptTooLong, ModelServerRefused."""
        return await self._request(session, "POST", path, body, session.timeout)

    async def names(self, session: aiohttp.ClientSession, seconds: float | None = None) -> set[str]:
        """What it answers to now."""
        return names(await self.get(session, "/v1/models", seconds))

    async def load(self, session: aiohttp.ClientSession, name: str, path: str) -> None:
        """Another process may do the same. Raises AdapterNotFound, ModelServerDown, ModelServerRefused."""
        try:
            await self.post(session, "/v1/load_lora_adapter", {"lora_name": name, "lora_path": path})
        except UnknownModel as error:
            raise AdapterNotFound(self.address.url, path) from error
        except (ModelServerRefused, ModelServerFailed) as error:
            if name not in await self.names(session):
                # vLLM answers 500 to every adapter that it cannot load, one of too high a rank, say.
                said = error.said if isinstance(error, ModelServerFailed) else str(error)
                raise ModelServerRefused(said) from error
        self.models.add(name)

    async def unload(self, session: aiohttp.ClientSession, name: str) -> None:
        """Unloading what is not there is fine."""
        with suppress(UnknownModel):
            await self.post(session, "/v1/unload_lora_adapter", {"lora_name": name})
        self.models.discard(name)

    async def _request(
        self,
        session: aiohttp.ClientSession,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        limit: aiohttp.ClientTimeout,
    ) -> Any:
        try:
            async with session.request(
                method,
                self.address.url + path,
                json=body,
                timeout=limit,
                headers=self._headers,
                server_hostname=self._server_hostname,
            ) as answer:
                if answer.status == 200:
                    is_json = answer.content_type == "application/json"
                    with known_shape():
                        return await answer.json() if is_json else await answer.text()
                raise error_of(answer.status, await answer.text())
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ModelServerDown(f"the model server at {self.address.url} does not answer") from error
