"""What is raised when a question to Kafka has no answer."""

from __future__ import annotations


class KafkaSilent(Exception):
    """Kafka does not answer for now. The message says as much as is known."""
