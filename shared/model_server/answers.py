"""What a model server's answers say, read from their JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any

from shared.model_server.errors import ModelServerRefused


@dataclass(frozen=True)
class Scored:
    """One prompt's answer: token id → log-probability (natural logarithm), and the prompt's length."""

    logprobs: dict[int, float]
    prompt_tokens: int


@dataclass(frozen=True)
class ServerLimits:
    """What a model server takes, by the names of vLLM's options. None: it does not say."""

    max_logprobs: int | None = None
    """Labels whose probabilities one request may ask for."""
    max_lora_rank: int | None = None
    max_loras: int | None = None
    """Adapters that are served at full speed at the same time; more are served, slower."""

    @classmethod
    def lowest(cls, several: Iterable[ServerLimits]) -> ServerLimits:
        """Of servers that are asked as one: each limit is the lowest that any of them tells."""
        told = list(several)
        return cls(
            *(
                min((n for each in told if (n := getattr(each, name)) is not None), default=None)
                for name in LIMITS
            )
        )


LIMITS = tuple(each.name for each in fields(ServerLimits))


def scored(answer: Any) -> Scored:
    with known_shape():
        top = answer["choices"][0]["logprobs"]["top_logprobs"][0]
        logprobs = {int(token.removeprefix("token_id:")): float(value) for token, value in top.items()}
        return Scored(logprobs, int(answer["usage"]["prompt_tokens"]))


def tokens(answer: Any) -> list[int]:
    with known_shape():
        return [int(token) for token in answer["tokens"]]


def names(answer: Any) -> set[str]:
    """Base model and adapters."""
    with known_shape():
        return {str(row["id"]) for row in answer["data"]}


def base_models(answer: Any) -> dict[str, int]:
    """Each base model with the length of its context in tokens."""
    with known_shape():
        return {
            str(row["id"]): int(row["max_model_len"])
            for row in answer["data"]
            if row.get("parent") is None and row.get("max_model_len") is not None
        }


def limits(answer: Any) -> ServerLimits:
    """What the cards of the base models say; vLLM's say nothing of it."""
    with known_shape():
        bases = [row for row in answer["data"] if row.get("parent") is None]
        return ServerLimits.lowest(
            ServerLimits(*(None if row.get(name) is None else int(row[name]) for name in LIMITS))
            for row in bases
        )


@contextmanager
def known_shape() -> Iterator[None]:
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise ModelServerRefused("the model server answers in a shape that is not vLLM's") from error
