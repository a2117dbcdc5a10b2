"""Asks Kafka whether this process may do there what it must.

A consumer that lost the right to read sees an empty topic, and one that lost its group waits for ever:
librdkafka ends neither of them.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from shared.kafka import Kafka
from shared.kafka_acls import Acl, Operation, Resource, acls_of

ANSWER_SECONDS = 2.0
MOST_NAMED = 5
ASKED = (Operation.READ, Operation.WRITE)
NOT_THERE = (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.GROUP_ID_NOT_FOUND)
REFUSED = (KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.GROUP_AUTHORIZATION_FAILED)

log = logging.getLogger(__name__)


class AclsMissing(TimeoutError):
    """They may be given yet. The message names them."""


class AclsUnknown(TimeoutError):
    """Kafka does not answer."""


class AclCheck:
    """What the services of a process read and write. To be asked from threads."""

    def __init__(self, kafka: Kafka, services: Iterable[str]) -> None:
        self._kafka = kafka
        wanted = sorted({acl for name in services for acl in acls_of(name) if acl.operation in ASKED})
        self._topics = [acl for acl in wanted if acl.resource is Resource.TOPIC]
        self._groups = [acl for acl in wanted if acl.resource is Resource.GROUP]
        self._admin: AdminClient | None = None
        self._were_missing: list[Acl] = []

    def check(self) -> None:
        """Blocks for a few seconds at most. Raises AclsMissing and AclsUnknown."""
        missing = self._missing()
        if missing != self._were_missing:
            self._were_missing = missing
            log.warning("%s", self._said(missing) if missing else "Kafka: all ACLs are there again")
        if missing:
            raise AclsMissing(self._said(missing))

    def _said(self, missing: Sequence[Acl]) -> str:
        who = self._kafka.security.sasl_username or "this client"
        named = ", ".join(map(str, missing[:MOST_NAMED]))
        more = f" and {len(missing) - MOST_NAMED} more" if len(missing) > MOST_NAMED else ""
        return f"Kafka does not let {who} {named}{more}: `python -m deploy.kafka_acls` prints what allows it"

    def _missing(self) -> list[Acl]:
        if self._admin is None:
            self._admin = AdminClient({**self._kafka.client("tuneloop-acls"), "log_level": 0})
        more: dict[str, Any] = {"include_authorized_operations": True, "request_timeout": ANSWER_SECONDS}
        missing = []
        if names := {acl.name for acl in self._topics}:
            described = self._admin.describe_topics(TopicCollection(sorted(names)), **more)
            missing += _not_allowed(self._topics, described)
        if names := {acl.name for acl in self._groups}:
            described = self._admin.describe_consumer_groups(sorted(names), **more)
            missing += _not_allowed(self._groups, described)
        return missing


def _not_allowed(acls: Iterable[Acl], described: Mapping[str, Future[Any]]) -> list[Acl]:
    allowed = {name: _allowed(answer) for name, answer in described.items()}
    return [acl for acl in acls if acl.operation not in allowed[acl.name]]


def _allowed(described: Future[Any]) -> Collection[str]:
    """Names of operations. All of them where there is nothing to forbid, or a server that does not say."""
    try:
        operations = described.result(ANSWER_SECONDS + 1).authorized_operations
    except TimeoutError:
        raise AclsUnknown(f"no answer within {ANSWER_SECONDS:.0f} s") from None
    except KafkaException as failure:
        error = failure.args[0]
        if error.code() in REFUSED:
            return ()
        if error.code() not in NOT_THERE:
            raise AclsUnknown(error.str()) from None
        operations = None
    return ASKED if operations is None else [one.name for one in operations]
