"""A small contract that tests vary."""

from __future__ import annotations

from datetime import UTC, datetime

from shared.adapters.contract import AdapterContract
from shared.events import FrozenFile, WorkloadAdded
from shared.workload import Workload

ADDED = WorkloadAdded(
    revision=3,
    definition=Workload(
        name="tickets", title="Tickets", prompt="{text}\nTeam:", labels=("refund", "outage", "other")
    ),
    answers={"refund": " A", "outage": " B", "other": " C"},
    rows=FrozenFile(uri="rows.jsonl", digest="sha256:" + "0" * 64, rows=0),
    added_at=datetime(2026, 11, 24, 10, tzinfo=UTC),
)
TOKENS = {"other": 13, "refund": 11, "outage": 12}


def contract() -> AdapterContract:
    return AdapterContract.of(ADDED, TOKENS, dataset_id="d1", lora_r=16, training={"learning_rate": 0.002})
