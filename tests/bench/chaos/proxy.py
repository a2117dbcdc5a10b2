"""A proxy before ClickHouse that can refuse, stall, cut an answer, or refuse one Kafka partition's rows."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Mapping
from contextlib import suppress
from enum import StrEnum

import aiohttp
from aiohttp import web

from tests.bench.chaos.inserted import CannotRead, partitions_in

FLAPS = 0.4
NOT_PASSED_ON = {"host", "content-length", "transfer-encoding", "connection", "keep-alive"}
TOO_MANY_PARTS = "252"
LOOK_SECONDS = 0.05


class Mode(StrEnum):
    OPEN = "open"
    REFUSE = "refuse"
    """Every request is reset before it gets through."""
    STALL = "stall"
    """Nothing is answered until the mode ends; then it is reset."""
    CUT = "cut"
    """It gets through and is done; the answer breaks off."""
    OVERLOADED = "overloaded"
    """As ClickHouse answers that has too many parts."""
    FLAP = "flap"
    """Of every ten requests four fail, before or after they got through."""
    ONE_PARTITION = "one partition"
    """Resets what would insert rows of one Kafka partition."""


class StoreProxy:
    """Runs in a thread of its own; `mode` may be set from any."""

    def __init__(self, target: str, seed: int) -> None:
        """`target` as http://host:port."""
        self.mode, self.partition = Mode.OPEN, 0
        self.failed = 0
        """Requests that it did not let through, or not whole."""
        self.broken: CannotRead | None = None
        self._target, self._random = target, random.Random(seed)
        self._started = threading.Event()
        self.port = 0

    def start(self) -> None:
        threading.Thread(target=lambda: asyncio.run(self._serve()), name="store-proxy", daemon=True).start()
        assert self._started.wait(10), "the proxy does not start"

    async def _serve(self) -> None:
        async with aiohttp.ClientSession(
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=600),
            skip_auto_headers=("Accept-Encoding",),
        ) as self._client:
            runner = web.ServerRunner(web.Server(self._answer, auto_decompress=False))
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            self.port = runner.addresses[0][1]
            self._started.set()
            await asyncio.get_running_loop().create_future()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        with suppress(ConnectionError, aiohttp.ClientError, CannotRead):
            body = await request.content.read()
            mode = self.mode
            if mode is Mode.FLAP:
                mode = (
                    self._random.choice((Mode.REFUSE, Mode.CUT))
                    if self._random.random() < FLAPS
                    else Mode.OPEN
                )
            if mode is Mode.STALL:
                while self.mode is Mode.STALL and request.transport is not None:
                    await asyncio.sleep(LOOK_SECONDS)
                mode = Mode.REFUSE
            if mode is Mode.ONE_PARTITION:
                mode = Mode.REFUSE if self._is_of_the_partition(request, body) else Mode.OPEN
            if mode is Mode.OVERLOADED:
                self.failed += 1
                return web.Response(
                    status=500,
                    text="Code: 252. DB::Exception: Too many parts. (TOO_MANY_PARTS)\n",
                    headers={"X-ClickHouse-Exception-Code": TOO_MANY_PARTS},
                )
            if mode is not Mode.REFUSE:
                answer = await self._passed_on(request, body)
                if mode is not Mode.CUT:
                    return answer
                await self._half(request, answer)
            self.failed += 1
        if request.transport is not None:
            request.transport.abort()
        return web.Response()

    def _is_of_the_partition(self, request: web.BaseRequest, body: bytes) -> bool:
        try:
            found = partitions_in(body, request.headers.get("content-encoding", ""), request.path_qs)
        except CannotRead as error:
            self.broken = error
            raise
        return self.partition in found

    async def _passed_on(self, request: web.BaseRequest, body: bytes) -> web.Response:
        async with self._client.request(
            request.method,
            self._target + request.raw_path,
            data=body or None,
            headers=_passed(request.headers),
        ) as answer:
            return web.Response(
                status=answer.status, body=await answer.read(), headers=_passed(answer.headers)
            )

    async def _half(self, request: web.BaseRequest, whole: web.Response) -> None:
        body = whole.body
        assert isinstance(body, bytes)
        if not body:
            return
        half = web.StreamResponse(
            status=whole.status, headers={**whole.headers, "Content-Length": str(len(body))}
        )
        await half.prepare(request)
        await half.write(body[: len(body) // 2])


def _passed(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in NOT_PASSED_ON}
