"""A network that loses answers: the first ones never reach the client, though the server gave them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal
from urllib.parse import urlsplit

Loss = Literal["cut", "silent"]
"""The connection breaks off, or nothing comes any more and it stays open."""


@asynccontextmanager
async def losing(url: str, answers: int, loss: Loss) -> AsyncIterator[str]:
    """Gives the address of a proxy before `url` that loses this many whole answers, then passes all."""
    server = urlsplit(url)
    left = answers

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal left
        behind, ahead = await asyncio.open_connection(server.hostname, server.port)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                ahead.write(head + await reader.readexactly(_length(head)))
                answer = await behind.readuntil(b"\r\n\r\n")
                answer += await behind.readexactly(_length(answer))
                if left:
                    left -= 1
                    if loss == "silent":
                        await reader.read()  # until the client gives up
                    return
                writer.write(answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()
            ahead.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"


def _length(head: bytes) -> int:
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return int(lengths[0].partition(b":")[2]) if lengths else 0
