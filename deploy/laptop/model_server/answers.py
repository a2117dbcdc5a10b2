"""What clients get: OpenAI's response bodies, with log-probabilities as vLLM writes them."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from deploy.laptop.model_server.batching import Answer, Token
from deploy.laptop.model_server.limits import Limits

Body = dict[str, Any]
_LOWEST = -9999.0
"""What vLLM writes for minus infinity, which JSON has no word for."""


@dataclass(frozen=True)
class Spelling:
    """How tokens are written: as text, or as token_id:123, which tells tokens of the same text apart."""

    text_of: Callable[[int], str]
    as_ids: bool

    def __call__(self, token: int) -> str:
        return f"token_id:{token}" if self.as_ids else self.text_of(token)


def completion(model: str, answers: Sequence[Answer], prompt_tokens: int, spelling: Spelling) -> Body:
    choices = [
        {
            "index": index,
            "text": answer.text,
            "logprobs": _completion_logprobs(answer, spelling),
            "finish_reason": answer.finish_reason,
            "stop_reason": answer.stop_reason,
        }
        for index, answer in enumerate(answers)
    ]
    return _response("cmpl", "text_completion", model, choices, answers, prompt_tokens)


def chat(model: str, answer: Answer, prompt_tokens: int, spelling: Spelling) -> Body:
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": answer.text},
        "logprobs": _chat_logprobs(answer, spelling),
        "finish_reason": answer.finish_reason,
        "stop_reason": answer.stop_reason,
    }
    return _response("chatcmpl", "chat.completion", model, [choice], [answer], prompt_tokens)


def chunks(body: Body, *, with_usage: bool) -> list[Body]:
    """The same answer for a client that asked for a stream: all in one chunk, then the usage if wanted."""
    choices = []
    for choice in body["choices"]:
        choice = dict(choice)
        if "message" in choice:
            choice["delta"] = choice.pop("message")
        choices.append(choice)
    kind = "chat.completion.chunk" if body["object"] == "chat.completion" else body["object"]
    shared = {key: body[key] for key in ("id", "created", "model")} | {"object": kind}
    stream = [shared | {"choices": choices}]
    if with_usage:
        stream.append(shared | {"choices": [], "usage": body["usage"]})
    return stream


def models(
    base: str, root: str, max_model_len: int, limits: Limits, adapters: Sequence[tuple[str, str]]
) -> Body:
    """`adapters`: name and path of each."""
    created = int(time.time())
    cards: list[Body] = [{"id": base, "root": root, "parent": None, "max_model_len": max_model_len}]
    cards[0] |= limits.card()
    cards += [{"id": name, "root": path, "parent": base, "max_model_len": None} for name, path in adapters]
    return {
        "object": "list",
        "data": [card | {"object": "model", "created": created, "owned_by": "tuneloop"} for card in cards],
    }


def _response(
    prefix: str, kind: str, model: str, choices: list[Body], answers: Sequence[Answer], prompt_tokens: int
) -> Body:
    answered = sum(len(answer.tokens) for answer in answers)
    return {
        "id": f"{prefix}-{uuid.uuid4().hex}",
        "object": kind,
        "created": int(time.time()),
        "model": model,
        "choices": choices,
        "usage": {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": answered,
            "total_tokens": prompt_tokens + answered,
        },
    }


def _completion_logprobs(answer: Answer, spelling: Spelling) -> Body | None:
    if any(token.top is None for token in answer.tokens):
        return None
    spelled = [spelling(token.id) for token in answer.tokens]
    return {
        "tokens": spelled,
        "token_logprobs": [_number(token.logprob) for token in answer.tokens],
        # The chosen token always stands in, also when it is not among the likeliest.
        "top_logprobs": [
            {
                spelling(id): _number(logprob)
                for id, logprob in ((token.id, token.logprob), *(token.top or ()))
            }
            for token in answer.tokens
        ],
        "text_offset": [sum(map(len, spelled[:index])) for index in range(len(spelled))],
    }


def _chat_logprobs(answer: Answer, spelling: Spelling) -> Body | None:
    if any(token.top is None for token in answer.tokens):
        return None
    return {"content": [_chat_token(token, spelling) for token in answer.tokens]}


def _chat_token(token: Token, spelling: Spelling) -> Body:
    return _chat_entry(token.id, token.logprob, spelling) | {
        "top_logprobs": [_chat_entry(id, logprob, spelling) for id, logprob in token.top or ()]
    }


def _chat_entry(token: int, logprob: float, spelling: Spelling) -> Body:
    text = spelling.text_of(token)
    return {"token": spelling(token), "logprob": _number(logprob), "bytes": list(text.encode())}


def _number(logprob: float) -> float:
    return max(logprob, _LOWEST)
