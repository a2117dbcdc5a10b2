"""Records to Kafka, in batches."""

from shared.producer.producer import NotConfirmed, Producer

__all__ = ["NotConfirmed", "Producer"]
