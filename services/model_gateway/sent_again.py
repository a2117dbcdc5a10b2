"""Which requests are the same one, sent again.

An app says so by an Idempotency-Key (draft-ietf-httpapi-idempotency-key-header). OpenAI's clients send none,
and count in a header how often they sent a request before. The id of a keyed answer derives from its key:
another process, or this one after a restart, answers under the same id, and of two records the first holds.
Each principal has keys of its own: what another app calls its own requests is nobody's business.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import blake2b

from services.model_gateway.openai_requests import Asked
from shared.access.principal import Principal
from shared.events import derived_id
from shared.idempotency_keys import key_in


class WrongKey(Exception):
    """The Idempotency-Key is empty, longer than 200 characters, or not printable ASCII."""


@dataclass(frozen=True)
class Sent:
    """What a request says about its being sent again."""

    sender: str = field(repr=False)
    """The principal; on a laptop without keys a client's retry goes by whatever credential it sends."""
    key: str | None = None
    retries: int | None = None
    """How often its client sent it before; None: the client does not say."""

    @classmethod
    def of(cls, headers: Iterable[tuple[bytes, bytes]], principal: Principal) -> Sent:
        """From a request's headers as ASGI has them, and who sends it. Raises WrongKey."""
        key, retries, credential = None, b"", ""
        for name, value in headers:
            if name == b"idempotency-key":
                key = key_in(value.decode("latin-1"))
                if key is None:
                    raise WrongKey
            elif name == b"x-stainless-retry-count":
                retries = value
            elif name == b"authorization":
                credential = value.decode("latin-1")
        if key is not None:
            return cls(principal.id, key)
        if retries.isdigit():
            return cls(principal.named(credential), None, int(retries[:9]))
        return cls(principal.id)


def id_of(workload: str, sender: str, key: str) -> str:
    """The prediction's id."""
    return derived_id("answer", workload, sender, key)


def content_of(asked: Asked, sender: str = "") -> bytes:
    """A digest of what goes on record. How the reply is to look, streamed or with logprobs, is no part."""
    attributes = sorted(asked.attributes.items())
    said = repr((asked.workload, asked.text, attributes, asked.user, asked.group_id, sender))
    return blake2b(said.encode("utf-8", "surrogatepass"), digest_size=16).digest()
