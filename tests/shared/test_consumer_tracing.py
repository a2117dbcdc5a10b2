"""A trace goes on through a handler, if an agent watches."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from shared.consumer import ConsumerRecord
from shared.consumer.tracing import handling

TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture
def agent(monkeypatch: pytest.MonkeyPatch) -> TracerProvider:
    provider = TracerProvider()
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    return provider


def published(*headers: tuple[str, bytes]) -> ConsumerRecord[None]:
    return ConsumerRecord(None, 0, 0, headers=headers)


def traced(trace_id: str) -> ConsumerRecord[None]:
    return published(("traceparent", f"00-{trace_id}-b7ad6b7169203331-01".encode()))


def test_what_the_handler_of_one_record_publishes_belongs_to_the_records_trace(agent: TracerProvider) -> None:
    with handling("service", "topic", [traced(TRACE)]):
        assert f"{trace.get_current_span().get_span_context().trace_id:032x}" == TRACE


def test_a_batch_is_linked_to_its_records_and_survives_those_without_a_trace(agent: TracerProvider) -> None:
    records = [traced(TRACE), published(), published(("traceparent", b"\xff"))]
    with handling("service", "topic", records):
        span: Any = trace.get_current_span()
        assert [f"{link.context.trace_id:032x}" for link in span.links] == [TRACE]


def test_without_an_agent_nothing_is_traced() -> None:
    with handling("service", "topic", [traced(TRACE)]):
        assert not trace.get_current_span().get_span_context().is_valid
