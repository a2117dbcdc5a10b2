"""uvicorn's server, which ticks once a second instead of ten times, and stops at once when it is told to.

At each tick it ends the connections of clients that are too slow.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

import uvicorn
from starlette.types import ASGIApp

from shared.http_doors.patient_protocol import PatientProtocol

TICK_SECONDS = 1.0
KEEP_ALIVE_SECONDS = 75  # longer than clients keep a connection: who closes first must not be us
MOST_WEBSOCKET_BYTES = 1 << 20


class HttpServer(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._told = asyncio.Event()

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


def server_config(app: ASGIApp, graceful_seconds: int) -> uvicorn.Config:
    """What every process of ours serves by; told to stop, it waits so long for what is asked already.

    It logs as the rest of the process does, and not each request.
    """
    return uvicorn.Config(
        app,
        http=PatientProtocol,
        ws_max_size=MOST_WEBSOCKET_BYTES,
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=graceful_seconds,
    )
