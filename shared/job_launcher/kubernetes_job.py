"""A job as a Kubernetes Job: it outlives its service, and a service that comes back goes on listening to it.

Held by tests against a small server that speaks these endpoints; never yet run on a cluster.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

from shared.backoff import pause_seconds
from shared.job_launcher.kubernetes_api import WATCH_SECONDS, ApiAway, ApiRefused, KubernetesApi
from shared.job_launcher.launcher import PAST_DEADLINE, CannotStart
from shared.job_launcher.manifest import CONTAINER, KubernetesSettings, job_name, manifest
from shared.job_protocol import MARK, Order

NOT_FOUND, CONFLICT, BAD_REQUEST = 404, 409, 400
BEGUN, ENDED = {"Running", "Succeeded", "Failed"}, {"Succeeded", "Failed"}
SETTLING_SECONDS = 5
T = TypeVar("T")
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class KubernetesJob:
    """Needs a role that may create, get, watch and delete Jobs, list and watch pods, and read their logs."""

    service: str
    settings: KubernetesSettings
    api: KubernetesApi

    async def start(self, order: Order, deadline: timedelta) -> LaunchedJob:
        """Creates the order's Job. One of the same job that has not failed is listened to instead."""
        launched = LaunchedJob(self.api, job_name(self.service, order.job_id))
        if (found := await launched.read()) is not None:
            if not _condition(found, "Failed") and "deletionTimestamp" not in found["metadata"]:
                log.info("%s job %s: listening to %s", order.kind, order.job_id, launched.name)
                return launched
            await launched.stop()
            await launched.until_gone()
        body = manifest(self.service, order, deadline, self.settings)
        try:
            await _waiting(partial(self.api.call, "POST", self.api.jobs, body))
        except ApiRefused as error:
            if error.status != CONFLICT:  # a create whose answer was lost has created it all the same
                raise CannotStart(f"Kubernetes refuses the Job: {error}") from error
        return launched


@dataclass
class LaunchedJob:
    api: KubernetesApi
    name: str

    async def lines(self) -> AsyncIterator[bytes]:
        """The pod's log, read anew as often as it breaks off, and once more when the pod has ended.

        The API ends the stream of a running pod without a word, so only a log that was asked for after the
        pod's end is known to be whole. What a job has said before is not given twice.
        """
        given: set[bytes] = set()
        while (pod := await self._pod()) is not None:
            try:
                async with aclosing(self._log(pod)) as lines:
                    async for line in lines:
                        if line not in given:
                            yield line
                        if line.startswith(MARK):
                            given.add(line)
                if pod["status"]["phase"] in ENDED:
                    return
                await self._settle()
            except ApiAway as error:
                log.warning("the log of %s broke off: %s", self.name, error)
                await asyncio.sleep(pause_seconds(1))
            except ApiRefused as error:
                if error.status not in (NOT_FOUND, BAD_REQUEST):
                    raise
                if pod["status"]["phase"] in ENDED:  # it never began, so it has no log
                    return
                await asyncio.sleep(pause_seconds(1))

    async def ending(self) -> str | None:
        while await self.read() is not None:
            async for kind, job in self._watched(self.api.jobs, self._this_job):
                if kind == "DELETED":
                    break
                if _condition(job, "Complete"):
                    return None
                if failed := _condition(job, "Failed"):
                    reason = failed.get("reason", "a failure")
                    if reason == "DeadlineExceeded":
                        return PAST_DEADLINE
                    return f"{reason}{_exit(await self._newest_pod())}"
        return "the deletion of its Job"

    async def stop(self) -> None:
        options = {"propagationPolicy": "Background"}
        try:
            await _waiting(partial(self.api.call, "DELETE", f"{self.api.jobs}/{self.name}", options))
        except ApiRefused as error:
            if error.status != NOT_FOUND:
                raise

    async def leave(self) -> None:
        """The Job goes on; its own deadline ends it if nobody comes back."""

    async def read(self) -> dict[str, Any] | None:
        try:
            job: dict[str, Any] = await _waiting(
                partial(self.api.call, "GET", f"{self.api.jobs}/{self.name}")
            )
        except ApiRefused as error:
            if error.status == NOT_FOUND:
                return None
            raise
        return job

    async def until_gone(self) -> None:
        while await self.read() is not None:
            async for kind, _ in self._watched(self.api.jobs, self._this_job):
                if kind == "DELETED":
                    break

    async def _pod(self) -> dict[str, Any] | None:
        """The pod, once it runs or has run; None if the Job ended without one."""
        while not self._is_over(await self.read()):
            async for kind, pod in self._watched(self.api.pods, self._its_pods):
                if kind != "DELETED" and pod["status"].get("phase") in BEGUN:
                    return pod
        return await self._newest_pod()

    async def _settle(self) -> None:
        """Waits a moment for the pod to be said to have ended, as it mostly has when its log ends."""
        async for kind, pod in self._watched(self.api.pods, self._its_pods, seconds=SETTLING_SECONDS):
            if kind == "DELETED" or pod["status"].get("phase") in ENDED:
                return

    def _log(self, pod: dict[str, Any]) -> AsyncGenerator[bytes]:
        path = f"{self.api.pods}/{pod['metadata']['name']}/log"
        return self.api.lines(path, {"container": CONTAINER, "follow": "true"})

    async def _watched(
        self, path: str, query: Mapping[str, str], seconds: int = WATCH_SECONDS
    ) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        try:
            async with aclosing(self.api.watch(path, query, seconds)) as events:
                async for kind, found in events:
                    yield kind, found
        except ApiAway as error:
            log.warning("%s cannot be watched: %s", self.name, error)
            await asyncio.sleep(pause_seconds(1))

    async def _newest_pod(self) -> dict[str, Any] | None:
        pods = await _waiting(partial(self.api.call, "GET", self.api.pods, None, self._its_pods))
        return pods["items"][-1] if pods["items"] else None

    @property
    def _this_job(self) -> dict[str, str]:
        return {"fieldSelector": f"metadata.name={self.name}"}

    @property
    def _its_pods(self) -> dict[str, str]:
        return {"labelSelector": f"job-name={self.name}"}

    @staticmethod
    def _is_over(job: dict[str, Any] | None) -> bool:
        return job is None or bool(_condition(job, "Complete") or _condition(job, "Failed"))


async def _waiting(ask: Callable[[], Awaitable[T]]) -> T:
    """Asks until the API server answers: while it is away a job is not to blame, and goes on."""
    failures = 0
    while True:
        try:
            return await ask()
        except ApiAway as error:
            failures += 1
            log.warning("waiting for Kubernetes: %s", error)
            await asyncio.sleep(pause_seconds(failures))


def _condition(job: dict[str, Any], kind: str) -> dict[str, Any] | None:
    for condition in job.get("status", {}).get("conditions", []):
        if condition["type"] == kind and condition["status"] == "True":
            found: dict[str, Any] = condition
            return found
    return None


def _exit(pod: dict[str, Any] | None) -> str:
    """ ", exit code 137 (OOMKilled)", as far as the pod tells."""
    statuses = (pod or {}).get("status", {}).get("containerStatuses", [])
    for status in statuses:
        if ended := status.get("state", {}).get("terminated"):
            return f", exit code {ended.get('exitCode')} ({ended.get('reason', 'no reason given')})"
    return ""
