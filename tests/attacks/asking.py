"""Requests as an attacker sends them: whole ones, and byte for byte where no client would."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx

T = TypeVar("T")
ANSWER_SECONDS = 30.0
PIECE_BYTES = 1 << 20


def asked(method: str, url: str, **more: Any) -> httpx.Response:
    """An answer, whatever it is. Raises httpx.HTTPError when there is none."""
    return httpx.request(method, url, timeout=ANSWER_SECONDS, trust_env=False, **more)


def run_async(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


def connected(url: str) -> socket.socket:
    parts = urlsplit(url)
    return socket.create_connection((str(parts.hostname), int(parts.port or 80)), timeout=ANSWER_SECONDS)


@dataclass(frozen=True)
class Sent:
    """What became of a request that was sent in pieces."""

    status: int
    """0: the connection ended without an answer."""
    sent_bytes: int


def sent_in_pieces(url: str, head: str, pieces: Iterator[bytes]) -> Sent:
    """Goes on until the server has answered or hung up, or there is nothing more to send."""
    count, piece = 0, head.encode()
    with connected(url) as one:
        try:
            while True:
                one.setblocking(False)
                try:
                    return Sent(_status(one.recv(4096)), count)
                except BlockingIOError:
                    one.settimeout(ANSWER_SECONDS)
                one.sendall(piece)
                count += len(piece)
                try:
                    piece = next(pieces)
                except StopIteration:
                    return Sent(_status(one.recv(4096)), count)
        except OSError:
            return Sent(0, count)


def _status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0


def open_seconds(url: str, first: bytes, then: bytes, most_seconds: float) -> float:
    """How long a server bears a client that sends `first`, then `then` once a second, and nothing else."""
    began = time.monotonic()
    with connected(url) as one:
        one.settimeout(1.0)
        try:
            one.sendall(first)
            while (passed := time.monotonic() - began) < most_seconds:
                try:
                    if not one.recv(4096):  # hung up; an answer alone still costs it the connection
                        return time.monotonic() - began
                except TimeoutError:
                    one.sendall(then)
        except OSError:
            return time.monotonic() - began
    return passed


def all_at_once(*works: Callable[[], T]) -> list[T]:
    with ThreadPoolExecutor(len(works)) as threads:
        return [one.result() for one in [threads.submit(work) for work in works]]
