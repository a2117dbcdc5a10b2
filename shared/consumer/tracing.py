"""Traces go on through a handler: what it publishes belongs to what it was given."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from confluent_kafka import Message
from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, SpanKind

MOST_LINKS = 64


@contextmanager
def handling(service: str, topic: str, messages: Sequence[Message]) -> Iterator[None]:
    """One span for one call: below the record's own if there is one record, else linked to the first of them.

    Without an OpenTelemetry agent it costs next to nothing.
    """
    tracer = trace.get_tracer("tuneloop")
    if isinstance(tracer, trace.NoOpTracer | trace.ProxyTracer):
        yield
        return
    causes = [_published_in(message) for message in messages[:MOST_LINKS]]
    parent = causes[0] if len(messages) == 1 else None
    spans = (trace.get_current_span(cause).get_span_context() for cause in causes)
    links = [] if parent else [Link(span) for span in spans if span.is_valid]
    attributes: dict[str, str | int] = {
        "messaging.system": "kafka",
        "messaging.consumer.group.name": service,
        "messaging.destination.name": topic,
        "messaging.batch.message_count": len(messages),
    }
    with tracer.start_as_current_span(
        f"process {topic}", context=parent, kind=SpanKind.CONSUMER, links=links, attributes=attributes
    ):
        yield


def _published_in(message: Message) -> Context:
    """The trace that a record's headers name; an empty one if they name none that can be read."""
    carrier = {}
    with suppress(UnicodeDecodeError):  # the name of a header
        for name, value in message.headers() or ():
            if name in ("traceparent", "tracestate") and isinstance(value, bytes):
                carrier[name] = value.decode("utf-8", "replace")
    return propagate.extract(carrier, context=Context())
