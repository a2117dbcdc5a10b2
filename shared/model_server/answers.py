"""What a model server's answers say, read from their JSON."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from shared.model_server.errors import ModelServerRefused


@dataclass(frozen=True)
class Scored:
    """One prompt's answer: token id → log-probability (natural logarithm), and the prompt's length."""

    logprobs: dict[int, float]
    prompt_tokens: int


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


@contextmanager
def known_shape() -> Iterator[None]:
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise ModelServerRefused("the model server answers in a shape that is not vLLM's") from error
