"""Under which name a review is kept."""

from __future__ import annotations

from shared.access.principal import Principal


def reviewer_of(principal: Principal, said: str) -> str:
    """Whose credential it is. Without keys whoever it says, and that it only says so: `local/anna`."""
    return f"{principal.id}/{said}" if said and principal.is_local else principal.id
