"""`python -m tests.bench.ingest.arroyo_batches SERVERS EVENTS`: sentry-arroyo's Python consumer.

RunTask decodes and checks each record, by orjson and by jsonschema-rs on the event's own schema; BatchStep
gathers, a second RunTask makes columns, and offsets are committed after it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from datetime import datetime
from time import process_time
from typing import Any
from uuid import uuid4

import jsonschema_rs
import orjson
from arroyo.backends.kafka import KafkaConsumer, KafkaPayload
from arroyo.backends.kafka.configuration import build_kafka_consumer_configuration
from arroyo.processing import StreamProcessor
from arroyo.processing.strategies import BatchStep, CommitOffsets, ProcessingStrategy, RunTask
from arroyo.processing.strategies.abstract import ProcessingStrategyFactory
from arroyo.processing.strategies.batching import ValuesBatch
from arroyo.types import BrokerValue, Commit, Message, Partition, Topic

from shared.events import PredictionLogged
from shared.events.envelope import event_type
from tests.bench.ingest.columns import AT_ONCE, columns
from tests.bench.ingest.measured import said

TYPE = event_type(PredictionLogged.topic).encode()
is_valid = jsonschema_rs.validator_for(PredictionLogged.model_json_schema(), validate_formats=True).is_valid


def decoded(message: Message[KafkaPayload]) -> dict[str, Any]:
    payload = message.payload
    for name, content in payload.headers:
        if name == "ce_type" and content != TYPE:
            raise ValueError("another event")
    row: dict[str, Any] = orjson.loads(payload.value)
    if not is_valid(row):
        raise ValueError("not this event")
    row["predicted_at"] = datetime.fromisoformat(row["predicted_at"])
    return row


class Factory(ProcessingStrategyFactory[KafkaPayload]):
    def __init__(self, events: int, stop: Callable[[], None]) -> None:
        self._left, self._stop = events, stop

    def create_with_partitions(
        self, commit: Commit, partitions: Mapping[Partition, int]
    ) -> ProcessingStrategy[KafkaPayload]:
        return RunTask(decoded, BatchStep(AT_ONCE, 1.0, RunTask(self._columns, CommitOffsets(commit))))

    def _columns(self, message: Message[ValuesBatch[dict[str, Any]]]) -> list[list[Any]]:
        places = [
            (value.partition.index, value.offset)
            for value in message.payload
            if isinstance(value, BrokerValue)
        ]
        made = columns([value.payload for value in message.payload], places)
        self._left -= len(message.payload)
        if self._left <= 0:
            self._stop()
        return made


def measure(servers: str, events: int) -> float:
    """CPU seconds of this process."""
    began = process_time()
    settings = build_kafka_consumer_configuration(
        {}, bootstrap_servers=[servers], auto_offset_reset="earliest", group_id=f"arroyo-{uuid4().hex[:8]}"
    )
    factory = Factory(events, lambda: processor.signal_shutdown())
    processor = StreamProcessor(KafkaConsumer(settings), Topic(PredictionLogged.topic.name), factory)
    processor.run()
    return process_time() - began


if __name__ == "__main__":
    said(measure(sys.argv[1], int(sys.argv[2])), int(sys.argv[2]))
