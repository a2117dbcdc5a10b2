"""The outbox on disk of a service that must not wait for Kafka, and its delivery."""

from shared.outbox.delivery import Delivery
from shared.outbox.folders import orphaned_outboxes, own_outbox
from shared.outbox.outbox import NotRecorded, Outbox, OutboxSettings

__all__ = ["Delivery", "NotRecorded", "Outbox", "OutboxSettings", "orphaned_outboxes", "own_outbox"]
