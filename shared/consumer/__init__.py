"""How a service consumes: one Kafka consumer for all its topics, committing exactly what was handled.

See the decision "one consumer per service".
"""

from shared.consumer.records import Batch, ConsumerRecord, Handler, Invalid, Sample

__all__ = ["Batch", "ConsumerRecord", "Handler", "Invalid", "Sample"]
