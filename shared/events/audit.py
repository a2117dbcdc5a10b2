"""Somebody did something that changes what there is, signed in or out, or was refused it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, ClassVar

from pydantic import Field, StringConstraints

from shared.access.roles import Verb
from shared.events.envelope import Event, Topic
from shared.fields import Count, Id, Moment, Paragraph

MOST_PATH = 200


class ActionAudited(Event):
    """Who did what, when and from where, and how it was answered. People are opaque ids in it, and stay so.

    Refusals that are alike and follow each other closely are told together, by their `count`.
    """

    topic: ClassVar[Topic] = Topic("action-audited-v1", key="principal", retention=timedelta(days=90))

    action_id: Id
    principal: Id
    """An opaque id; `local` on a laptop without keys, `host` by the host's own key, `nobody` if not known."""
    key_id: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{12})?$")] = ""
    """The key that was shown; empty for who came in otherwise, and for who did not."""
    verb: Verb | None = None
    """What one must be allowed to do for it; None: to come in or go, or refused before that was asked."""
    method: Annotated[str, StringConstraints(max_length=20)]
    path: Annotated[Paragraph, StringConstraints(max_length=MOST_PATH)]
    about: Annotated[str, StringConstraints(max_length=MOST_PATH)] = ""
    """What was made or changed, where the path does not say it."""
    status: Annotated[int, Field(ge=100, le=599)]
    """Of HTTP: 4xx and 5xx say that nothing was changed for sure, or nothing at all."""
    address: Annotated[str, StringConstraints(max_length=100)]
    """Where the request came from, as the process saw it: a proxy's, where one stands in front."""
    count: Annotated[Count, Field(ge=1)] = 1
    at: Moment
    """Of the last of them."""

    def cause(self) -> tuple[str, ...]:
        return (self.action_id,)

    def happened_at(self) -> datetime:
        return self.at
