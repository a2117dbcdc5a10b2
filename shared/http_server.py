"""uvicorn's server, looking once a second instead of ten times whether it is to stop and what time it is."""

from __future__ import annotations

import asyncio

import uvicorn

TICK_SECONDS = 1.0


class HttpServer(uvicorn.Server):
    async def main_loop(self) -> None:
        while not await self.on_tick(0):  # 0: also set the date that answers carry
            await asyncio.sleep(TICK_SECONDS)
