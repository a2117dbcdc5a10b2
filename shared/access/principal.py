"""Whoever asks, as far as it matters: an opaque id, a role, and the workloads it is for."""

from __future__ import annotations

from dataclasses import dataclass

from shared.access.roles import MAY, Role, Verb

LOCAL = "local"
"""The principal of whoever reaches a laptop that has no keys: its boundary is the machine's user."""


@dataclass(frozen=True)
class Principal:
    id: str
    """Opaque: who that is, only `workloads` can tell."""
    role: Role
    workloads: frozenset[str] | None = None
    """None: every workload."""
    key_id: str = ""
    """The key it is known by; empty for who signed in otherwise."""

    def may(self, verb: Verb, workload: str | None = None) -> bool:
        """`workload` None asks whether it may at all: what it then sees is still to be narrowed."""
        if verb not in MAY[self.role]:
            return False
        return workload is None or self.is_for(workload)

    def is_for(self, workload: str) -> bool:
        """Of no other it is to learn even the name."""
        return self.workloads is None or workload in self.workloads

    def named(self, said: str) -> str:
        """Who that is in events: its id. On a laptop without keys whoever it says it is."""
        return said if said and self.is_local else self.id

    @property
    def is_local(self) -> bool:
        return self.id == LOCAL


HOST_PRINCIPAL = Principal("host", Role.OPERATOR)
"""Whoever can read the state folder of `workloads`: it is how the first key is made."""
LOCAL_PRINCIPAL = Principal(LOCAL, Role.OPERATOR)
