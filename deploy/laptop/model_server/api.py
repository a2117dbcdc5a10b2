"""The HTTP routes, as vLLM with LoRA updating has them, so that vLLM takes this server's place by URL."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse
from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

from deploy.laptop.model_server import answers
from deploy.laptop.model_server.batching import Answer
from deploy.laptop.model_server.protocol import (
    MOST_PROMPTS,
    ChatRequest,
    CompletionRequest,
    LoadRequest,
    Refusal,
    TokenizeRequest,
    UnloadRequest,
)
from deploy.laptop.model_server.serving import Serving, answers_of
from shared.http_conventions import HttpSettings, guard
from shared.http_doors.failures import Failures
from shared.http_doors.json_route import JsonRoute
from shared.problems import Problem


class PromptRoute(JsonRoute):
    """256 prompts as long as the model reads, as texts or as tokens."""

    most_bytes = 16 << 20


class ClientGone(Exception):
    """Nobody waits for the answer any more."""


def create_app(serving: Callable[[], Serving | None], root: str) -> FastAPI:
    """`serving` gives the model once it is loaded; until then everything but /metrics is a 503.

    `root`: the base model's path as /v1/models tells it.
    """
    app = FastAPI(title="tuneloop model server", docs_url=None, redoc_url=None)
    app.router.route_class = PromptRoute
    registry = CollectorRegistry()
    finished = Counter(
        "vllm:request_success", "Requests answered.", ["model_name", "finished_reason"], registry=registry
    )
    running = Gauge("vllm:num_requests_running", "Requests being answered.", registry=registry)
    waiting = Gauge("vllm:num_requests_waiting", "Requests not begun.", registry=registry)

    def ready() -> Serving:
        if (model := serving()) is None:
            raise Refusal(503, "the model is still being loaded", "ServiceUnavailableError")
        return model

    def count(model: Serving, name: str | None, given: list[Answer]) -> None:
        for answer in given:
            finished.labels(name or model.name, answer.finish_reason).inc()

    @app.get("/health")
    async def health() -> Response:
        ready()
        return Response()

    @app.get("/v1/models")
    async def list_models() -> dict[str, Any]:
        model = ready()
        adapters = [(adapter.name, adapter.path) for adapter in model.adapters.known()]
        return answers.models(model.name, root, model.engine.max_model_len, model.limits, adapters)

    @app.post("/v1/load_lora_adapter")
    async def load_lora_adapter(body: LoadRequest) -> PlainTextResponse:
        await ready().load(body.lora_name, body.lora_path)
        return PlainTextResponse(f"Success: LoRA adapter '{body.lora_name}' added successfully.")

    @app.post("/v1/unload_lora_adapter")
    async def unload_lora_adapter(body: UnloadRequest) -> PlainTextResponse:
        ready().unload(body.lora_name)
        return PlainTextResponse(f"Success: LoRA adapter '{body.lora_name}' removed successfully.")

    @app.post("/tokenize")
    async def tokenize(body: TokenizeRequest) -> dict[str, Any]:
        model = ready()
        model.refuse_unknown(body.model)
        tokens = model.engine.encode(body.prompt, special_tokens=body.add_special_tokens)
        return {"count": len(tokens), "max_model_len": model.engine.max_model_len, "tokens": tokens}

    @app.post("/v1/completions")
    async def completions(body: CompletionRequest, request: Request) -> Response:
        model = ready()
        weights = model.weights(body.model)
        prompts = [p if isinstance(p, list) else model.engine.encode(p) for p in body.prompts()]
        if not 0 < len(prompts) <= MOST_PROMPTS:
            raise Refusal(400, f"a request may have 1 to {MOST_PROMPTS} prompts, this has {len(prompts)}")
        work = [(p, body.sampling(model.room_for(p, body.max_tokens))) for p in prompts]
        given = await _unless_gone(request, answers_of(model.submit(weights, work)))
        count(model, body.model, given)
        spelling = answers.Spelling(_text_of(model), bool(body.return_tokens_as_token_ids))
        answer = answers.completion(body.model or model.name, given, sum(map(len, prompts)), spelling)
        return _respond(answer, body)

    @app.post("/v1/chat/completions")
    async def chat_completions(body: ChatRequest, request: Request) -> Response:
        model = ready()
        weights = model.weights(body.model)
        try:
            prompt = model.engine.encode_chat([message.text() for message in body.messages])
        except ValueError as error:
            raise Refusal(400, str(error)) from error
        work = [(prompt, body.sampling(model.room_for(prompt, body.wanted_tokens())))]
        given = await _unless_gone(request, answers_of(model.submit(weights, work)))
        count(model, body.model, given)
        spelling = answers.Spelling(_text_of(model), bool(body.return_tokens_as_token_ids))
        return _respond(answers.chat(body.model or model.name, given[0], len(prompt), spelling), body)

    @app.get("/metrics")
    async def metrics() -> PlainTextResponse:
        if (model := serving()) is not None:
            begun, not_begun = model.worker.counts()
            running.set(begun)
            waiting.set(not_begun)
        return PlainTextResponse(generate_latest(registry))

    _answer_errors_as_openai_does(app)
    app.add_middleware(Failures, answer=_fault)
    guard(app, HttpSettings())
    return app


def _answer_errors_as_openai_does(app: FastAPI) -> None:
    @app.exception_handler(Refusal)
    async def refused(_: Request, error: Refusal) -> JSONResponse:
        headers = {"Retry-After": "1"} if error.status == 503 else None
        return JSONResponse(error.body(), error.status, headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        # Where and why, but not what: inputs are not repeated into logs and answers.
        found = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        return await refused(request, Refusal(400, found, "Bad Request"))

    @app.exception_handler(ClientGone)
    async def gone(_: Request, __: ClientGone) -> Response:
        return Response(status_code=499)

    @app.exception_handler(Problem)
    async def problem(request: Request, error: Problem) -> JSONResponse:
        return await refused(request, Refusal(error.status, error.detail))


def _fault(path: str, reference: str) -> JSONResponse:
    said = f"the request failed for a reason of this server's, logged as {reference}"
    return JSONResponse(Refusal(500, said, "InternalServerError").body(), 500)


async def _unless_gone(request: Request, answer: Coroutine[Any, Any, list[Answer]]) -> list[Answer]:
    """The answer, or ClientGone as soon as the client has hung up; what nobody wants is not computed."""
    asked, hung_up = asyncio.ensure_future(answer), asyncio.ensure_future(_hung_up(request))
    try:
        await asyncio.wait((asked, hung_up), return_when=asyncio.FIRST_COMPLETED)
        if not asked.done():
            raise ClientGone
        return asked.result()
    finally:
        asked.cancel()
        hung_up.cancel()


async def _hung_up(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _text_of(model: Serving) -> Callable[[int], str]:
    return lambda token: model.engine.decode([token], special_tokens=True)


def _respond(answer: answers.Body, body: CompletionRequest | ChatRequest) -> Response:
    if not body.stream:
        return JSONResponse(answer)
    with_usage = body.stream_options is not None and body.stream_options.include_usage

    async def lines() -> AsyncIterator[str]:
        for chunk in answers.chunks(answer, with_usage=with_usage):
            yield f"data: {json.dumps(chunk)}\n\n"
        yield "data: [DONE]\n\n"

    return StreamingResponse(lines(), media_type="text/event-stream")
