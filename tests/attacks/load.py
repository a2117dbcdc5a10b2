"""Ordinary requests beside the attacks, one after the other: what users notice of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from tests.attacks.target import Target

PATIENCE_SECONDS = 20.0
PAUSE_SECONDS = 0.02


class Load:
    """What the requests met so far."""

    def __init__(self) -> None:
        self.requests = 0
        self.failed = 0
        """Not answered at all, or with a 5xx."""
        self.slowest_seconds = 0.0

    def ask(self, client: httpx.Client, url: str) -> None:
        began = time.monotonic()
        try:
            is_answered = client.get(url).status_code < 500
        except httpx.HTTPError:
            is_answered = False
        self.requests += 1
        self.failed += not is_answered
        self.slowest_seconds = max(self.slowest_seconds, time.monotonic() - began)


@contextmanager
def loaded(target: Target) -> Iterator[Load]:
    """Gateway, services and model server are asked all the time until the block ends."""
    load, over = Load(), threading.Event()
    urls = (f"{target.gateway}/v1/models", f"{target.services}/workloads", f"{target.models}/v1/models")

    def ask() -> None:
        with httpx.Client(timeout=PATIENCE_SECONDS) as client:
            while not over.wait(PAUSE_SECONDS):
                for url in urls:
                    load.ask(client, url)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield load
    finally:
        over.set()
        asking.join()
