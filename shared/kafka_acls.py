"""What each service, and any app, must be allowed to do on Kafka, as `flow.py` has it; pure.

Nobody may delete a topic or records, alter a setting, or write what only others write.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from shared.events import EVENTS
from shared.events.envelope import Event
from shared.flow import APPS, EVERY_PROCESS_CONSUMES, EVERY_PROCESS_PRODUCES, FLOW, NO_GROUP
from shared.topics.wanted import topics_of

OPERATES = "workloads"
"""The service that tells how far all others are, shows dead letters and sends them again."""


class Operation(StrEnum):
    """By Kafka's own names. READ and WRITE include DESCRIBE."""

    READ = "READ"
    WRITE = "WRITE"
    CREATE = "CREATE"
    DESCRIBE = "DESCRIBE"
    DESCRIBE_CONFIGS = "DESCRIBE_CONFIGS"


class Resource(StrEnum):
    TOPIC = "TOPIC"
    GROUP = "GROUP"


@dataclass(frozen=True, order=True)
class Acl:
    """One line of a cluster's access control list."""

    resource: Resource
    name: str
    operation: Operation
    is_prefix: bool = False
    """Whether it holds for every name that begins so."""

    def __str__(self) -> str:
        return f"{self.operation} {self.resource.lower()} {self.name}{'*' if self.is_prefix else ''}"


def acls_of(service: str) -> frozenset[Acl]:
    """Of the process of one service."""
    part = FLOW[service]
    consumes = part.consumes | EVERY_PROCESS_CONSUMES
    produces = part.produces | EVERY_PROCESS_PRODUCES
    acls = set(_declaring(consumes | produces))
    acls |= set(_on_topics(consumes, Operation.READ)) | set(_on_topics(produces, Operation.WRITE))
    acls.add(Acl(Resource.GROUP, NO_GROUP, Operation.DESCRIBE))
    if part.consumed_as_group:
        acls |= set(_of_group(service, part.consumed_as_group))
    if service == OPERATES:
        acls |= set(_operating())
    return frozenset(acls)


def acls_of_apps() -> frozenset[Acl]:
    """Of any app outside: to write what is written for apps, and to do nothing else."""
    return frozenset(_on_topics(APPS, Operation.WRITE))


def _declaring(kinds: Iterable[type[Event]]) -> Iterator[Acl]:
    """Makes the topics that are missing, and checks the settings of the others."""
    for topic in topics_of(kinds):
        for operation in (Operation.CREATE, Operation.DESCRIBE, Operation.DESCRIBE_CONFIGS):
            yield Acl(Resource.TOPIC, topic.name, operation)


def _on_topics(kinds: Iterable[type[Event]], operation: Operation) -> Iterator[Acl]:
    for kind in kinds:
        yield Acl(Resource.TOPIC, kind.topic.name, operation)


def _of_group(service: str, kinds: Iterable[type[Event]]) -> Iterator[Acl]:
    """Commits as its group, sets aside what is invalid, and sees the groups that version 0.1 had."""
    yield Acl(Resource.GROUP, service, Operation.READ)
    yield Acl(Resource.GROUP, f"{service}.", Operation.DESCRIBE, is_prefix=True)
    for kind in kinds:
        yield Acl(Resource.TOPIC, kind.topic.dead_letters, Operation.WRITE)


def _operating() -> Iterator[Acl]:
    """Replays go to the topics that dead letters came from; state is never set aside, so never replayed."""
    for kind in EVENTS:
        yield Acl(Resource.TOPIC, kind.topic.name, Operation.READ)
        yield Acl(Resource.TOPIC, kind.topic.dead_letters, Operation.READ)
    for service, part in FLOW.items():
        if part.consumed_as_group:
            yield Acl(Resource.GROUP, service, Operation.DESCRIBE)
        yield from _on_topics(part.consumed_as_group, Operation.WRITE)
