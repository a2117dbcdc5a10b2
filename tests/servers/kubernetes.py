"""As much of a Kubernetes API server as jobs speak to. It runs a Job's container as a process."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.servers.model import ROOT, free_port

TOKEN = "a token"
JOBS, PODS = "/apis/batch/v1/namespaces/loop/jobs", "/api/v1/namespaces/loop/pods"


@dataclass
class Kubernetes:
    """Jobs by name, each with one pod of the same name. It runs `module`, whatever a Job names."""

    module: str
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    pods: dict[str, dict[str, Any]] = field(default_factory=dict)
    logs: dict[str, bytes] = field(default_factory=dict)
    created: list[str] = field(default_factory=list)
    is_away: bool = False
    breaks_logs: int = 0
    """So many logs more break off after their first bytes."""
    port: int = field(default_factory=free_port)
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    _processes: dict[str, asyncio.subprocess.Process] = field(default_factory=dict)
    _running: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Kubernetes]:
        app = web.Application(middlewares=[self._authorised])
        app.router.add_post(JOBS, self._create)
        app.router.add_get(JOBS, self._watch_jobs)
        app.router.add_get(JOBS + "/{name}", self._read)
        app.router.add_delete(JOBS + "/{name}", self._delete)
        app.router.add_get(PODS, self._list_or_watch_pods)
        app.router.add_get(PODS + "/{name}/log", self._log)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self.port).start()
        try:
            yield self
        finally:
            for name in list(self._processes):
                self._kill(name)
            await asyncio.gather(*self._running, return_exceptions=True)
            await runner.cleanup()

    async def fail(self, name: str, reason: str) -> None:
        """As Kubernetes does when a Job's deadline is over: its pod is killed."""
        self._kill(name)
        await self._end(name, "Failed", reason)

    @web.middleware
    async def _authorised(self, request: web.Request, handler: Any) -> web.StreamResponse:
        if self.is_away:
            return web.json_response({"message": "etcd is away"}, status=503)
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return web.json_response({"message": "Unauthorized"}, status=401)
        answer: web.StreamResponse = await handler(request)
        return answer

    async def _create(self, request: web.Request) -> web.Response:
        job = await request.json()
        name = job["metadata"]["name"]
        if name in self.jobs:
            return web.json_response({"message": "already exists"}, status=409)
        job["status"] = {}
        self.jobs[name], self.logs[name] = job, b""
        self.created.append(name)
        task = asyncio.create_task(self._run(name))
        self._running.add(task)
        await self._tell()
        return web.json_response(job, status=201)

    async def _run(self, name: str) -> None:
        pod = {"metadata": {"name": name, "labels": {"job-name": name}}, "status": {"phase": "Pending"}}
        self.pods[name] = pod
        await self._tell()
        (container,) = self.jobs[name]["spec"]["template"]["spec"]["containers"]
        given = {row["name"]: row["value"] for row in container["env"]}
        order = json.loads(given["TUNELOOP_JOB_ORDER"])
        order["folder"] = order["task"]["folder"]  # what a mounted volume would be
        environment = {**os.environ, "TUNELOOP_JOB_ORDER": json.dumps(order)}
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", self.module, cwd=ROOT, env=environment,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        self._processes[name] = process
        pod["status"] = {"phase": "Running"}
        await self._tell()
        assert process.stdout is not None
        async for line in process.stdout:
            self.logs[name] += line
            await self._tell()
        code = await process.wait()
        del self._processes[name]
        if name not in self.jobs or self.jobs[name]["status"]:
            return
        ended = {
            "exitCode": code if code >= 0 else 128 - code,
            "reason": "Completed" if not code else "Error",
        }
        pod["status"] = {
            "phase": "Failed" if code else "Succeeded",
            "containerStatuses": [{"name": "job", "state": {"terminated": ended}}],
        }
        await self._end(name, "Failed" if code else "Complete", "BackoffLimitExceeded" if code else "")

    async def _end(self, name: str, kind: str, reason: str) -> None:
        condition = {"type": kind, "status": "True", "reason": reason}
        self.jobs[name]["status"] = {"conditions": [condition]}
        if self.pods[name]["status"]["phase"] == "Running":
            self.pods[name]["status"] = {"phase": "Failed"}
        await self._tell()

    async def _read(self, request: web.Request) -> web.Response:
        job = self.jobs.get(request.match_info["name"])
        return web.json_response(job or {"message": "not found"}, status=200 if job else 404)

    async def _delete(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name not in self.jobs:
            return web.json_response({"message": "not found"}, status=404)
        self._kill(name)
        del self.jobs[name], self.pods[name]
        await self._tell()
        return web.json_response({"status": "Success"})

    def _kill(self, name: str) -> None:
        if (process := self._processes.get(name)) is not None:
            process.kill()

    async def _watch_jobs(self, request: web.Request) -> web.StreamResponse:
        _, _, name = request.query["fieldSelector"].partition("metadata.name=")
        return await self._watch(request, self.jobs, name)

    async def _list_or_watch_pods(self, request: web.Request) -> web.StreamResponse:
        _, _, name = request.query["labelSelector"].partition("job-name=")
        if "watch" not in request.query:
            return web.json_response({"items": [self.pods[name]] if name in self.pods else []})
        return await self._watch(request, self.pods, name)

    async def _watch(
        self, request: web.Request, objects: dict[str, dict[str, Any]], name: str
    ) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "application/json"})
        await answer.prepare(request)
        told = ""
        try:
            async with asyncio.timeout(float(request.query["timeoutSeconds"])):
                while True:
                    said = json.dumps(objects.get(name))
                    if said != told and (told or name in objects):
                        kind = "DELETED" if name not in objects else "MODIFIED" if told else "ADDED"
                        found = objects.get(name) or json.loads(told)
                        await answer.write(json.dumps({"type": kind, "object": found}).encode() + b"\n")
                        told = said if name in objects else ""
                    await self._until(lambda: json.dumps(objects.get(name)) != said)  # noqa: B023
        except (TimeoutError, ConnectionResetError):
            return answer

    async def _log(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        answer = web.StreamResponse(headers={"Content-Type": "text/plain"})
        await answer.prepare(request)
        sent = 0
        while True:
            log = self.logs[name]
            if len(log) > sent:
                try:
                    await answer.write(log[sent:])
                except ConnectionResetError:
                    return answer
                sent = len(log)
                if self.breaks_logs:
                    self.breaks_logs -= 1
                    return answer
            if self._has_ended(name) and sent == len(self.logs[name]):
                return answer
            await self._until(lambda: len(self.logs[name]) > sent or self._has_ended(name))  # noqa: B023

    def _has_ended(self, name: str) -> bool:
        return name not in self.pods or self.pods[name]["status"]["phase"] in ("Succeeded", "Failed")

    async def _until(self, holds: Callable[[], bool]) -> None:
        async with self._changed:
            await self._changed.wait_for(holds)

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()
