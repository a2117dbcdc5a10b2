"""Traces go on through a handler: what it publishes belongs to what it was given."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, SpanKind, Tracer

from shared.consumer.records import ConsumerRecord

MOST_LINKS = 64


@contextmanager
def handling(service: str, topic: str, records: Sequence[ConsumerRecord[Any]]) -> Iterator[None]:
    """One span for one call: below the record's own if there is one record, else linked to the first of them.

    Without an OpenTelemetry agent it costs next to nothing.
    """
    tracer = watched_tracer()
    if tracer is None:
        yield
        return
    causes = [_published_in(record) for record in records[:MOST_LINKS]]
    parent = causes[0] if len(records) == 1 else None
    spans = (trace.get_current_span(cause).get_span_context() for cause in causes)
    links = [] if parent else [Link(span) for span in spans if span.is_valid]
    attributes: dict[str, str | int] = {
        "messaging.system": "kafka",
        "messaging.consumer.group.name": service,
        "messaging.destination.name": topic,
        "messaging.batch.message_count": len(records),
    }
    with tracer.start_as_current_span(
        f"process {topic}", context=parent, kind=SpanKind.CONSUMER, links=links, attributes=attributes
    ):
        yield


def watched_tracer() -> Tracer | None:
    """None without an OpenTelemetry agent: nobody records anything."""
    tracer = trace.get_tracer("tuneloop")
    return None if isinstance(tracer, trace.NoOpTracer | trace.ProxyTracer) else tracer


def _published_in(record: ConsumerRecord[Any]) -> Context:
    """The trace that a record's headers name; an empty one if they name none that can be read."""
    carrier = {
        name: value.decode("utf-8", "replace")
        for name, value in record.headers
        if name in ("traceparent", "tracestate") and isinstance(value, bytes)
    }
    return propagate.extract(carrier, context=Context())
