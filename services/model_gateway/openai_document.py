"""What the OpenAPI document says of the routes that read and write OpenAI's shapes themselves."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel


class Model(BaseModel):
    """A workload that is answered for."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class ModelList(BaseModel):
    object: Literal["list"]
    data: list[Model]


class Usage(BaseModel):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class _Reply(BaseModel):
    id: str
    """`chatcmpl-` or `cmpl-` and the prediction's id; feedback takes either."""
    created: int
    model: str
    """The adapter that answered."""
    usage: Usage


class TopLogprob(BaseModel):
    token: str
    logprob: float
    bytes: list[int]


class TokenLogprob(TopLogprob):
    top_logprobs: list[TopLogprob]


class ChatLogprobs(BaseModel):
    content: list[TokenLogprob]
    refusal: None


class ChatMessage(BaseModel):
    role: Literal["assistant"]
    content: str
    """One of the workload's labels."""
    refusal: None


class ChatChoice(BaseModel):
    index: int
    message: ChatMessage
    logprobs: ChatLogprobs | None
    finish_reason: Literal["stop"]


class ChatCompletion(_Reply):
    object: Literal["chat.completion"]
    choices: list[ChatChoice]


class CompletionLogprobs(BaseModel):
    tokens: list[str]
    token_logprobs: list[float]
    top_logprobs: list[dict[str, float]]
    text_offset: list[int]


class CompletionChoice(BaseModel):
    index: int
    text: str
    """One of the workload's labels."""
    logprobs: CompletionLogprobs | None
    finish_reason: Literal["stop"]


class Completion(_Reply):
    object: Literal["text_completion"]
    choices: list[CompletionChoice]


ANSWERED: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The answer.",
        "headers": {
            "x-tuneloop-prediction-id": {
                "description": "Names the prediction for feedback. Missing if it is not on record.",
                "schema": {"type": "string"},
            },
            "x-tuneloop-recorded": {
                "description": "Only if the answer is not on record: nobody can review it.",
                "schema": {"const": "no"},
            },
        },
        "content": {"text/event-stream": {"schema": {"type": "string", "description": "With `stream`."}}},
    }
}
