"""The model server's HTTP API, as vLLM spells it: label probabilities and adapters by name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp


class ModelServerDown(Exception):
    """The model server does not answer, or answers that it cannot now. Try again."""


class UnknownModel(Exception):
    """The model server does not list this model or adapter. Load it first."""


class PromptTooLong(Exception):
    """The prompt does not fit the model's context."""


class ModelServerRefused(Exception):
    """The model server will not do this. The message is the server's own."""


@dataclass(frozen=True)
class Scored:
    """One prompt's answer: token id → log-probability (natural logarithm), and the prompt's length."""

    logprobs: dict[int, float]
    prompt_tokens: int


class ModelServer:
    """A client of one server. Safe to share between tasks of one event loop."""

    def __init__(self, url: str, *, timeout_seconds: float = 60.0) -> None:
        self._url = url.rstrip("/")
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def score(self, model: str, prompt: str, allowed: Sequence[int]) -> Scored:
        """Log-probabilities of the next token after `prompt`, for the `allowed` token ids.

        Raises ModelServerDown, UnknownModel, PromptTooLong, ModelServerRefused.
        """
        answer = await self._post(
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
        with _known_shape():
            top = answer["choices"][0]["logprobs"]["top_logprobs"][0]
            logprobs = {int(token.removeprefix("token_id:")): float(value) for token, value in top.items()}
            return Scored(logprobs, int(answer["usage"]["prompt_tokens"]))

    async def tokenize(self, model: str, text: str) -> list[int]:
        """The token ids of `text`, without special tokens."""
        answer = await self._post("/tokenize", {"model": model, "prompt": text, "add_special_tokens": False})
        with _known_shape():
            return [int(token) for token in answer["tokens"]]

    async def loaded(self) -> set[str]:
        """The names the server answers to: base model and adapters."""
        answer = await self._request("GET", "/v1/models", None)
        with _known_shape():
            return {row["id"] for row in answer["data"]}

    async def base_models(self) -> dict[str, int]:
        """The base models it serves, each with the length of its context in tokens."""
        answer = await self._request("GET", "/v1/models", None)
        with _known_shape():
            return {
                str(row["id"]): int(row["max_model_len"])
                for row in answer["data"]
                if row.get("parent") is None and row.get("max_model_len") is not None
            }

    async def load_adapter(self, name: str, folder: Path) -> None:
        """Loads an adapter from a folder that the server can read; loading it twice is fine."""
        if name not in await self.loaded():
            await self._post("/v1/load_lora_adapter", {"lora_name": name, "lora_path": str(folder)})

    async def unload_adapter(self, name: str) -> None:
        """Unloads an adapter; unloading what is not there is fine."""
        try:
            await self._post("/v1/unload_lora_adapter", {"lora_name": name})
        except UnknownModel:
            return

    async def _post(self, path: str, body: dict[str, Any]) -> Any:
        return await self._request("POST", path, body)

    async def _request(self, method: str, path: str, body: dict[str, Any] | None) -> Any:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=self._timeout, connector=aiohttp.TCPConnector(limit=0)
            )
        try:
            async with self._session.request(method, self._url + path, json=body) as answer:
                if answer.status == 200:
                    is_json = answer.content_type == "application/json"
                    with _known_shape():
                        return await answer.json() if is_json else await answer.text()
                raise _error(answer.status, await answer.text())
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ModelServerDown(f"the model server at {self._url} does not answer") from error


@contextmanager
def _known_shape() -> Iterator[None]:
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise ModelServerRefused("the model server answers in a shape that is not vLLM's") from error


def _error(status: int, text: str) -> Exception:
    if status == 404:
        return UnknownModel(text[:500])
    if status == 400 and "maximum context length" in text:
        return PromptTooLong("the text is longer than the model's context")
    if status in (429, 500, 502, 503, 504):
        return ModelServerDown(f"the model server answered {status}")
    return ModelServerRefused(f"{status}: {text[:500]}")
