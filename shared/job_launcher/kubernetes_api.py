"""As much of the Kubernetes API as jobs need: create, read, delete, watch, and follow a log. Over HTTP."""

from __future__ import annotations

import json
import os
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
ANSWER_SECONDS = 30
WATCH_SECONDS = 300
LONGEST_LINE_BYTES = 1 << 26


class ApiAway(Exception):
    """The API server does not answer, or says that it cannot now. Try again."""


class ApiRefused(Exception):
    """The API server will not do this. The message is its own."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


@dataclass(frozen=True)
class KubernetesApi:
    """A client of one namespace. The token is read each time: Kubernetes changes it every hour or so."""

    url: str
    namespace: str
    token_file: Path
    ca_file: Path | None = None

    @property
    def jobs(self) -> str:
        return f"/apis/batch/v1/namespaces/{self.namespace}/jobs"

    @property
    def pods(self) -> str:
        return f"/api/v1/namespaces/{self.namespace}/pods"

    async def call(
        self, method: str, path: str, body: Any = None, query: Mapping[str, str] | None = None
    ) -> Any:
        """The answer's JSON. Raises ApiAway, ApiRefused."""
        async with self._answer(method, path, ANSWER_SECONDS, json=body, params=query) as answer:
            return await answer.json()

    async def watch(
        self, path: str, query: Mapping[str, str], seconds: int = WATCH_SECONDS
    ) -> AsyncGenerator[tuple[str, dict[str, Any]]]:
        """(ADDED, MODIFIED or DELETED, the object): first those that there are, then changes as they happen.

        Ends after so many seconds, or sooner. Raises ApiAway, ApiRefused.
        """
        query = {**query, "watch": "true", "timeoutSeconds": str(seconds)}
        async with aclosing(self.lines(path, query)) as lines:
            async for line in lines:
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise ApiAway(f"the API server ended a watch: {event['object'].get('message')}")
                if event["type"] in ("ADDED", "MODIFIED", "DELETED"):
                    yield event["type"], event["object"]

    async def lines(self, path: str, query: Mapping[str, str]) -> AsyncGenerator[bytes]:
        """A streamed answer, line by line. Raises ApiAway, ApiRefused."""
        async with self._answer("GET", path, None, params=query) as answer:
            async for line in answer.content:
                yield line

    @asynccontextmanager
    async def _answer(
        self, method: str, path: str, whole_seconds: float | None, **asked: Any
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        headers = {"Authorization": f"Bearer {self.token_file.read_text('utf-8').strip()}"}
        timeout = aiohttp.ClientTimeout(total=whole_seconds, sock_connect=ANSWER_SECONDS)
        trusted = ssl.create_default_context(cafile=self.ca_file) if self.ca_file else True
        connector = aiohttp.TCPConnector(ssl=trusted)
        try:
            async with (
                aiohttp.ClientSession(connector=connector, read_bufsize=LONGEST_LINE_BYTES) as session,
                session.request(method, self.url + path, headers=headers, timeout=timeout, **asked) as answer,
            ):
                if answer.status in (429, 500, 502, 503, 504):
                    raise ApiAway(f"the API server answered {answer.status}")
                if answer.status >= 400:
                    raise ApiRefused(answer.status, (await answer.text())[:500])
                yield answer
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise ApiAway(f"the API server at {self.url} does not answer") from error


def in_cluster() -> KubernetesApi:
    """The API as a pod reaches it, in the name of its service account."""
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    if not host:
        raise RuntimeError("JOB_LAUNCHER=kubernetes, but this is no pod: KUBERNETES_SERVICE_HOST is not set.")
    host = f"[{host}]" if ":" in host else host
    namespace = (ACCOUNT / "namespace").read_text("utf-8").strip()
    return KubernetesApi(f"https://{host}:{port}", namespace, ACCOUNT / "token", ACCOUNT / "ca.crt")
