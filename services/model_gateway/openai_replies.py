"""What apps get, in OpenAI's shapes: the label is the one "token" of the answer, its probability the logprob.

Reference: OpenAI's API reference, chat completions, completions and their streams.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import msgspec

from services.model_gateway.answer import Answer
from services.model_gateway.openai_requests import Asked

IMPOSSIBLE = -9999.0  # OpenAI's value for a logprob that JSON cannot hold


def chat_completion(answer: Answer, asked: Asked) -> dict[str, Any]:
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": answer.label, "refusal": None},
        "logprobs": _chat_logprobs(answer, asked),
        "finish_reason": "stop",
    }
    return {
        **_head(answer, "chatcmpl", "chat.completion"),
        "choices": [choice],
        "usage": _usage(answer),
    }


def chat_chunks(answer: Answer, asked: Asked) -> list[dict[str, Any]]:
    """One chunk with the answer, one that ends it, and one with the usage if it was asked for."""
    delta = {"role": "assistant", "content": answer.label}
    logprobs = _chat_logprobs(answer, asked)
    return _chunks(
        answer,
        asked,
        _head(answer, "chatcmpl", "chat.completion.chunk"),
        {"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": None},
        {"index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop"},
    )


def completion(answer: Answer, asked: Asked) -> dict[str, Any]:
    choice = {
        "index": 0,
        "text": answer.label,
        "logprobs": _completion_logprobs(answer, asked),
        "finish_reason": "stop",
    }
    return {**_head(answer, "cmpl", "text_completion"), "choices": [choice], "usage": _usage(answer)}


def completion_chunks(answer: Answer, asked: Asked) -> list[dict[str, Any]]:
    logprobs = _completion_logprobs(answer, asked)
    return _chunks(
        answer,
        asked,
        _head(answer, "cmpl", "text_completion"),
        {"index": 0, "text": answer.label, "logprobs": logprobs, "finish_reason": None},
        {"index": 0, "text": "", "logprobs": None, "finish_reason": "stop"},
    )


def server_sent(chunks: list[dict[str, Any]]) -> bytes:
    """The chunks as server-sent events, ended as OpenAI ends them."""
    said = [msgspec.json.encode(chunk) for chunk in chunks]
    return b"".join(b"data: %b\n\n" % data for data in [*said, b"[DONE]"])


def model_list(created: Mapping[str, int]) -> dict[str, Any]:
    """`created`: workload → Unix time of its definition."""
    return {"object": "list", "data": [model(name, moment) for name, moment in sorted(created.items())]}


def model(name: str, created: int) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": created, "owned_by": "tuneloop"}


def _head(answer: Answer, prefix: str, kind: str) -> dict[str, Any]:
    return {
        "id": f"{prefix}-{answer.prediction_id}",
        "object": kind,
        "created": int(answer.predicted_at.timestamp()),
        "model": answer.adapter,
    }


def _chunks(
    answer: Answer, asked: Asked, head: dict[str, Any], *choices: dict[str, Any]
) -> list[dict[str, Any]]:
    chunks = [{**head, "choices": [choice]} for choice in choices]
    if asked.stream_usage:
        chunks = [{**chunk, "usage": None} for chunk in chunks]
        chunks.append({**head, "choices": [], "usage": _usage(answer)})
    return chunks


def _usage(answer: Answer) -> dict[str, int]:
    tokens = answer.tokens_in
    return {"prompt_tokens": tokens, "completion_tokens": 1, "total_tokens": tokens + 1}


def _chat_logprobs(answer: Answer, asked: Asked) -> dict[str, Any] | None:
    if asked.top_logprobs is None:
        return None
    top = [_token(label, probability) for label, probability in _likeliest(answer, asked.top_logprobs)]
    return {
        "content": [{**_token(answer.label, answer.confidence), "top_logprobs": top}],
        "refusal": None,
    }


def _completion_logprobs(answer: Answer, asked: Asked) -> dict[str, Any] | None:
    if asked.top_logprobs is None:
        return None
    likeliest = _likeliest(answer, asked.top_logprobs)
    return {
        "tokens": [answer.label],
        "token_logprobs": [_logprob(answer.confidence)],
        "top_logprobs": [{label: _logprob(probability) for label, probability in likeliest}],
        "text_offset": [0],
    }


def _token(label: str, probability: float) -> dict[str, Any]:
    return {"token": label, "logprob": _logprob(probability), "bytes": list(label.encode())}


def _likeliest(answer: Answer, n: int) -> list[tuple[str, float]]:
    return sorted(answer.probabilities.items(), key=lambda row: -row[1])[:n]


def _logprob(probability: float) -> float:
    return math.log(probability) if probability > 0 else IMPOSSIBLE
