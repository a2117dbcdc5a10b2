"""Who asks: by the key that came with the request, or, on a laptop without keys, whoever reaches it."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from shared.access.api_key import is_that_key, key_id_of
from shared.access.known_keys import ASK_FOR_ONE, KnownKeys, NotAdmitted
from shared.access.principal import HOST_PRINCIPAL, LOCAL_PRINCIPAL, Principal
from shared.access.session import NoSession, Session, looks_like_a_session, read_session
from shared.events import AccessChanged
from shared.files import write_atomically

BEARER = "bearer "
NO_KEY_YET = (
    "This installation is open to a network and has no key yet: nobody comes in. "
    "Make the first on the host of its data folder: tuneloop keys create NAME --role operator"
)
BEHIND_A_PROXY = (
    "This came through a proxy, so perhaps from another machine. This installation has no key and answers "
    "its own machine alone. Set HTTP_PROXIES to the proxy's address, and make the first key on the host of "
    "its data folder: tuneloop keys create NAME --role operator"
)
NO_KEY = f"This is no key: they begin with tl_ and have 59 characters. {ASK_FOR_ONE}"
STILL_READS = "This process still reads which keys hold. Send the same again in a moment."
KNOWN_KEYS = "known_keys.json"
"""The file of that name in the process's state folder."""
GOES_WITHOUT_KAFKA = timedelta(hours=1)
"""So long a revoked key may go on opening a door that Kafka cannot tell."""
CONFIRM_AFTER, LOOK_SECONDS = timedelta(minutes=1), 5.0

log = logging.getLogger(__name__)
_events = TypeAdapter(list[AccessChanged])


class NotKnownNow(Exception):
    """Nobody can come in at present, whoever it is: there is no key yet, or which keys hold is not known.

    The message says why, and what to do.
    """


@dataclass
class Admission:
    """Of one process, for all its services. The keys are kept in a file too, for a start without Kafka."""

    clock: Callable[[], datetime]
    file: Path
    beyond_loopback: bool
    """Whether this process can be reached from other machines, by its address or through a proxy."""
    keys: KnownKeys = field(default_factory=KnownKeys)
    session_key: str = field(default="", repr=False)
    """Signs and proves the sessions of browsers."""
    host_key_digest: str = ""
    """Of the key that lies on this process's host, if one does."""
    confirmed_at: datetime | None = None
    """When Kafka last answered to whom these keys were known; None: they are not known at all."""
    _is_complete: bool = False
    _keeps: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Changes come from Kafka and from who revokes a key here: the file has the last of them."""
    _is_kept: bool = True
    """Whether the file has what is known here."""

    @classmethod
    def restored(
        cls, clock: Callable[[], datetime], file: Path, *, beyond_loopback: bool, session_key: str = ""
    ) -> Admission:
        """With the keys that the file has. One that cannot be read counts as none: Kafka has them all."""
        admission = cls(clock, file, beyond_loopback, session_key=session_key)
        try:
            kept, at = _events.validate_json(file.read_bytes()), file.stat().st_mtime
        except FileNotFoundError:
            return admission
        except ValidationError:
            log.error("the kept keys cannot be read; nobody comes in before Kafka has told them")
            return admission
        for event in kept:
            admission.keys.apply(event)
        admission.confirmed_at = datetime.fromtimestamp(at, UTC)
        return admission

    async def on_access_changed(self, event: AccessChanged) -> None:
        if self.keys.apply(event):
            self._is_kept = False
        if self._is_complete and not self._is_kept:
            await self._keep()

    async def completed(self) -> None:
        """Every event that was there is applied."""
        self._is_complete, self.confirmed_at = True, self.clock()
        await self._keep()

    async def confirm_for_ever(self, look: Callable[[], Awaitable[object]]) -> None:
        """Looks at Kafka once a minute, and at once when the machine was asleep for longer.

        Without keys, too: that there is none is kept for a start without Kafka as who has one is.
        """
        while True:
            await asyncio.sleep(LOOK_SECONDS)  # which stands still while the machine sleeps
            if self.confirmed_at and self.clock() - self.confirmed_at < CONFIRM_AFTER:
                continue
            with suppress(Exception):  # whatever it is, Kafka did not answer
                await look()
                self.confirmed_at = self.clock()
                os.utime(self.file)

    async def _keep(self) -> None:
        async with self._keeps:
            content, self._is_kept = _events.dump_json(self.keys.all()), False
            await asyncio.to_thread(write_atomically, self.file, content)
            self._is_kept = True

    @property
    def wants_keys(self) -> bool:
        """Once there was a key, or where other machines reach this one, nobody comes in without one."""
        return self.beyond_loopback or bool(self.keys)

    def principal(
        self, authorization: str, session: str = "", *, from_this_machine: bool = False
    ) -> Principal:
        """Who sends this header, or this session where there is none. Raises NotAdmitted, NotKnownNow."""
        is_bearer = authorization[: len(BEARER)].lower() == BEARER
        key = authorization[len(BEARER) :].strip() if is_bearer else ""
        if from_this_machine and self._is_host_key(key):
            return HOST_PRINCIPAL if self.wants_keys else LOCAL_PRINCIPAL
        now = self.clock()
        self._is_known_at(now)
        if not self.wants_keys:
            return LOCAL_PRINCIPAL  # OpenAI's clients send some key always
        self.needs_first_key()
        if not authorization and not session:
            raise NotAdmitted(f"Send your key as the header Authorization: Bearer tl_… {ASK_FOR_ONE}")
        if authorization and not is_bearer:
            raise NotAdmitted("Authorization is to be “Bearer” and your key.")
        if key_id_of(key) is not None:
            return self.keys.sender_of(key, now)
        if key and not looks_like_a_session(key):
            raise NotAdmitted(NO_KEY)
        return self.session(key or session).principal

    def _is_known_at(self, now: datetime) -> None:
        """Raises NotKnownNow where it is not known which keys hold, or whether there is one.

        A process that heard itself from Kafka that there is none goes on without it.
        """
        if self.confirmed_at is None:
            raise NotKnownNow(STILL_READS)
        if self._is_complete and not self.keys:
            return
        if now - self.confirmed_at > GOES_WITHOUT_KAFKA:
            raise NotKnownNow(
                f"Kafka has not answered since {self.confirmed_at:%H:%M} UTC, so nobody knows which keys "
                "hold. It goes on by itself when Kafka is back."
            )

    def holder_of(self, key: str) -> Principal:
        """As `principal`, of what has to be a key: a session begins no other, or it would last for ever."""
        if self.wants_keys and key_id_of(key) is None:
            self.needs_first_key()
            raise NotAdmitted(NO_KEY)
        return self.principal(f"Bearer {key}")

    def needs_first_key(self) -> None:
        """Raises NotKnownNow where other machines reach this one and no key was ever made."""
        if self.confirmed_at is not None and self.beyond_loopback and not self.keys:
            raise NotKnownNow(NO_KEY_YET)

    def _is_host_key(self, key: str) -> bool:
        return bool(self.host_key_digest) and is_that_key(key, self.host_key_digest)

    def name_in(self, shown: str) -> str:
        """What the person of this session is called; "" for what is a key, or over."""
        try:
            return self.session(shown).name
        except NotAdmitted:
            return ""

    def session(self, token: str) -> Session:
        """With what its principal may do now. Raises NotAdmitted."""
        try:
            found = read_session(token, self.session_key, self.clock())
        except NoSession as over:
            raise NotAdmitted(str(over)) from None
        if not found.principal.key_id:
            return found
        return replace(found, principal=self.keys.still_admits(found.principal.key_id, self.clock()))
