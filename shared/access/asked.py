"""What the door and the route find out about a request, for who puts it on record or limits it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.access.principal import Principal
from shared.access.roles import Verb

ASKED = "tuneloop.asked"
"""Where the scope has it."""


@dataclass
class Asked:
    """Changed in place: a scope is copied on its way."""

    principal: Principal | None = None
    """Who asks, or has signed in by it. None: nobody is known."""
    verb: Verb | None = None
    """What they must be allowed to do, as the route says. None: none was asked, or it wants no verb."""
    about: str = ""
    """What it made or changed, where the address does not say; people are opaque ids in it."""
    is_entrance: bool = False
    """Whether it is at this route that people come in or go."""


def asked_of(scope: Mapping[str, Any]) -> Asked:
    """Nothing is found out about what an orchestrator asks: the door lets it by."""
    return scope.get(ASKED) or Asked()
