"""What apps get, in OpenAI's shapes: the label is the one "token" of the answer, its probability the logprob.

Reference: OpenAI's API reference, chat completions, completions and their streams.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from services.model_gateway.openai_requests import Asked
from shared.events import PredictionLogged

IMPOSSIBLE = -9999.0  # OpenAI's value for a logprob that JSON cannot hold


def chat_completion(prediction: PredictionLogged, asked: Asked) -> dict[str, Any]:
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": prediction.answer, "refusal": None},
        "logprobs": _chat_logprobs(prediction, asked),
        "finish_reason": "stop",
    }
    return {
        **_head(prediction, "chatcmpl", "chat.completion"),
        "choices": [choice],
        "usage": _usage(prediction),
    }


def chat_chunks(prediction: PredictionLogged, asked: Asked) -> list[dict[str, Any]]:
    """One chunk with the answer, one that ends it, and one with the usage if it was asked for."""
    delta = {"role": "assistant", "content": prediction.answer}
    logprobs = _chat_logprobs(prediction, asked)
    return _chunks(
        prediction,
        asked,
        _head(prediction, "chatcmpl", "chat.completion.chunk"),
        {"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": None},
        {"index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop"},
    )


def completion(prediction: PredictionLogged, asked: Asked) -> dict[str, Any]:
    choice = {
        "index": 0,
        "text": prediction.answer,
        "logprobs": _completion_logprobs(prediction, asked),
        "finish_reason": "stop",
    }
    return {**_head(prediction, "cmpl", "text_completion"), "choices": [choice], "usage": _usage(prediction)}


def completion_chunks(prediction: PredictionLogged, asked: Asked) -> list[dict[str, Any]]:
    logprobs = _completion_logprobs(prediction, asked)
    return _chunks(
        prediction,
        asked,
        _head(prediction, "cmpl", "text_completion"),
        {"index": 0, "text": prediction.answer, "logprobs": logprobs, "finish_reason": None},
        {"index": 0, "text": "", "logprobs": None, "finish_reason": "stop"},
    )


def server_sent(chunks: list[dict[str, Any]]) -> bytes:
    """The chunks as server-sent events, ended as OpenAI ends them."""
    said = [json.dumps(chunk, ensure_ascii=False) for chunk in chunks]
    return "".join(f"data: {data}\n\n" for data in [*said, "[DONE]"]).encode()


def model_list(created: Mapping[str, int]) -> dict[str, Any]:
    """`created`: workload → Unix time of its definition."""
    rows = [
        {"id": name, "object": "model", "created": moment, "owned_by": "tuneloop"}
        for name, moment in sorted(created.items())
    ]
    return {"object": "list", "data": rows}


def _head(prediction: PredictionLogged, prefix: str, kind: str) -> dict[str, Any]:
    return {
        "id": f"{prefix}-{prediction.prediction_id}",
        "object": kind,
        "created": int(prediction.predicted_at.timestamp()),
        "model": prediction.adapter,
    }


def _chunks(
    prediction: PredictionLogged, asked: Asked, head: dict[str, Any], *choices: dict[str, Any]
) -> list[dict[str, Any]]:
    chunks = [{**head, "choices": [choice]} for choice in choices]
    if asked.stream_usage:
        chunks = [{**chunk, "usage": None} for chunk in chunks]
        chunks.append({**head, "choices": [], "usage": _usage(prediction)})
    return chunks


def _usage(prediction: PredictionLogged) -> dict[str, int]:
    tokens = prediction.tokens_in
    return {"prompt_tokens": tokens, "completion_tokens": 1, "total_tokens": tokens + 1}


def _chat_logprobs(prediction: PredictionLogged, asked: Asked) -> dict[str, Any] | None:
    if asked.top_logprobs is None:
        return None
    top = [_token(label, probability) for label, probability in _likeliest(prediction, asked.top_logprobs)]
    return {
        "content": [{**_token(prediction.answer, prediction.confidence), "top_logprobs": top}],
        "refusal": None,
    }


def _completion_logprobs(prediction: PredictionLogged, asked: Asked) -> dict[str, Any] | None:
    if asked.top_logprobs is None:
        return None
    likeliest = _likeliest(prediction, asked.top_logprobs)
    return {
        "tokens": [prediction.answer],
        "token_logprobs": [_logprob(prediction.confidence)],
        "top_logprobs": [{label: _logprob(probability) for label, probability in likeliest}],
        "text_offset": [0],
    }


def _token(label: str, probability: float) -> dict[str, Any]:
    return {"token": label, "logprob": _logprob(probability), "bytes": list(label.encode())}


def _likeliest(prediction: PredictionLogged, n: int) -> list[tuple[str, float]]:
    return sorted(prediction.probabilities.items(), key=lambda row: -row[1])[:n]


def _logprob(probability: float) -> float:
    return math.log(probability) if probability > 0 else IMPOSSIBLE
