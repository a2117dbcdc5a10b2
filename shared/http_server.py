"""uvicorn's server, which ticks once a second instead of ten times, and stops at once when it is told to.

At each tick it ends the connections of clients that are too slow. It speaks TLS beyond loopback, and plain
HTTP on it.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import suppress

import uvicorn
from starlette.types import ASGIApp

from shared.http_doors.patient_protocol import PatientProtocol
from shared.http_doors.slow_requests import HEAD_SECONDS
from shared.loopback import is_loopback

TICK_SECONDS = 1.0
KEEP_ALIVE_SECONDS = 75  # longer than clients keep a connection: who closes first must not be us
MOST_WEBSOCKET_BYTES = 1 << 20


class HttpServer(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(config)
        self._tls = tls
        self._told = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        outer = [one for one in sockets or () if self._tls is not None and not is_loopback([one])]
        await super().startup(sockets and [one for one in sockets if one not in outer])
        loop = asyncio.get_running_loop()
        for one in outer:
            serving = await loop.create_server(
                self._protocol,
                sock=one,
                ssl=self._tls,
                backlog=self.config.backlog,
                ssl_handshake_timeout=HEAD_SECONDS,
            )
            self.servers.append(serving)

    def _protocol(self) -> PatientProtocol:
        return PatientProtocol(self.config, self.server_state, self.lifespan.state)

    def stop(self) -> None:
        """Takes nothing new, and ends when what is asked already is answered."""
        self.should_exit = True
        self._told.set()

    async def main_loop(self) -> None:
        loop = asyncio.get_running_loop()
        while not await self.on_tick(0):  # 0: also set the date that answers carry
            for one in list(self.server_state.connections):
                if isinstance(one, PatientProtocol):
                    one.look(loop.time())
            with suppress(TimeoutError):
                await asyncio.wait_for(self._told.wait(), TICK_SECONDS)


def server_config(app: ASGIApp, graceful_seconds: int, proxies: str = "") -> uvicorn.Config:
    """What every process of ours serves by; told to stop, it waits so long for what is asked already.

    It logs as the rest of the process does, and not each request. `proxies` may say who asks.
    """
    return uvicorn.Config(
        app,
        http=PatientProtocol,
        ws_max_size=MOST_WEBSOCKET_BYTES,
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=proxies,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=graceful_seconds,
    )
