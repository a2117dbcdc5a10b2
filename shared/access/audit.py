"""Every changing request, and who comes in or goes, is on record before it is answered.

Who did what, when, from where, and how it was answered.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from prometheus_client import CollectorRegistry, Counter
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.access.api_key import LOOKS_LIKE_A_KEY
from shared.access.asked import Asked, asked_of
from shared.access.roles import Verb
from shared.access.told_refusals import NOBODY, REFUSED, Refusal, ToldRefusals
from shared.events.audit import MOST_PATH, ActionAudited
from shared.events.envelope import record
from shared.outbox import NotRecorded, Outbox
from shared.time_ordered_ids import time_ordered_id

OF_APPS = frozenset({Verb.PREDICT, Verb.LOG, Verb.FEEDBACK})
"""What is on record anyway, unless it is refused."""
OF_READERS = frozenset({Verb.READ, Verb.AUDIT})
"""What changes nothing."""
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
NOTHING_DONE = 204
"""What was asked for was not there, such as a text to review: a page asks for one every few seconds."""
TOGETHER_SECONDS = 60.0
MOST_METHOD, MOST_ADDRESS = 20, 100

log = logging.getLogger(__name__)


def is_audited(asked: Asked, method: str, status: int) -> bool:
    """Of who comes in or goes: whoever they are, if not the one of a laptop without keys; and who is refused.

    Where no verb was asked, the request was refused at the door: what it wanted, its method says.
    """
    if asked.is_entrance:
        is_known = asked.principal is not None and not asked.principal.is_local
        return is_known or status in REFUSED
    if asked.verb is None or asked.verb in OF_APPS:
        return status in REFUSED and method not in SAFE
    return asked.verb not in OF_READERS and status != NOTHING_DONE


class Audit:
    """Of one process: what goes through its outbox to Kafka. `source` names the process."""

    def __init__(
        self, outbox: Outbox, source: str, clock: Callable[[], datetime], registry: CollectorRegistry
    ) -> None:
        self._outbox, self._source, self._clock = outbox, source, clock
        self._refusals = ToldRefusals()
        self._unrecorded = Counter(
            "tuneloop_audit_unrecorded",
            "Changing requests that are not in the audit log, because the disk took no record",
            registry=registry,
        )

    async def note(self, scope: Mapping[str, Any], status: int) -> None:
        """Returns when it is on disk. It never fails: what cannot be noted is counted and said loudly."""
        asked = asked_of(scope)
        principal = asked.principal
        met = Refusal(
            NOBODY if principal is None else principal.id,
            "" if principal is None else principal.key_id,
            asked.verb or "",
            scope["method"][:MOST_METHOD],
            _path(scope["path"]),
            status,
            scope["client"][0][:MOST_ADDRESS] if scope.get("client") else "",
        )
        if status in REFUSED:
            told = self._refusals.met(met)
            if told is not None:
                await self._record(told, 1)
        else:
            await self._record(met, 1, asked.about)

    async def tell_for_ever(self) -> None:
        """What was refused again and again is told once a minute."""
        while True:
            await asyncio.sleep(TOGETHER_SECONDS)
            await self.tell()

    async def tell(self) -> None:
        for refusal, count in self._refusals.over():
            await self._record(refusal, count)

    async def _record(self, what: Refusal, count: int, about: str = "") -> None:
        at = self._clock()
        event = ActionAudited(
            action_id=time_ordered_id(at),
            principal=what.principal,
            key_id=what.key_id,
            verb=Verb(what.verb) if what.verb else None,
            method=what.method,
            path=what.path,
            about=about,
            status=what.status,
            address=what.address,
            count=count,
            at=at,
        )
        try:
            await self._outbox.append([record(event, self._source)])
        except NotRecorded as error:
            self._unrecorded.inc(count)
            log.error("an action is not in the audit log: %s. Mend the disk", error)


class Auditor:
    """ASGI middleware around the door."""

    def __init__(self, app: ASGIApp, audit: Audit) -> None:
        self._app, self._audit = app, audit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_answered = False

        async def sending(message: Message) -> None:
            nonlocal is_answered
            if message["type"] == "http.response.start":
                is_answered = True
                if is_audited(asked_of(scope), scope["method"], message["status"]):
                    await self._audit.note(scope, message["status"])
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except BaseException:  # it may have done what it was to do
            if not is_answered and is_audited(asked_of(scope), scope["method"], 500):
                await self._audit.note(scope, 500)
            raise


def _path(path: str) -> str:
    """As long as may be, as UTF-8 can say it, and without the secret of a key that got into it."""
    hidden = LOOKS_LIKE_A_KEY.sub(r"tl_\1_…", path)
    return hidden[:MOST_PATH].encode("utf-8", "replace").decode()
