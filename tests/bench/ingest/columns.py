"""Rows of the peers: the same columns that prediction_logging gives to ClickHouse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

NAMES = (
    "prediction_id", "workload", "predicted_at", "adapter", "input", "answer", "confidence", "probabilities",
    "latency_ms", "tokens_in", "attributes", "subject_id", "group_id",
)  # fmt: skip
AT_ONCE = 2000


def columns(rows: Sequence[Mapping[str, Any]], places: Sequence[tuple[int, int]]) -> list[list[Any]]:
    """By column; the last two say from where on Kafka each row is."""
    made = [[row[name] for row in rows] for name in NAMES]
    return [*made, [partition for partition, _ in places], [offset for _, offset in places]]
