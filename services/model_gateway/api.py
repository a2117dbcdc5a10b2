"""OpenAI's API: an app changes its base URL and the model's name, and nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache, partial
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Header, Request, Response

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
from shared.access.door import May, admitted, may, principal_of
from shared.access.limiter import RequestLimits
from shared.access.principal import Principal
from shared.access.roles import Verb
from shared.asgi_route import AsgiRoute, answered_by
from shared.events import WorkloadAdded
from shared.idempotency_keys import LONGEST_KEY
from shared.problems import Problem, is_json, wrong_content_type
from shared.request_bodies import body_of, parsed

IdempotencyKey = Annotated[
    str | None,
    Header(
        description="The same key and request again: the same answer under the same id, and one record. "
        "Each principal has keys of its own.",
        min_length=1,
        max_length=LONGEST_KEY,
        pattern="^[!-~]+$",
    ),
]

Asks = Annotated[Principal, Depends(May(Verb.PREDICT))]

Kind = type[ChatRequest] | type[CompletionRequest]
Whole = Callable[[Answer, Asked], dict[str, Any]]
Chunks = Callable[[Answer, Asked], list[dict[str, Any]]]


def answer_routes(
    answering: Answering, repeats: Repeats, limits: RequestLimits, body_most_bytes: int
) -> APIRouter:
    router = APIRouter(tags=["answers"], route_class=AsgiRoute)
    metrics, alias = answering.metrics, answering.alias
    requests, request_seconds = cache(metrics.requests.labels), cache(metrics.request_seconds.labels)

    async def answered(kind: Kind, whole: Whole, chunks: Chunks, request: Request) -> Response:
        began = time.perf_counter()
        workload, status = "unknown", 500
        try:
            sent = _sent(request)
            body = await body_of(request, body_most_bytes)
            asked = _asked(kind, body)
            principal = admitted(request, Verb.PREDICT, asked.workload)
            if alias.workloads.get(asked.workload) is not None:
                workload = asked.workload
            with limits.within_workloads({workload: len(body)}):
                answer = await answer_once(asked, sent, principal)
            status = 200
        except Problem as problem:
            status = problem.status
            raise
        finally:
            requests(workload, status).inc()
            request_seconds(workload).observe(time.perf_counter() - began)
        headers = recorded_headers(answer)
        if asked.stream:
            content = replies.server_sent(chunks(answer, asked))
            return Response(content, headers=headers, media_type="text/event-stream")
        content = msgspec.json.encode(whole(answer, asked))
        return Response(content, headers=headers, media_type="application/json")

    async def answer_once(asked: Asked, sent: Sent, principal: Principal) -> Answer:
        async def answer_under(prediction_id: str | None) -> Answer:
            return Answer.of(await answering.answer(asked, principal, prediction_id))

        try:
            answer, is_repeated = await repeats.answer(asked, sent, answer_under)
        except AskedOtherwise:
            raise refusals.key_used_before() from None
        if is_repeated:
            metrics.repeats.labels(asked.workload).inc()
        return answer

    @router.post("/v1/chat/completions", responses=document.ANSWERED)
    @answered_by(partial(answered, ChatRequest, replies.chat_completion, replies.chat_chunks), Verb.PREDICT)
    def chat_completions(
        body: ChatRequest, idempotency_key: IdempotencyKey = None
    ) -> document.ChatCompletion:
        """The label of the last user message. Options that only steer free text are ignored."""
        raise NotImplementedError

    @router.post("/v1/completions", responses=document.ANSWERED)
    @answered_by(
        partial(answered, CompletionRequest, replies.completion, replies.completion_chunks), Verb.PREDICT
    )
    def completions(body: CompletionRequest, idempotency_key: IdempotencyKey = None) -> document.Completion:
        """The label of the prompt. Options that only steer free text are ignored."""
        raise NotImplementedError

    return router


def model_routes(answering: Answering) -> APIRouter:
    router = APIRouter(tags=["answers"])
    alias = answering.alias

    @router.get("/v1/models", response_model=document.ModelList)
    async def models(principal: Asks) -> dict[str, Any]:
        """The workloads that are answered for, of those that one may ask."""
        mine = [one for one in alias.workloads.all() if principal.may(Verb.PREDICT, one.name)]
        listed = [one for one in mine if one.name in alias.serving and not one.is_retired]
        return replies.model_list({workload.name: _since(workload) for workload in listed})

    @router.get("/v1/models/{name:path}", response_model=document.Model, dependencies=[may(Verb.PREDICT)])
    async def model(name: str, request: Request) -> dict[str, Any]:
        """One of them."""
        workload = answering.workload(name, admitted(request, Verb.PREDICT, name))
        if name not in alias.serving:
            raise refusals.not_listed(name)
        return replies.model(name, _since(workload))

    return router


def _sent(request: Request) -> Sent:
    if not is_json(request.headers.get("content-type", "")):
        raise wrong_content_type("application/json")
    try:
        return Sent.of(request.scope["headers"], principal_of(request))
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
