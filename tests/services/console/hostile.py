"""The example workload, with markup in every word that an owner, an app, a reviewer or a model supplies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from shared.clickhouse import ClickHouse
from shared.events import WorkloadAdded
from shared.workload import Workload
from tests.services.console import examples

HOSTILE = (
    """</script><script>planted=1</script><form action="//evil.example"><b class=planted>"""
    """<img src=x onerror='planted=1'>{{7*7}}"""
)
SUPPLIED = {
    "answer", "candidate_answer", "champion_answer", "comment", "credit", "input", "name", "options",
    "probabilities", "reason", "requested_by", "reviewers", "right_answer", "title", "words",
}  # fmt: skip
"""Columns of other people's words. In a scorecard it is the labels."""


def spoilt(value: Any) -> Any:
    """The words, or those within, with markup behind them."""
    if isinstance(value, str):
        return value + HOSTILE
    if isinstance(value, Mapping):
        return {spoilt(name): share for name, share in value.items()}
    return [spoilt(one) for one in value]


def workload_added() -> WorkloadAdded:
    known = examples.definition().model_dump()
    spoilt_words = {name: spoilt(known[name]) for name in ("title", "labels", "credit")}
    return examples.workload_added(Workload.model_validate(known | spoilt_words))


class Spoiling(ClickHouse):
    """Stores what it is given with markup in it."""

    async def insert(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        await super().insert(table, [_spoilt_row(row) for row in rows])


def _spoilt_row(row: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: spoilt(value) if name in SUPPLIED else value for name, value in row.items()}
    if "scorecard" in kept:
        for label in examples.LABELS:
            escaped = spoilt(label).replace('"', '\\"')
            kept["scorecard"] = kept["scorecard"].replace(f'"{label}"', f'"{escaped}"')
    return kept
