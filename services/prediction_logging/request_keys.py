"""The ids of what an app sends without ids: they derive from a key, so that sending again is the same event.

The key is the app's own (Idempotency-Key, draft-ietf-httpapi-idempotency-key-header), or one of ours, which a
refusal names. One of ours holds its time, and its ids sort by it. Nothing is kept: a restart changes no id.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import blake2b

from shared.events import derived_id
from shared.idempotency_keys import key_in
from shared.uuid7 import RANDOM_BYTES, uuid7

OURS = re.compile(r"tuneloop-([0-9a-f]{8})-([0-9a-f]{4})-7[0-9a-f-]{21}")
VALID_FOR = timedelta(days=7)  # a key of ours that claims another time is taken for the app's own


@dataclass(frozen=True)
class RequestKey:
    """What one request's ids derive from, each with the kind of event, its workload and its line."""

    text: str
    principal: str
    """Whose it is: two apps know nothing of each other's keys."""
    made_at: datetime | None
    """Of a key of ours: when its request first came. What says no time of its own happened then."""
    is_new: bool = False
    """Whether it was made for this very request, so that none of its ids can have come before."""
    is_again: bool = False
    """Whether it is of the same body that came before, which was refused although it may have arrived."""

    def id_of(self, kind: str, workload: str, line: int) -> str:
        if self.made_at is None:
            return derived_id(kind, workload, self.principal, self.text, str(line))
        cause = f"{self.text}\x1f{self.principal}\x1f{kind}\x1f{workload}\x1f{line}".encode()
        milliseconds = int(self.made_at.timestamp() * 1000)
        return uuid7(milliseconds, blake2b(cause, digest_size=RANDOM_BYTES).digest())


def new_key(time_ordered_id: str, principal: str, moment: datetime) -> RequestKey:
    """A key of ours; the id is a new one of this moment."""
    return RequestKey(f"tuneloop-{time_ordered_id}", principal, moment, is_new=True)


def key_of(header: str, principal: str, moment: datetime) -> RequestKey | None:
    """The key that a principal's header names; None if it is none."""
    text = key_in(header)
    if text is None:
        return None
    ours = OURS.fullmatch(text)
    if ours is not None:
        milliseconds = int(ours[1] + ours[2], 16)
        if abs(milliseconds - moment.timestamp() * 1000) <= VALID_FOR.total_seconds() * 1000:
            return RequestKey(text, principal, datetime.fromtimestamp(milliseconds / 1000, UTC))
    return RequestKey(text, principal, None)


class Refused:
    """Bodies that came without a key and were refused although they may have arrived, with their keys.

    When the very same body comes again from the same principal within `seconds`, it is taken for the same
    request, once. At most `most` are kept, some 300 bytes each; the oldest go first.
    """

    def __init__(self, most: int, seconds: float) -> None:
        self._most, self._seconds = most, seconds
        self._held: dict[bytes, tuple[RequestKey, float]] = {}

    def keep(self, kind: str, body: bytes, key: RequestKey, second: float) -> None:
        """`second`: of any clock that only goes forward."""
        while len(self._held) >= self._most:
            del self._held[next(iter(self._held))]
        self._held[_digest(kind, body, key.principal)] = (replace(key, is_new=False, is_again=True), second)

    def take(self, kind: str, body: bytes, principal: str, second: float) -> RequestKey | None:
        if not self._held:
            return None
        key, since = self._held.pop(_digest(kind, body, principal), (None, 0.0))
        return key if second - since <= self._seconds else None


def _digest(kind: str, body: bytes, principal: str) -> bytes:
    digest = blake2b(f"{principal}\x1f".encode(), digest_size=16, person=kind.encode())
    digest.update(body)
    return digest.digest()
