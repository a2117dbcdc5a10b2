"""A client of the model server, or of several that serve the same models."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp

from shared.model_server.addresses import is_one_address, urls_in
from shared.model_server.answers import (
    Scored,
    ServerLimits,
    base_models,
    limits,
    names,
    scored,
    tokens,
)
from shared.model_server.fleet import Fleet
from shared.model_server.one_server import OneServer
from shared.model_server.this_server import Prove, tokenizing


class ModelServer:
    """Safe to share between tasks of one event loop.

    `urls` are one or several, separated by commas, and each may stand for several servers if its name has
    several addresses. Each base model may have servers of its own.
    """

    def __init__(self, urls: str, *, timeout_seconds: float = 60.0) -> None:
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._session: aiohttp.ClientSession | None = None
        found = urls_in(urls)
        self._servers: OneServer | Fleet = (
            OneServer(found[0], self._opened)
            if len(found) == 1 and is_one_address(found[0])
            else Fleet(found, self._opened)
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._servers.close()
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def score(self, model: str, prompt: str, allowed: Sequence[int]) -> Scored:
        """Log-probabilities of the next token after `prompt`, for the `allowed` token ids.

        Raises ModelServerDown, UnknownModel, PromptTooLong, ModelServerRefused.
        """
        return scored(
            await self._servers.ask(
                model,
                "/v1/completions",
                {
                    "model": model,
                    "prompt": prompt,
                    "max_tokens": 1,
                    "temperature": 0,
                    "logprobs": len(allowed),
                    "allowed_token_ids": list(allowed),
                    "return_tokens_as_token_ids": True,
                },
            )
        )

    async def tokenize(self, model: str, text: str) -> list[int]:
        """The token ids of `text`, without special tokens."""
        return tokens(await self._servers.ask(model, "/tokenize", tokenizing(model, text)))

    async def loaded(self) -> set[str]:
        """The names that somebody answers to: base models, and adapters that at least one server has."""
        return set().union(*(names(said) for said in await self._servers.listings()))

    async def base_models(self) -> dict[str, int]:
        """The base models, each with its context in tokens: the shortest, where several servers have it."""
        found: dict[str, int] = {}
        for said in await self._servers.listings():
            for name, context in base_models(said).items():
                found[name] = min(context, found.get(name, context))
        return found

    async def limits(self) -> ServerLimits:
        """What each of the servers takes, as far as they tell (vLLM does not). Raises ModelServerDown."""
        return ServerLimits.lowest(limits(said) for said in await self._servers.listings())

    async def load_adapter(
        self, name: str, folder: Path, base_model: str | None = None, prove: Prove | None = None
    ) -> None:
        """Loads an adapter from a folder that the servers can read; loading it twice is fine.

        Of several servers only on those that serve its base model; None: all of them do. `prove` is asked
        about each server before that gets the adapter, now and whenever it has lost it or comes anew.
        Raises AdapterNotFound, ModelServerDown, ModelServerRefused, and what `prove` raises.
        """
        await self._servers.load(name, str(folder), base_model, prove)

    async def unload_adapter(self, name: str) -> None:
        """Unloads an adapter; unloading what is not there is fine."""
        await self._servers.unload(name)

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=self._timeout, connector=aiohttp.TCPConnector(limit=0)
            )
        return self._session
