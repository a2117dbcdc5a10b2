"""The one place where FastStream's Kafka settings are chosen: its own defaults lose events.

acks=all and an idempotent producer, so that what is acknowledged is kept and kept once; negative
acknowledgement on error, so that a failed batch comes again; a pause that grows before each retry.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Protocol

from confluent_kafka import KafkaError, KafkaException
from faststream import AckPolicy, BaseMiddleware, ContextRepo
from faststream.confluent import KafkaBroker
from faststream.confluent.opentelemetry import KafkaTelemetryMiddleware
from faststream.confluent.prometheus import KafkaPrometheusMiddleware
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from prometheus_client import CollectorRegistry

from shared.events.envelope import Event, record

LONGEST_PAUSE_SECONDS = 60.0  # far below max.poll.interval.ms (300 s), or Kafka takes us for dead
MAX_MESSAGE_BYTES = 1_000_000  # Kafka's own default limit

log = logging.getLogger(__name__)


class Publish(Protocol):
    """Returns when the broker has the events. The same event published twice is the same event."""

    async def __call__(self, *events: Event) -> None: ...


class PauseBeforeRetry(BaseMiddleware[Any, Any]):
    """Waits after a failure, longer each time in a row, before the broker brings the batch again."""

    def __init__(self, msg: Any, /, *, context: ContextRepo, failures_in_a_row: dict[str, int]) -> None:
        super().__init__(msg, context=context)
        self.failures_in_a_row = failures_in_a_row

    async def consume_scope(self, call_next: Callable[[Any], Awaitable[Any]], msg: Any) -> Any:
        first = msg.raw_message[0] if isinstance(msg.raw_message, Sequence) else msg.raw_message
        topic = str(first.topic())
        try:
            handled = await call_next(msg)
        except Exception as error:
            failures = self.failures_in_a_row.get(topic, 0) + 1
            self.failures_in_a_row[topic] = failures
            pause = pause_seconds(failures)
            log.warning(
                "%s: handling failed (%s), attempt %d; trying again in %.1f s",
                topic,
                type(error).__name__,
                failures,
                pause,
                exc_info=failures in (1, 10),
            )
            await asyncio.sleep(pause)
            raise
        self.failures_in_a_row.pop(topic, None)
        return handled


def pause_seconds(failures_in_a_row: int) -> float:
    """0.2 s after the first failure, doubled by each further one, at most a minute."""
    return min(0.1 * 2.0 ** min(failures_in_a_row, 20), LONGEST_PAUSE_SECONDS)


def make_broker(bootstrap_servers: str, client_id: str, registry: CollectorRegistry) -> KafkaBroker:
    """A broker with safe settings, metrics and traces. Nothing else may construct one."""
    return KafkaBroker(
        bootstrap_servers,
        client_id=client_id,
        acks="all",
        enable_idempotence=True,
        linger_ms=5,
        max_request_size=MAX_MESSAGE_BYTES,
        allow_auto_create_topics=False,
        ack_policy=AckPolicy.NACK_ON_ERROR,
        middlewares=(
            KafkaPrometheusMiddleware(registry=registry, app_name="tuneloop"),
            KafkaTelemetryMiddleware(tracer_provider=_tracers()),
            partial(PauseBeforeRetry, failures_in_a_row={}),
        ),
        logger=logging.getLogger("faststream"),
        log_level=logging.DEBUG,
    )


def _tracers() -> TracerProvider:
    """An OpenTelemetry agent's, if there is one; else trace ids are passed on and nothing is exported."""
    configured = trace.get_tracer_provider()
    return configured if isinstance(configured, TracerProvider) else TracerProvider()


def make_publish(broker: KafkaBroker, source: str) -> Publish:
    """How the service `source` publishes events. Raises what the broker raises: nothing is then sure."""

    async def publish(*events: Event) -> None:
        for start in range(0, len(events), 1000):
            await asyncio.gather(*(_publish(broker, event, source) for event in events[start : start + 1000]))

    return publish


async def _publish(broker: KafkaBroker, event: Event, source: str) -> None:
    said = record(event, source)
    while True:
        try:
            await broker.publish(said.value, said.topic, key=said.key, headers=dict(said.headers))
        except BufferError:  # librdkafka's queue is full: wait for it, that is what back-pressure is
            await asyncio.sleep(0.1)
        except KafkaException as error:
            if error.args[0].code() != KafkaError._MSG_TIMED_OUT:
                raise
            log.warning("%s: the broker did not answer for minutes; trying again", said.topic)
        else:
            return
