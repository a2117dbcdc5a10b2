"""How events are published, by FastStream: the one place where its Kafka settings are chosen.

Its own defaults lose events: here acks=all and an idempotent producer, so that what is acknowledged is kept,
and kept once. Consuming is ours (shared/consumer).
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Protocol

from confluent_kafka import KafkaError, KafkaException
from faststream import BaseMiddleware, ContextRepo
from faststream.confluent import KafkaBroker
from faststream.confluent.opentelemetry import KafkaTelemetryMiddleware
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from prometheus_client import CollectorRegistry, Counter

from shared.events.envelope import Event, record

LONGEST_WAIT_SECONDS = 1.0
MAX_MESSAGE_BYTES = 1_000_000  # Kafka's own default limit

log = logging.getLogger(__name__)


class Publish(Protocol):
    """Returns when the broker has the events. The same event published twice is the same event."""

    async def __call__(self, *events: Event) -> None: ...


class CountPublished(BaseMiddleware[Any, Any]):
    """Counts what the broker acknowledged."""

    def __init__(self, msg: Any, /, *, context: ContextRepo, published: Counter) -> None:
        super().__init__(msg, context=context)
        self.published = published

    async def publish_scope(self, call_next: Callable[[Any], Awaitable[Any]], cmd: Any) -> Any:
        answer = await call_next(cmd)
        self.published.labels(cmd.destination).inc()
        return answer


class Broker(KafkaBroker):
    """Waits for acknowledgements in a thread that one of them wakes; FastStream looks ten times a second."""

    _is_stopping = False

    async def connect(self) -> None:  # type: ignore[override]
        if self._connection is not None:
            return
        await super().connect()
        producer: Any = self.config.broker_config.producer
        waiting = producer._producer.producer
        waiting._poll_task.cancel()
        threading.Thread(target=self._wait, args=[waiting.producer], name="published", daemon=True).start()

    def _wait(self, producer: Any) -> None:
        while not self._is_stopping:
            producer.poll(LONGEST_WAIT_SECONDS)

    async def stop(self, *error: Any) -> None:
        self._is_stopping = True
        await super().stop(*error)


def make_broker(bootstrap_servers: str, client_id: str, registry: CollectorRegistry) -> KafkaBroker:
    """A broker to publish by, with safe settings, metrics and traces. Nothing else may construct one."""
    published = Counter(
        "tuneloop_published_records", "Records that Kafka acknowledged", ("topic",), registry=registry
    )
    return Broker(
        bootstrap_servers,
        client_id=client_id,
        acks="all",
        enable_idempotence=True,
        linger_ms=5,
        max_request_size=MAX_MESSAGE_BYTES,
        allow_auto_create_topics=False,
        config={"log_level": 2},  # what it says of its connections: the consumers say it, and once
        middlewares=(
            partial(CountPublished, published=published),
            KafkaTelemetryMiddleware(tracer_provider=_tracers()),
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
    made = record(event, source)
    while True:
        try:
            await broker.publish(made.value, made.topic, key=made.key, headers=dict(made.headers))
        except BufferError:  # librdkafka's queue is full: wait for it, that is what back-pressure is
            await asyncio.sleep(0.1)
        except KafkaException as error:
            if error.args[0].code() != KafkaError._MSG_TIMED_OUT:
                raise
            log.warning("%s: the broker did not answer for minutes; trying again", made.topic)
        else:
            return
