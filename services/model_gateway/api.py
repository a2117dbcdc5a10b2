"""OpenAI's API: an app changes its base URL and the model's name, and nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import msgspec
from fastapi import APIRouter, Request, Response

from services.model_gateway import openai_document as document
from services.model_gateway import openai_replies as replies
from services.model_gateway import refusals
from services.model_gateway.answer import Answer
from services.model_gateway.answering import Answering
from services.model_gateway.held_answers import AskedOtherwise, Repeats
from services.model_gateway.openai_limits import Unsupported
from services.model_gateway.openai_requests import (
    Asked,
    ChatRequest,
    CompletionRequest,
    EmptyText,
    TextTooLong,
)
from services.model_gateway.recording import recorded_headers
from services.model_gateway.sent_again import Sent, WrongKey
from shared.events import WorkloadAdded
from shared.problems import Problem, is_json, wrong_content_type
from shared.request_bodies import body_of, parsed

Kind = type[ChatRequest] | type[CompletionRequest]
Whole = Callable[[Answer, Asked], dict[str, Any]]
Chunks = Callable[[Answer, Asked], list[dict[str, Any]]]


def routes(answering: Answering, repeats: Repeats, body_most_bytes: int) -> APIRouter:
    router = APIRouter(tags=["answers"])
    metrics, alias = answering.metrics, answering.alias

    async def answered(request: Request, kind: Kind, whole: Whole, chunks: Chunks) -> Response:
        began = time.perf_counter()
        workload, status = "unknown", 500
        try:
            sent = _sent(request)
            asked = _asked(kind, await body_of(request, body_most_bytes))
            if alias.workloads.get(asked.workload) is not None:
                workload = asked.workload
            answer = await answer_once(asked, sent)
            status = 200
        except Problem as problem:
            status = problem.status
            raise
        finally:
            metrics.requests.labels(workload, str(status)).inc()
            metrics.request_seconds.labels(workload).observe(time.perf_counter() - began)
        headers = recorded_headers(answer)
        if asked.stream:
            content = replies.server_sent(chunks(answer, asked))
            return Response(content, headers=headers, media_type="text/event-stream")
        content = msgspec.json.encode(whole(answer, asked))
        return Response(content, headers=headers, media_type="application/json")

    async def answer_once(asked: Asked, sent: Sent) -> Answer:
        async def answer_under(prediction_id: str | None) -> Answer:
            return Answer.of(await answering.answer(asked, prediction_id))

        try:
            answer, is_repeated = await repeats.answer(asked, sent, answer_under)
        except AskedOtherwise:
            raise refusals.key_used_before() from None
        if is_repeated:
            metrics.repeats.labels(asked.workload).inc()
        return answer

    @router.post("/v1/chat/completions", response_class=Response, **document.CHAT)
    async def chat_completions(request: Request) -> Response:
        """The label of the last user message. Options that only steer free text are ignored."""
        return await answered(request, ChatRequest, replies.chat_completion, replies.chat_chunks)

    @router.post("/v1/completions", response_class=Response, **document.COMPLETIONS)
    async def completions(request: Request) -> Response:
        """The label of the prompt. Options that only steer free text are ignored."""
        return await answered(request, CompletionRequest, replies.completion, replies.completion_chunks)

    @router.get("/v1/models", response_model=document.ModelList)
    async def models() -> dict[str, Any]:
        """The workloads that are answered for."""
        listed = [one for one in alias.workloads.all() if one.name in alias.serving and not one.is_retired]
        return replies.model_list({workload.name: _since(workload) for workload in listed})

    @router.get("/v1/models/{name:path}", response_model=document.Model)
    async def model(name: str) -> dict[str, Any]:
        """One of them."""
        workload = answering.workload(name)
        if name not in alias.serving:
            raise refusals.not_listed(name)
        return replies.model(name, _since(workload))

    return router


def _sent(request: Request) -> Sent:
    if not is_json(request.headers.get("content-type", "")):
        raise wrong_content_type("application/json")
    try:
        return Sent.of(request.scope["headers"])
    except WrongKey:
        raise refusals.wrong_key() from None


def _asked(kind: Kind, body: bytes) -> Asked:
    try:
        return parsed(kind, body).asked()
    except EmptyText as error:
        raise refusals.empty_text(str(error)) from None
    except TextTooLong as error:
        raise refusals.text_too_long(str(error)) from None
    except Unsupported as error:
        raise refusals.unsupported(error.param, error.said) from None


def _since(workload: WorkloadAdded) -> int:
    return int(workload.added_at.timestamp())
