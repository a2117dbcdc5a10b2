"""All SQL of data_augmentation: seed rows, dataset versions, refusals, and predictions' texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from shared.clickhouse import ClickHouse
from shared.events import DatasetPublished, DatasetRefused, FrozenFile
from shared.fields import Part
from shared.times import utc

IDS_PER_QUERY = 1000


class Seed(Part):
    """A workload's own rows, redacted and split."""

    workload: str
    revision: int
    train: FrozenFile
    golden: FrozenFile
    held_out: FrozenFile
    redacted_values: int


class DatasetVersion(Part):
    """A dataset version and the corrections that went into it."""

    event: DatasetPublished
    corrections: FrozenFile | None


@dataclass(frozen=True)
class DatasetStore:
    clickhouse: ClickHouse

    async def keep_seed(self, seed: Seed, frozen_at: datetime) -> None:
        row = {
            "workload": seed.workload,
            "revision": seed.revision,
            **_columns("train", seed.train),
            **_columns("golden", seed.golden),
            **_columns("held_out", seed.held_out),
            "redacted_values": seed.redacted_values,
            "frozen_at": frozen_at,
        }
        await self.clickhouse.insert("seeds", [row])

    async def seed_of(self, workload: str) -> Seed | None:
        """The seed rows of the workload's latest revision that could be read; None if none could yet."""
        rows = await self.clickhouse.rows(
            "SELECT * FROM seeds FINAL WHERE workload = {workload:String} ORDER BY revision DESC LIMIT 1",
            workload=workload,
        )
        for row in rows:
            return Seed(
                workload=row["workload"],
                revision=row["revision"],
                train=_file("train", row),
                golden=_file("golden", row),
                held_out=_file("held_out", row),
                redacted_values=row["redacted_values"],
            )
        return None

    async def keep(self, version: DatasetVersion) -> None:
        event = version.event
        corrections = version.corrections
        row = {
            "dataset_id": event.dataset_id,
            "workload": event.workload,
            "version": event.version,
            "cycle_id": event.cycle_id or "",
            "cutoff": event.cutoff,
            **_columns("train", event.train),
            **_columns("golden", event.golden),
            **_columns("held_out", event.held_out),
            "manifest_uri": event.manifest.uri,
            "manifest_digest": event.manifest.digest,
            "corrections_uri": corrections.uri if corrections else "",
            "corrections_digest": corrections.digest if corrections else "",
            "corrections_rows": corrections.rows if corrections else 0,
            **event.counts.model_dump(),
            "published_at": event.published_at,
        }
        await self.clickhouse.insert("datasets", [row])

    async def latest(self, workload: str) -> DatasetVersion | None:
        """The newest dataset version; None before the first."""
        rows = await self.clickhouse.rows(
            "SELECT * FROM datasets FINAL WHERE workload = {workload:String} ORDER BY version DESC LIMIT 1",
            workload=workload,
        )
        for row in rows:
            event = DatasetPublished.model_validate(
                row
                | {
                    "cycle_id": row["cycle_id"] or None,
                    "cutoff": utc(row["cutoff"]),
                    "train": _file("train", row),
                    "golden": _file("golden", row),
                    "held_out": _file("held_out", row),
                    "manifest": {"uri": row["manifest_uri"], "digest": row["manifest_digest"], "rows": 1},
                    "counts": row,
                    "published_at": utc(row["published_at"]),
                }
            )
            return DatasetVersion(
                event=event, corrections=_file("corrections", row) if row["corrections_uri"] else None
            )
        return None

    async def refuse(self, refused: DatasetRefused) -> None:
        row = {
            "workload": refused.workload,
            "cycle_id": refused.cycle_id or "",
            "reason": refused.reason,
            "refused_at": refused.refused_at,
        }
        await self.clickhouse.insert("dataset_refusals", [row])

    async def texts(self, workload: str, prediction_ids: Sequence[str]) -> dict[str, str]:
        """Prediction id → what the user wrote. Ids that nobody logged are missing."""
        texts: dict[str, str] = {}
        ids = iter(prediction_ids)
        while chunk := list(islice(ids, IDS_PER_QUERY)):
            rows = await self.clickhouse.rows(
                "SELECT prediction_id, input FROM predictions_v1 "
                "WHERE workload = {workload:String} AND prediction_id IN {ids:Array(String)}",
                workload=workload,
                ids=chunk,
            )
            texts.update((row["prediction_id"], row["input"]) for row in rows)
        return texts


def _columns(name: str, file: FrozenFile) -> dict[str, Any]:
    return {f"{name}_uri": file.uri, f"{name}_digest": file.digest, f"{name}_rows": file.rows}


def _file(name: str, row: Mapping[str, Any]) -> FrozenFile:
    return FrozenFile(uri=row[f"{name}_uri"], digest=row[f"{name}_digest"], rows=row[f"{name}_rows"])
