"""OpenAI's API: an app changes its base URL and the model's name, and nothing else."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request, Response

from services.model_gateway import openai_replies as replies
from services.model_gateway import refusals
from services.model_gateway.answering import Answering
from services.model_gateway.openai_requests import (
    Asked,
    ChatRequest,
    CompletionRequest,
    EmptyText,
    TextTooLong,
)
from services.model_gateway.recording import recorded_headers
from shared.events import PredictionLogged
from shared.problems import Problem
from shared.request_bodies import body_of, parsed

Whole = Callable[[PredictionLogged, Asked], dict[str, Any]]
Chunks = Callable[[PredictionLogged, Asked], list[dict[str, Any]]]


def routes(answering: Answering, body_most_bytes: int) -> APIRouter:
    router = APIRouter(tags=["answers"])
    metrics, alias = answering.metrics, answering.alias

    async def answered(
        request: Request, kind: type[ChatRequest] | type[CompletionRequest], whole: Whole, chunks: Chunks
    ) -> Response:
        began = time.perf_counter()
        workload, status = "unknown", 500
        try:
            asked = _asked(kind, await body_of(request, body_most_bytes))
            if alias.workloads.get(asked.workload) is not None:
                workload = asked.workload
            prediction = await answering.answer(asked)
            status = 200
        except Problem as problem:
            status = problem.status
            raise
        finally:
            metrics.requests.labels(workload, str(status)).inc()
            metrics.request_seconds.labels(workload).observe(time.perf_counter() - began)
        headers = recorded_headers(prediction)
        if asked.stream:
            content = replies.server_sent(chunks(prediction, asked))
            return Response(content, headers=headers, media_type="text/event-stream")
        content = json.dumps(whole(prediction, asked), ensure_ascii=False).encode()
        return Response(content, headers=headers, media_type="application/json")

    @router.post("/v1/chat/completions", response_class=Response)
    async def chat_completions(request: Request) -> Response:
        return await answered(request, ChatRequest, replies.chat_completion, replies.chat_chunks)

    @router.post("/v1/completions", response_class=Response)
    async def completions(request: Request) -> Response:
        return await answered(request, CompletionRequest, replies.completion, replies.completion_chunks)

    @router.get("/v1/models")
    async def models() -> dict[str, Any]:
        return replies.model_list(
            {
                workload.name: int(workload.added_at.timestamp())
                for workload in alias.workloads.all()
                if workload.name in alias.serving and not workload.is_retired
            }
        )

    return router


def _asked(kind: type[ChatRequest] | type[CompletionRequest], body: bytes) -> Asked:
    try:
        return parsed(kind, body).asked()
    except EmptyText:
        raise refusals.empty_text() from None
    except TextTooLong:
        raise refusals.text_too_long() from None
